"""Volumes made, attached, detached, deleted: what requests make of them. Plain functions on a transaction.

The controllers ``volumes`` and ``snapshots`` have the host driver make it so. Errors are those of "Error codes for the
Amazon EC2 API", EC2 developer guide.
"""

from __future__ import annotations

import hashlib
import re
from random import Random
from string import ascii_lowercase
from typing import Any

import msgspec
from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import lifecycle, model, snapshots, volume_types
from dryport.ec2.model import Instance, Volume, VolumeAttachment, VolumeFigures
from dryport.store import Reader, Transaction

MOST_ATTACHMENTS = 28  # of a Nitro instance, interfaces included ("Amazon EBS volume limits", EC2 user guide)
# "Device names for volumes on Amazon EC2 instances", EC2 user guide
_DEVICE = re.compile(r"(/dev/)?(sd[a-z]([1-9]|1[0-5])?|xvd[a-d]?[a-z]([1-9]|1[0-5])?)")


def digest(request: dict[str, Any]) -> str:
    """What tells a request with a client token from another one."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def figures(
    reader: Reader,
    account: str,
    region: str,
    *,
    snapshot_id: str = "",
    size: int | None = None,
    volume_type: str = volume_types.DEFAULT,
    iops: int | None = None,
    throughput: int | None = None,
) -> VolumeFigures:
    """A new volume's figures; without a size it has the snapshot's. Raises ServiceError."""
    least = 0
    if snapshot_id:
        least = snapshots.completed(reader, account, region, snapshot_id).volume_size
    elif size is None:
        raise ServiceError("MissingParameter", "The request must contain the parameter size/snapshot")
    wanted = least if size is None else size
    if wanted < least:
        raise ServiceError(
            "InvalidParameterValue",
            f"Volume of size {wanted}GB is smaller than snapshot '{snapshot_id}', expect size >= {least}GB",
        )
    return volume_types.figures(volume_type, wanted, iops, throughput)


def new(random: Random, account: str, region: str, zone: str, wanted: VolumeFigures, now: float, **more: Any) -> Volume:
    """A volume that is yet to be made. Not stored."""
    return Volume(
        id=resource_id(random, "vol"),
        account=account,
        region=region,
        availability_zone=zone,
        size=wanted.size,
        volume_type=wanted.volume_type,
        iops=wanted.iops,
        throughput=wanted.throughput,
        created_at=now,
        **more,
    )


def check_device(device: str) -> str:
    """A device name that AWS takes, as it takes it. Raises ServiceError."""
    if not _DEVICE.fullmatch(device):
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name.",
        )
    return device


def point(device: str) -> str:
    """What two device names have in common that mean the same attachment point: ``/dev/sdf`` and ``xvdf`` do."""
    return re.sub(r"^(sd|xvd)", "", device.removeprefix("/dev/"))


def of_instance(reader: Reader, instance_id: str) -> list[Volume]:
    """The volumes that are attached to an instance, the root volume first."""
    found = reader.find(model.VOLUMES, "instance", instance_id)
    return sorted(found, key=lambda each: (not each.root, each.attachment.device if each.attachment else ""))


def attach(tx: Transaction, volume: Volume, instance: Instance, device: str, now: float) -> Volume:
    """Attach a volume to an instance that runs or is stopped; as the root volume of one that has none.

    Raises ServiceError.
    """
    check_device(device)
    if volume.attachment is not None:
        raise ServiceError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.state != "available":
        raise ServiceError("IncorrectState", f"{volume.id} is not 'available'.")
    if instance.state not in (lifecycle.RUNNING, lifecycle.STOPPED):
        raise ServiceError("IncorrectState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")
    if instance.state != lifecycle.STOPPED and point(device) == point(instance.root_device_name):
        raise ServiceError("IncorrectState", f"Instance '{instance.id}' is not 'stopped'.")
    if volume.availability_zone != instance.availability_zone:
        raise ServiceError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    others = of_instance(tx, instance.id)
    if any(each.attachment is not None and point(each.attachment.device) == point(device) for each in others):
        raise ServiceError(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )
    _check_room(tx, instance.id)
    attachment = VolumeAttachment(instance_id=instance.id, device=device, attached_at=now)
    root = point(device) == point(instance.root_device_name)
    made = replace(volume, state="in-use", attachment=attachment, root=root)
    tx.put(model.VOLUMES, made)
    return made


def _check_room(reader: Reader, instance_id: str) -> None:
    interfaces = reader.count(model.NETWORK_INTERFACES, "instance", instance_id)
    if reader.count(model.VOLUMES, "instance", instance_id) + interfaces >= MOST_ATTACHMENTS:
        raise ServiceError("AttachmentLimitExceeded", f"Volume attachment limit exceeded for instance '{instance_id}'")


def free_device(reader: Reader, instance_id: str) -> str:
    """A device name for a volume that its owner has not named one for: ``/dev/xvdba`` to ``/dev/xvddz``.

    Raises ServiceError where the instance takes no more volumes.
    """
    _check_room(reader, instance_id)
    attached = (each.attachment for each in of_instance(reader, instance_id))
    taken = {point(each.device) for each in attached if each is not None}
    names = (first + second for first in "bcd" for second in ascii_lowercase)
    return f"/dev/xvd{next(each for each in names if each not in taken)}"


def detach(tx: Transaction, volume: Volume, *, force: bool = False) -> Volume:
    """Want a volume taken from its instance. Raises ServiceError."""
    attachment = volume.attachment
    if attachment is None:
        raise ServiceError("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
    if attachment.resource:
        raise ServiceError("OperationNotPermitted", f"Volume '{volume.id}' is attached to {attachment.resource}")
    instance = tx.get(model.INSTANCES, attachment.instance_id)
    if volume.root and instance is not None and instance.state != lifecycle.STOPPED:
        raise ServiceError(
            "OperationNotPermitted", f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'"
        )
    state = attachment.state if attachment.state == "busy" else "detaching"
    made = replace(volume, attachment=replace(attachment, state=state, force=force or attachment.force))
    tx.put(model.VOLUMES, made)
    return made


def released(volume: Volume) -> Volume:
    """A volume that no instance has. Not stored."""
    return replace(volume, state="available", attachment=None, root=False)


def delete(tx: Transaction, volume: Volume) -> None:
    """Want a volume gone. Raises ServiceError."""
    if volume.attachment is not None:
        user = volume.attachment.instance_id or volume.attachment.resource
        raise ServiceError("VolumeInUse", f"Volume {volume.id} is currently attached to {user}")
    if volume.state == "creating":
        raise ServiceError("IncorrectState", f"Volume '{volume.id}' is in the 'creating' state.")
    tx.put(model.VOLUMES, replace(volume, state="deleting"))
