"""Container instances as users see them: Describe- and ListContainerInstances, UpdateContainerInstancesState."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dryport.ecs import health, lookup
from dryport.ecs.api import SERVICE, pages, shapes
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.controllers import resources
from dryport.ecs.launching import placement
from dryport.ecs.model import CONTAINER_INSTANCES, INSTANCE_HEALTH, TASKS, Cluster, ContainerInstance, Json
from dryport.gateway.service import Call, Output
from dryport.store import Reader

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

STATUSES = ("REGISTERING", "REGISTRATION_FAILED", "ACTIVE", "DRAINING", "DEREGISTERING", "INACTIVE")
_MOST_DESCRIBED = 100
_MOST_UPDATED = 10


@SERVICE.operation("DescribeContainerInstances")
def describe_container_instances(call: Call, request: types.DescribeContainerInstancesRequestTypeDef) -> Output:
    """What is known of instances, the inactive ones too."""
    cluster = lookup.cluster(call, request.get("cluster"))
    found, failures = _find(call, cluster, request["containerInstances"], _MOST_DESCRIBED)
    include = request.get("include") or ()
    shown = []
    for instance in found:
        shape = container_instance_json(call.tx, instance, tags="TAGS" in include)
        if "CONTAINER_INSTANCE_HEALTH" in include:
            shape["healthStatus"] = health.status(call.tx.get(INSTANCE_HEALTH, instance.arn))
        shown.append(shape)
    return {"containerInstances": shown, "failures": failures}


@SERVICE.operation("ListContainerInstances")
def list_container_instances(call: Call, request: types.ListContainerInstancesRequestTypeDef) -> Output:
    """The ARNs of a cluster's instances that a query selects: those of a status, or all but the inactive ones."""
    cluster = lookup.cluster(call, request.get("cluster"))
    status = request.get("status")
    statuses = [status] if status else [each for each in STATUSES if each != "INACTIVE"]
    arns = [arn for each in statuses for arn in call.tx.keys(CONTAINER_INSTANCES, "status", f"{cluster.arn}/{each}")]
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
