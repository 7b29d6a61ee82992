"""The volumes that launched instances start with."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model
from dryport.ec2.model import BlockDevice, Image, Instance, Volume, VolumeAttachment
from dryport.store import Transaction

Request = dict[str, Any]
_LARGEST = 16_384  # GiB


def plan(image: Image, mappings: list[Request]) -> list[BlockDevice]:
    """An image's volumes with a request's mappings in their place, the root first. Raises ServiceError."""
    devices = {each.device_name: each for each in image.block_devices}
    for mapping in mappings:
        name = mapping.get("DeviceName")
        if not name:
            raise ServiceError("MissingParameter", "The request must contain the parameter deviceName")
        if "NoDevice" in mapping:
            devices.pop(name, None)
        else:
            devices[name] = _device(name, devices.get(name), mapping.get("Ebs", {}))
    root = devices.pop(image.root_device_name, None)
    if root is None:
        raise ServiceError("InvalidBlockDeviceMapping", "The root device cannot be suppressed.")
    if not root.delete_on_termination:
        raise unsupported_parameter(
            "ec2", "RunInstances", "BlockDeviceMappings.Ebs.DeleteOnTermination=false (of the root volume)"
        )
    if devices:
        raise unsupported_parameter("ec2", "RunInstances", "BlockDeviceMappings (beside the root volume)")
    return [root, *devices.values()]


def _device(name: str, base: BlockDevice | None, ebs: Request) -> BlockDevice:
    """One volume: what the image says of it, or a new one, with what the request says."""
    if base is None and "VolumeSize" not in ebs and "SnapshotId" not in ebs:
        raise ServiceError("MissingParameter", "The request must contain the parameter size or snapshotId")
    kept = base or BlockDevice(device_name=name, size=0)
    size = ebs.get("VolumeSize", kept.size)
    if kept.size and size < kept.size:
        raise ServiceError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{kept.snapshot_id}', expect size >= {kept.size}GB",
        )
    if size > _LARGEST or size < 1:
        raise ServiceError("InvalidParameterValue", f"Volume of {size}GiB is not within the allowed range.")
    kind = ebs.get("VolumeType", kept.volume_type)
    same = kind == kept.volume_type
    return replace(
        kept,
        size=size,
        snapshot_id=ebs.get("SnapshotId", kept.snapshot_id),
        volume_type=kind,
        iops=ebs.get("Iops", kept.iops if same else 3000 if kind == "gp3" else None),
        throughput=ebs.get("Throughput", kept.throughput if same else 125 if kind == "gp3" else None),
        delete_on_termination=ebs.get("DeleteOnTermination", kept.delete_on_termination),
    )


def make(
    tx: Transaction, random: Random, instance: Instance, devices: list[BlockDevice], tags: dict[str, str], now: float
) -> None:
    """Store an instance's volumes, attached to it."""
    for place, device in enumerate(devices):
        root = place == 0
        attachment = VolumeAttachment(
            instance_id=instance.id,
            device=device.device_name,
            attached_at=now,
            delete_on_termination=device.delete_on_termination,
        )
        volume = Volume(
            id=resource_id(random, "vol"),
            account=instance.account,
            region=instance.region,
            tags=tags,
            availability_zone=instance.availability_zone,
            size=device.size,
            volume_type=device.volume_type,
            created_at=now,
            snapshot_id=device.snapshot_id,
            iops=device.iops,
            throughput=device.throughput,
            state="in-use" if root else "creating",
            attachment=attachment,
            root=root,
        )
        tx.put(model.VOLUMES, volume)
