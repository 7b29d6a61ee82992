"""EFS volumes of tasks: which a task has, whether it may mount them, and what its agent is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dryport.ec2 import published as ec2
from dryport.ec2.model import NETWORK_INTERFACES, NetworkInterface
from dryport.ecs.model import CONTAINER_INSTANCES, TASK_DEFINITIONS, TASKS, InstanceMount, Json, Task
from dryport.efs import published as efs
from dryport.efs.model import AccessPoint
from dryport.store import Reader

NO_HOST = (
    "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
    "EFS volumes need Fargate or an EC2 instance of this platform."
)


class Volume(NamedTuple):
    """What a task definition names: a file system, and "" or an access point of it."""

    file_system_id: str
    access_point_id: str


def volumes(body: Mapping[str, Any]) -> list[Volume]:
    """The EFS volumes of a task definition."""
    found = [each["efsVolumeConfiguration"] for each in body.get("volumes") or () if "efsVolumeConfiguration" in each]
    points = [each.get("authorizationConfig", {}).get("accessPointId", "") for each in found]
    return [Volume(each["fileSystemId"], point) for each, point in zip(found, points, strict=True)]


def of_task(reader: Reader, task: Task) -> list[Volume]:
    """The EFS volumes of a task."""
    definition = reader.get(TASK_DEFINITIONS, task.task_definition_arn)
    return volumes(definition.body) if definition is not None else []


def refusal(reader: Reader, task: Task) -> str:
    """Why a task may not mount its volumes, as it stops for; "" where it may.

    The mount comes from the task's own interface, or from that of its instance.
    """
    interface = _interface(reader, task)
    if interface is None:
        return NO_HOST
    found = (efs.refusal(reader, interface, *each) for each in of_task(reader, task))
    return next((each for each in found if each), "")


def _interface(reader: Reader, task: Task) -> NetworkInterface | None:
    host = reader.get(CONTAINER_INSTANCES, task.instance_arn) if task.instance_arn else None
    if host is None or host.capacity == "EXTERNAL":
        return None
    own = reader.find(NETWORK_INTERFACES, "owner", task.arn)
    if own:
        return own[0]
    return ec2.primary_interface(reader, host.ec2_instance_id) if host.ec2_instance_id else None


def mounts(reader: Reader, task: Task) -> list[InstanceMount]:
    """What must be mounted on a task's instance; nothing on Fargate, whose agent is where the file systems are."""
    host = reader.get(CONTAINER_INSTANCES, task.instance_arn) if task.instance_arn else None
    if host is None or host.capacity == "FARGATE" or not host.ec2_instance_id:
        return []
    ids = dict.fromkeys(each.file_system_id for each in of_task(reader, task))
    return [InstanceMount(instance_id=host.ec2_instance_id, file_system_id=each) for each in ids]


def tasks_with(reader: Reader, mount: InstanceMount) -> list[Task]:
    """The tasks of an instance that need a mount: those that are to be handed to its agent or run there."""
    hosts = reader.find(CONTAINER_INSTANCES, "ec2_instance", mount.instance_id)
    tasks = (task for host in hosts for task in reader.find(TASKS, "unstopped", host.arn))
    return [
        task
        for task in tasks
        if task.file_systems in ("mounting", "mounted")
        and task.last_status != "DEPROVISIONING"
        and any(each.file_system_id == mount.file_system_id for each in of_task(reader, task))
    ]


def access_points(reader: Reader, body: Mapping[str, Any]) -> dict[str, Json]:
    """What an agent is told of the access points that a task definition names, by their ids."""
    ids = {each.access_point_id for each in volumes(body) if each.access_point_id}
    found = (efs.access_point(reader, each) for each in sorted(ids))
    return {each.id: _json(each) for each in found if each is not None}


def _json(point: AccessPoint) -> Json:
    found: Json = {"path": point.path}
    if point.posix_user is not None:
        user = point.posix_user
        found["posixUser"] = {"uid": user.uid, "gid": user.gid, "secondaryGids": list(user.secondary_gids or ())}
    if point.creation_info is not None:
        info = point.creation_info
        found["creationInfo"] = {
            "ownerUid": info.owner_uid,
            "ownerGid": info.owner_gid,
            "permissions": info.permissions,
        }
    return found
