"""StartTask: tasks on the instances that the caller names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dryport.ecs import lookup
from dryport.ecs.api import SERVICE, shapes
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.launching import launch, placement, volumes
from dryport.ecs.model import TASKS, ContainerInstance, Json, Task
from dryport.ecs.placement import choice
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.filters import INACTIVE
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MOST = 10


@SERVICE.operation("StartTask", unsupported=(*launch.UNSUPPORTED, *volumes.UNSUPPORTED))
def start_task(call: Call, request: types.StartTaskRequestTypeDef) -> Output:
    """Start a task on each of the named instances that it fits on."""
    cluster = lookup.cluster(call, request.get("cluster"))
    identifiers = request["containerInstances"]
    if not identifiers:
        raise lookup.invalid("Container instances cannot be empty.")
    if len(identifiers) > _MOST:
        raise lookup.invalid(f"Container instances cannot have more than {_MOST} elements.")
    definition = launch.runnable_definition(call, request["taskDefinition"])
    there = board(call.tx.view(BOARDS), cluster.arn)
    started: list[Task] = []
    failures: list[Json] = []
    for identifier in identifiers:
        instance = lookup.container_instance(call, cluster, identifier)
        launch_type = "EXTERNAL" if instance is not None and instance.capacity == "EXTERNAL" else "EC2"
        prepared = launch.prepare(call, request, cluster, definition, launch_type)
        reason = _obstacle(call, prepared, instance, there)
        if instance is None or reason is not None:
            failures.append({"arn": lookup.container_instance_arn(cluster, identifier), "reason": reason or "MISSING"})
            continue
        task = launch.task_on(call, prepared, instance.arn, there)
        call.tx.put(TASKS, task)
        started.append(task)
    return {"tasks": [shapes.new_task(task) for task in started], "failures": failures}


def _obstacle(call: Call, prepared: launch.Launch, instance: ContainerInstance | None, there: Board) -> str | None:
    if instance is None:
        return "MISSING"
    if instance.arn not in there.slots:
        return INACTIVE
    # Constraints do not bind whoever names an instance.
    wanted = replace(placement.request_of(call, prepared), constraints=())
    obstacles = choice.obstacles(there, wanted, instance.arn)
    # Those that drain take what they are told to by name.
    return next((each for each in obstacles if each != INACTIVE or instance.status != "DRAINING"), None)
