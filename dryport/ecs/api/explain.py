"""ExplainPlacement, an operation of Dryport's own: what stands in the way of a task, and where it would go.

It is a service beside AWS's with a model of its own (``gateway/data/dryport``): signed, checked and answered like every
other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import hexadecimal
from dryport.ecs import attributes, lookup
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.launching import launch, placement
from dryport.ecs.launching.launch import Launch
from dryport.ecs.lookup import client_error, invalid
from dryport.ecs.model import TASK_DEFINITIONS, TASKS, Json, Task
from dryport.ecs.placement import choice
from dryport.ecs.placement.batches import place_alike
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.choice import Obstacle
from dryport.ecs.placement.model import Instance, Request
from dryport.ecs.services import launching
from dryport.ecs.services.model import INACTIVE, SERVICE_REVISIONS, tasks_key
from dryport.ecs.services.model import Service as ScheduledService
from dryport.gateway.service import Call, Output, Service

DRYPORT = Service("dryport")
_MAX_COUNT = 1000
# What says of a task that is yet to be what the task itself says of one that is there.
_LAUNCH_MEMBERS = (
    "taskDefinition",
    "count",
    "group",
    "launchType",
    "networkConfiguration",
    "placementConstraints",
    "placementStrategy",
)


@dataclass(frozen=True)
class _Question:
    launch: Launch
    constraints: Sequence[Json]  # of the request
    strategies: Sequence[Json]
    count: int
    task: Task | None = None
    service: ScheduledService | None = None


@DRYPORT.operation("ExplainPlacement")
def explain_placement(call: Call, request: Any) -> Output:
    """What stands in the way of a task on each instance, and where it would be placed now. Changes nothing."""
    question = _question(call, request)
    body, cluster = question.launch.definition.body, question.launch.cluster
    wanted = placement.request_of(
        call,
        question.launch,
        placement.constraints(question.constraints, body),
        placement.strategies(question.strategies),
    )
    there = board(call.tx.view(BOARDS), cluster.arn)
    # A task that is there must not be in its own way.
    occupant = there.tasks.get(question.task.arn) if question.task is not None else None
    if occupant is not None:
        there.remove_task(occupant.arn)
    try:
        obstacles = choice.explain(there, wanted)
        instances = [there.instances[slot] for slot in sorted(there.instances)]
        placed = _rehearse(call, there, wanted, question.count)
    finally:
        if occupant is not None:
            there.put_task(occupant)
    answer: Json = {
        "clusterArn": cluster.arn,
        "taskDefinitionArn": question.launch.definition.arn,
        "group": question.launch.group,
        "placementConstraints": [*body["placementConstraints"], *question.constraints],
        "placementStrategy": list(question.strategies),
        "placements": placed,
        "unplaced": question.count - len(placed),
        "containerInstances": [_instance(each, obstacles[each.arn]) for each in instances],
    }
    if question.service is not None:
        answer["serviceArn"] = question.service.arn
    if question.task is not None:
        answer["taskArn"] = question.task.arn
        if question.task.instance_arn:
            answer["containerInstanceArn"] = question.task.instance_arn
    return answer


def _question(call: Call, request: Any) -> _Question:
    for name, question, fixed in (
        ("task", _of_task, ("service", *_LAUNCH_MEMBERS)),
        ("service", _of_service, tuple(each for each in _LAUNCH_MEMBERS if each != "count")),
    ):
        if request.get(name):
            if given := [each for each in fixed if request.get(each) is not None]:
                raise invalid(f"{given[0]} cannot be specified together with {name}: the {name} itself says it.")
            return question(call, request)
    return _of_launch(call, request)


def _of_task(call: Call, request: Any) -> _Question:
    cluster = lookup.cluster(call, request.get("cluster"))
    task = lookup.task(call, cluster, request["task"])
    if task is None:
        raise invalid(
            "The referenced task was not found. A task that could not be placed is not kept: specify its "
            "taskDefinition instead, and what else RunTask was asked for."
        )
    if task.launch_type == "FARGATE":
        raise invalid("The task runs on Fargate, where there are no container instances to choose from.")
    definition = call.tx.get(TASK_DEFINITIONS, task.task_definition_arn)
    if definition is None:
        raise client_error("TaskDefinition not found.")
    prepared = Launch(
        cluster=cluster,
        definition=definition,
        launch_type=task.launch_type,
        overrides=task.overrides,
        network=task.network_configuration,
        group=task.group or "",
    )
    asked = task.placement
    return _Question(
        prepared, asked.get("placementConstraints", ()), asked.get("placementStrategy", ()), count=1, task=task
    )


def _of_service(call: Call, request: Any) -> _Question:
    """Of one more task of a service's latest deployment; without a count, of as many as it lacks."""
    cluster = lookup.cluster(call, request.get("cluster"))
    service = lookup.service(call, cluster, request["service"])
    if service is None or service.status == INACTIVE:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    if not service.deployments:
        raise invalid("The service has no task sets.")
    revision = call.tx.get(SERVICE_REVISIONS, service.primary.revision_arn)
    definition = call.tx.get(TASK_DEFINITIONS, service.primary.task_definition_arn)
    if revision is None or definition is None:
        raise client_error("TaskDefinition not found.")
    if launching.launch_type_of(revision) == "FARGATE":
        raise invalid("The service runs on Fargate, where there are no container instances to choose from.")
    prepared = Launch(
        cluster=cluster,
        definition=definition,
        launch_type=launching.launch_type_of(revision),
        overrides={},
        network=revision.network_configuration,
        group=service.group,
    )
    asked = launching.asked_placement(service)
    constraints = list(asked["placementConstraints"])
    if service.scheduling_strategy == "DAEMON":
        constraints.append({"type": "distinctInstance"})
    wanted = [each for each in call.tx.find(TASKS, "service", tasks_key(service)) if each.desired_status == "RUNNING"]
    count = _count(request, max(1, min(_MAX_COUNT, service.desired_count - len(wanted))))
    return _Question(prepared, constraints, asked["placementStrategy"], count, service=service)


