"""What is stored as AWS's shapes. Times are rounded to milliseconds, as AWS gives them.

``TASKS_JSON`` keeps tasks as encoded JSON: a task that nobody changed is encoded once for however many describe it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from dryport.ecs.model import Attachment, Cluster, Container, Json, Task, TaskDefinition

T = TypeVar("T", bound=msgspec.Struct)

# The time stamps of a task, as stored and as shown.
_TASK_TIMES = {
    "connectivity_at": "connectivityAt",
    "created_at": "createdAt",
    "execution_stopped_at": "executionStoppedAt",
    "pull_started_at": "pullStartedAt",
    "pull_stopped_at": "pullStoppedAt",
    "started_at": "startedAt",
    "stopped_at": "stoppedAt",
    "stopping_at": "stoppingAt",
}
# Members that are left out where there is nothing to say.
_TASK_OPTIONAL = {
    "availability_zone": "availabilityZone",
    "capacity_provider": "capacityProviderName",
    "connectivity": "connectivity",
    "cpu": "cpu",
    "memory": "memory",
    "group": "group",
    "platform_version": "platformVersion",
    "platform_family": "platformFamily",
    "started_by": "startedBy",
    "stop_code": "stopCode",
    "stopped_reason": "stoppedReason",
}
_CONTAINER_OPTIONAL = {
    "image_digest": "imageDigest",
    "runtime_id": "runtimeId",
    "exit_code": "exitCode",
    "reason": "reason",
    "memory": "memory",
    "memory_reservation": "memoryReservation",
}


class EncodedCache(Generic[T]):
    """Objects' shapes as JSON, kept for as long as the very same object is stored; at most ``size`` bytes of them."""

    def __init__(self, shape: Callable[[T], Json], size: int) -> None:
        self._shape = shape
        self._size = size
        self._held = 0
        self._kept: dict[str, tuple[T, bytes, msgspec.Raw]] = {}
        self._encoder = msgspec.json.Encoder()

    def get(self, key: str, item: T) -> msgspec.Raw:
        """The encoded shape of the object that is stored under ``key``."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] is item:
            return kept[2]
        encoded = self._encoder.encode(self._shape(item))
        self._held += len(encoded) - (len(kept[1]) if kept is not None else 0)
        if self._held > self._size:
            # The oldest quarter makes way at once, so that the cost a call stays constant.
            for old in list(self._kept)[: len(self._kept) // 4 + 1]:
                self._held -= len(self._kept.pop(old)[1]) if old != key else 0
        raw = msgspec.Raw(encoded)
        self._kept[key] = (item, encoded, raw)
        return raw


def time(seconds: float) -> float:
    """A time stamp as AWS gives it: to the millisecond."""
    return round(seconds, 3)


def task(task: Task, *, tags: bool = True) -> Json:
    """AWS's ``Task``; without ``tags`` it has an empty list of them."""
    shape: Json = {
        "attachments": [attachment(each) for each in task.attachments],
        "attributes": task.attributes,
        "clusterArn": task.cluster_arn,
        "containers": [container(task, each) for each in task.containers],
        "desiredStatus": task.desired_status,
        "enableExecuteCommand": task.enable_execute_command,
        "healthStatus": task.health_status,
        "lastStatus": task.last_status,
        "launchType": task.launch_type,
        "overrides": task.overrides,
        "tags": task.tags if tags else [],
        "taskArn": task.arn,
        "taskDefinitionArn": task.task_definition_arn,
        "version": task.version,
    }
    for name, member in _TASK_OPTIONAL.items():
        value = getattr(task, name)
        if value is not None:
            shape[member] = value
    for name, member in _TASK_TIMES.items():
        value = getattr(task, name)
        if value is not None:
            shape[member] = time(value)
    if task.launch_type != "FARGATE" and task.instance_arn is not None:
        shape["containerInstanceArn"] = task.instance_arn
    if task.ephemeral_storage is not None:
        shape["ephemeralStorage"] = shape["fargateEphemeralStorage"] = task.ephemeral_storage
    return shape


def container(task: Task, container: Container) -> Json:
    """AWS's ``Container`` of a task."""
    shape: Json = {
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.image,
        "lastStatus": container.last_status,
        "networkInterfaces": container.network_interfaces,
        "healthStatus": container.health_status or "UNKNOWN",
        "cpu": container.cpu or "0",
    }
    for name, member in _CONTAINER_OPTIONAL.items():
        value = getattr(container, name)
        if value is not None:
            shape[member] = value
    if container.network_bindings or container.last_status != "PENDING":
        shape["networkBindings"] = container.network_bindings
    if container.gpu_ids:
        shape["gpuIds"] = container.gpu_ids
    if container.managed_agents:
        shape["managedAgents"] = container.managed_agents
    return shape


def new_task(each: Task) -> Json:
    """AWS's ``Task`` as RunTask answers it: nothing is said of health before there is any."""
    shape = task(each)
    for part in (shape, *shape["containers"]):
        part.pop("healthStatus", None)
    return shape


def attachment(attachment: Attachment) -> Json:
    """AWS's ``Attachment``."""
    return {
        "id": attachment.id,
        "type": attachment.type,
        "status": attachment.status,
        "details": attachment.details,
    }


def task_definition(definition: TaskDefinition) -> Json:
    """AWS's ``TaskDefinition``."""
    shape: Json = {
        "taskDefinitionArn": definition.arn,
        **definition.body,
        "revision": definition.revision,
        "status": definition.status,
        "registeredAt": time(definition.registered_at),
        "registeredBy": definition.registered_by,
    }
    if definition.deregistered_at is not None:
        shape["deregisteredAt"] = time(definition.deregistered_at)
    if definition.delete_requested_at is not None:
        shape["deleteRequestedAt"] = time(definition.delete_requested_at)
    return shape


def cluster(cluster: Cluster, counts: Json, include: frozenset[str]) -> Json:
    """AWS's ``Cluster``. ``counts`` are the members that count; ``include`` is DescribeClusters' list."""
    shape: Json = {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        **{name: value for name, value in counts.items() if name != "statistics"},
        "statistics": counts["statistics"] if "STATISTICS" in include else [],
        "tags": cluster.tags if "TAGS" in include else [],
        "settings": cluster.settings if "SETTINGS" in include else [],
        "capacityProviders": cluster.capacity_providers,
        "defaultCapacityProviderStrategy": cluster.default_capacity_provider_strategy,
    }
    if cluster.connect_namespace:
        shape["serviceConnectDefaults"] = {"namespace": cluster.connect_namespace}
    if "ATTACHMENTS" in include:
        shape["attachments"] = []
        shape["attachmentsStatus"] = "UPDATE_COMPLETE"
    return shape


def _without_tags(each: Task) -> Json:
    return task(each, tags=False)


TASKS_JSON: EncodedCache[Task] = EncodedCache(task, 512 * 1024)
UNTAGGED_TASKS_JSON: EncodedCache[Task] = EncodedCache(_without_tags, 512 * 1024)
TASK_DEFINITIONS_JSON: EncodedCache[TaskDefinition] = EncodedCache(task_definition, 128 * 1024)
