"""EBS volumes of tasks: what is asked for at launch, the task's attachment, and the volume made of it.

On Fargate the volume is mounted where the agent is (``use``); on a container instance it is attached to that
(``offer``), and the agent, told of it, formats and mounts it and says that it has it, or why not.

Source: TaskManagedEBSVolumeConfiguration and Attachment in the API reference; "Use Amazon EBS volumes with Amazon ECS",
ECS developer guide.
"""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import uuid4
from dryport.ec2 import published as ec2
from dryport.ec2.model import Volume
from dryport.ecs import lifecycle
from dryport.ecs.model import CONTAINER_INSTANCES, Attachment, Json, Task
from dryport.store import Transaction

TYPE = "AmazonElasticBlockStorage"
TIMEOUT = "Timeout waiting for EBS volume to be attached to the task."
_FIGURES = {
    "sizeInGiB": "size",
    "volumeType": "volume_type",
    "iops": "iops",
    "throughput": "throughput",
    "snapshotId": "snapshot_id",
}
_MANAGED_TAGS = {"AmazonECSCreated": "true", "AmazonECSManaged": "true"}


def figures(configuration: Json) -> dict[str, Any]:
    """What a ``managedEBSVolume`` asks of a volume, by the names of EC2's. gp3 is what ECS makes without a type."""
    named = {ours: configuration[theirs] for theirs, ours in _FIGURES.items() if theirs in configuration}
    return {"volume_type": "gp3", **named}


def new_attachment(random: Random, name: str, configuration: Json) -> Attachment:
    """A task's attachment for a volume that is yet to be made."""
    return Attachment(id=uuid4(random), type=TYPE, details=_details(name, configuration))


def _details(name: str, configuration: Json, **more: str) -> list[Json]:
    found = {
        "volumeName": name,
        "roleArn": configuration["roleArn"],
        "deleteOnTermination": str(_goes(configuration)).lower(),
        **more,
    }
    return [{"name": each, "value": value} for each, value in found.items()]


def _goes(configuration: Json) -> bool:
    return bool(configuration.get("terminationPolicy", {}).get("deleteOnTermination", True))


def attachment(task: Task) -> Attachment | None:
    """The attachment of a task that is its EBS volume."""
    return next((each for each in task.attachments if each.type == TYPE), None)


def request(tx: Transaction, random: Random, task: Task, now: float) -> Task:
    """Have a task's volume made, in its zone; where EC2 refuses, the attachment has failed. The task is not stored."""
    made = attachment(task)
    if made is None or made.status != "PRECREATED":
        return task
    configuration, name = task.volume["managedEBSVolume"], task.volume["name"]
    wanted = figures(configuration)
    host = tx.get(CONTAINER_INSTANCES, task.instance_arn) if task.instance_arn else None
    instance_id = (host.ec2_instance_id or "") if host is not None and task.launch_type != "FARGATE" else ""
    try:
        volume = ec2.create_task_volume(
            tx,
            random,
            now=now,
            account=task.account,
            region=task.region,
            zone=task.availability_zone or "",
            task_arn=task.arn,
            figures=ec2.volume_figures(tx, task.account, task.region, wanted),
            snapshot_id=wanted.get("snapshot_id", ""),
            file_system=configuration.get("filesystemType", "xfs"),
            delete_on_termination=_goes(configuration),
            tags={**_MANAGED_TAGS, **task.volume.get("tags", {})},
            instance_id=instance_id,
        )
    except ServiceError as error:
        return fail(task, f"{error.code}: {error.message}")
    status = "CREATED" if instance_id else "ATTACHING"
    return lifecycle.apply_attachment_status(task, made.id, status, _details(name, configuration, volumeId=volume.id))


def offer(task: Task) -> Task:
    """The task with a volume that is on its instance, so that the agent can be told. Not stored."""
    made = attachment(task)
    return task if made is None else lifecycle.apply_attachment_status(task, made.id, "ATTACHING")


def fail(task: Task, reason: str) -> Task:
    """The task with a volume that it cannot have. Not stored."""
    failed = attachment(task)
    if failed is None or failed.status == "FAILED":
        return task
    details = [*failed.details, {"name": "statusReason", "value": reason}]
    return lifecycle.apply_attachment_status(task, failed.id, "FAILED", details)


def use(task: Task, place: str = "") -> Task:
    """The task with its volume, which is mounted: on Fargate at ``place``. Not stored."""
    made = attachment(task)
    if made is None:
        return task
    volume = {**task.volume, "path": place} if place else task.volume
    return lifecycle.apply_attachment_status(replace(task, volume=volume), made.id, "ATTACHED")


def trouble(task: Task, volume: Volume | None) -> str:
    """Why a task cannot have its volume, as it stops for; "" while it may."""
    made = attachment(task)
    if made is not None and made.status == "FAILED":
        return next((each["value"] for each in made.details if each["name"] == "statusReason"), "")
    if volume is None or volume.attachment is None:
        return f"The EBS volume of the task {task.arn} is gone."
    if volume.state == "error":
        return f"Volume {volume.id} could not be created."
    return volume.attachment.error and f"Volume {volume.id} could not be attached: {volume.attachment.error}"