def _of_launch(call: Call, request: Any) -> _Question:
    if not request.get("taskDefinition"):
        raise invalid("Specify a task, a service or a taskDefinition.")
    count = _count(request, 1)
    cluster = lookup.cluster(call, request.get("cluster"))
    definition = launch.runnable_definition(call, request["taskDefinition"])
    prepared = launch.prepare(call, request, cluster, definition, request.get("launchType", "EC2"))
    return _Question(prepared, request.get("placementConstraints", ()), request.get("placementStrategy", ()), count)


def _count(request: Any, default: int) -> int:
    count: int = request.get("count", default)
    if not 1 <= count <= _MAX_COUNT:
        raise invalid(f"count must be between 1 and {_MAX_COUNT}.")
    return count


def _rehearse(call: Call, there: Board, wanted: Request, count: int) -> list[str]:
    """Where tasks would go, which are on the board meanwhile only."""
    arns = [f"rehearsal/{hexadecimal(call.random, 32)}" for _ in range(count)]
    try:
        placed = place_alike(there, wanted, arns, call.random)
    finally:
        for arn in arns:
            there.remove_task(arn)
    return [each for each in placed if each is not None]


def _instance(instance: Instance, obstacles: Sequence[Obstacle]) -> Json:
    shape: Json = {
        "containerInstanceArn": instance.arn,
        "status": instance.status,
        "obstacles": [
            {name: value for name, value in each._asdict().items() if value is not None} for each in obstacles
        ],
    }
    if instance.ec2_instance_id:
        shape["ec2InstanceId"] = instance.ec2_instance_id
    if zone := instance.attributes.get(attributes.ZONE):
        shape["availabilityZone"] = zone
    return shape
