"""Container instances: StartTask, Describe- and ListContainerInstances, UpdateContainerInstancesState."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dryport.aws.errors import unsupported_parameter
from dryport.ecs.api import SERVICE, launch, lookup, pages, placement, shapes
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.controllers import resources
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, Cluster, ContainerInstance, Json, Task
from dryport.ecs.placement import choice
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.filters import INACTIVE
from dryport.gateway.service import Call, Output
from dryport.store import Reader

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MOST_DESCRIBED = 100
_MOST_UPDATED = 10


@SERVICE.operation("StartTask", unsupported=launch.UNSUPPORTED)
def start_task(call: Call, request: types.StartTaskRequestTypeDef) -> Output:
    """Start a task on each of the named instances that it fits on."""
    cluster = lookup.cluster(call, request.get("cluster"))
    identifiers = request["containerInstances"]
    if not identifiers:
        raise lookup.invalid("Container instances cannot be empty.")
    if len(identifiers) > _MOST_UPDATED:
        raise lookup.invalid(f"Container instances cannot have more than {_MOST_UPDATED} elements.")
    definition = launch.runnable_definition(call, request["taskDefinition"])
    if definition.body.get("networkMode") == "awsvpc":
        # Interfaces on container instances come with the EC2 hosts.
        raise unsupported_parameter("ecs", "StartTask", "networkConfiguration")
    started: list[Task] = []
    failures: list[Json] = []
    for identifier in identifiers:
        instance = lookup.container_instance(call, cluster, identifier)
        launch_type = "EXTERNAL" if instance is not None and instance.capacity == "EXTERNAL" else "EC2"
        prepared = launch.prepare(call, request, cluster, definition, launch_type)
        there = board(call.tx.view(BOARDS), cluster.arn)
        reason = _obstacle(call, prepared, instance, there)
        if instance is None or reason is not None:
            failures.append({"arn": lookup.container_instance_arn(cluster, identifier), "reason": reason or "MISSING"})
            continue
        task = launch.task_on(call, prepared, instance.arn, there)
        call.tx.put(TASKS, task)
        started.append(task)
    return {"tasks": [shapes.new_task(task) for task in started], "failures": failures}


@SERVICE.operation("DescribeContainerInstances")
def describe_container_instances(call: Call, request: types.DescribeContainerInstancesRequestTypeDef) -> Output:
    """What is known of instances, the inactive ones too."""
    cluster = lookup.cluster(call, request.get("cluster"))
    found, failures = _find(call, cluster, request["containerInstances"], _MOST_DESCRIBED)
    tags = "TAGS" in (request.get("include") or ())
    health = "CONTAINER_INSTANCE_HEALTH" in (request.get("include") or ())
    if health:
        raise lookup.invalid("CONTAINER_INSTANCE_HEALTH cannot be included: Dryport does not keep it.")
    return {
        "containerInstances": [container_instance_json(call.tx, each, tags=tags) for each in found],
        "failures": failures,
    }


@SERVICE.operation("ListContainerInstances")
def list_container_instances(call: Call, request: types.ListContainerInstancesRequestTypeDef) -> Output:
    """The ARNs of a cluster's instances that a query selects: those of a status, or all but the inactive ones."""
    cluster = lookup.cluster(call, request.get("cluster"))
    status = request.get("status")
    arns = [
        each.arn
        for each in call.tx.find(CONTAINER_INSTANCES, "cluster", cluster.arn)
        if each.status == status or (status is None and each.status != "INACTIVE")
    ]
    if request.get("filter"):
        there = board(call.tx.view(BOARDS), cluster.arn)
        selected = there.select(placement.query(request["filter"]).root)
        arns = [each for each in arns if each in there.slots and selected >> there.slots[each] & 1]
    return pages.answer("containerInstanceArns", arns, request)


@SERVICE.operation("UpdateContainerInstancesState")
def update_container_instances_state(call: Call, request: types.UpdateContainerInstancesStateRequestTypeDef) -> Output:
    """Let instances take tasks, or drain them."""
    status = request["status"]
    if status not in ("ACTIVE", "DRAINING"):
        raise lookup.invalid("Container instances status should be one of [ACTIVE,DRAINING]")
    cluster = lookup.cluster(call, request.get("cluster"), hidden=True)
    found, failures = _find(call, cluster, request["containerInstances"], _MOST_UPDATED)
    updated = []
    for instance in found:
        if instance.status not in ("ACTIVE", "DRAINING"):
            failures.append({"arn": instance.arn, "reason": instance.status})
            continue
        if instance.status != status:
            instance = replace(instance, status=status, version=instance.version + 1)
            call.tx.put(CONTAINER_INSTANCES, instance)
        updated.append(container_instance_json(call.tx, instance, tags=True))
    return {"containerInstances": updated, "failures": failures}


def container_instance_json(reader: Reader, instance: ContainerInstance, *, tags: bool) -> Json:
    """AWS's ``ContainerInstance``."""
    tasks = reader.find(TASKS, "unstopped", instance.arn)
    versions = {
        "agentVersion": instance.agent_version,
        "agentHash": instance.agent_hash,
        "dockerVersion": instance.docker_version,
    }
    shape: Json = {
        "containerInstanceArn": instance.arn,
        "version": instance.version,
        "versionInfo": {name: value for name, value in versions.items() if value},
        "remainingResources": resources.remaining(instance.registered_resources, tasks),
        "registeredResources": instance.registered_resources,
        "status": instance.status,
        "agentConnected": instance.agent_connected,
        "runningTasksCount": sum(task.last_status == "RUNNING" for task in tasks),
        "pendingTasksCount": sum(task.last_status in ("PENDING", "PROVISIONING", "ACTIVATING") for task in tasks),
        "attributes": instance.attributes,
        "registeredAt": shapes.time(instance.registered_at),
        "attachments": [],
        "tags": instance.tags if tags else [],
    }
    if instance.ec2_instance_id:
        shape["ec2InstanceId"] = instance.ec2_instance_id
    if instance.status_reason:
        shape["statusReason"] = instance.status_reason
    return shape


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


def _find(
    call: Call, cluster: Cluster, identifiers: Sequence[str], most: int
) -> tuple[list[ContainerInstance], list[Json]]:
    if not identifiers:
        raise lookup.invalid("Container instances cannot be empty.")
    if len(identifiers) > most:
        raise lookup.invalid(f"Container instances cannot have more than {most} elements.")
    found: list[ContainerInstance] = []
    failures: list[Json] = []
    for identifier in identifiers:
        instance = lookup.container_instance(call, cluster, identifier)
        if instance is None:
            failures.append({"arn": lookup.container_instance_arn(cluster, identifier), "reason": "MISSING"})
        else:
            found.append(instance)
    return found, failures
