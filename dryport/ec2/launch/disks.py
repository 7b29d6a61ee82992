"""The volumes that launched instances start with."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import model, snapshots, volume_types, volumes
from dryport.ec2.launch.caller import Caller
from dryport.ec2.model import BlockDevice, Image, Instance, VolumeAttachment
from dryport.store import Reader, Transaction

Request = dict[str, Any]


def plan(reader: Reader, caller: Caller, image: Image, mappings: list[Request]) -> list[BlockDevice]:
    """An image's volumes with a request's mappings in their place, the root first. Raises ServiceError."""
    devices = {each.device_name: each for each in image.block_devices}
    named: set[str] = set()
    for mapping in mappings:
        name = mapping.get("DeviceName")
        if not name:
            raise ServiceError("MissingParameter", "The request must contain the parameter deviceName")
        if volumes.point(name) in named:
            raise ServiceError("InvalidBlockDeviceMapping", f"The device '{name}' is used in more than one mapping.")
        named.add(volumes.point(name))
        if "NoDevice" in mapping:
            devices.pop(name, None)
        else:
            volumes.check_device(name)
            devices[name] = _device(reader, caller, name, devices.get(name), mapping.get("Ebs", {}))
    root = devices.pop(image.root_device_name, None)
    if root is None:
        raise ServiceError("InvalidBlockDeviceMapping", "The root device cannot be suppressed.")
    points = [volumes.point(each) for each in (root.device_name, *devices)]
    if len(set(points)) < len(points):
        raise ServiceError("InvalidBlockDeviceMapping", "Two volumes of the instance have the same device name.")
    if not volume_types.TYPES[root.volume_type].boots:
        raise ServiceError(
            "InvalidParameterValue", f"Volume type {root.volume_type} cannot be used for the root volume."
        )
    return [root, *devices.values()]


def _device(reader: Reader, caller: Caller, name: str, base: BlockDevice | None, ebs: Request) -> BlockDevice:
    """One volume: what the image says of it, or a new one, with what the request says."""
    if base is None and "VolumeSize" not in ebs and "SnapshotId" not in ebs:
        raise ServiceError("MissingParameter", "The request must contain the parameter size or snapshotId")
    kept = base or BlockDevice(device_name=name, size=0)
    snapshot_id = ebs.get("SnapshotId", kept.snapshot_id)
    least = kept.size if kept.snapshot_id else 0
    if snapshot_id != kept.snapshot_id:
        least = snapshots.completed(reader, caller.account, caller.region, snapshot_id).volume_size
    size = ebs.get("VolumeSize", max(kept.size, least))
    if size < least:
        raise ServiceError(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', expect size >= {least}GB",
        )
    kind = ebs.get("VolumeType", kept.volume_type)
    same = kind == kept.volume_type and kind != "gp2"
    wanted = volume_types.figures(
        kind,
        size,
        ebs.get("Iops", kept.iops if same else None),
        ebs.get("Throughput", kept.throughput if same else None),
    )
    return replace(
        kept,
        size=size,
        snapshot_id=snapshot_id,
        volume_type=kind,
        iops=wanted.iops,
        throughput=wanted.throughput,
        delete_on_termination=ebs.get("DeleteOnTermination", kept.delete_on_termination),
    )


def make(
    tx: Transaction,
    random: Random,
    instance: Instance,
    image: Image,
    devices: list[BlockDevice],
    tags: dict[str, str],
) -> None:
    """Store an instance's volumes, attached to it: the first one is the root volume."""
    now = instance.launched_at
    for place, device in enumerate(devices):
        root = place == 0
        own = tx.get(model.SNAPSHOTS, device.snapshot_id)
        system = root and own is None
        iops = None if device.volume_type == "gp2" else device.iops
        volume = volumes.new(
            random,
            instance.account,
            instance.region,
            instance.availability_zone,
            volume_types.figures(device.volume_type, device.size, iops, device.throughput),
            now,
            tags=tags,
            snapshot_id=device.snapshot_id,
            root=root,
            base=image.base if system or own is None else own.base,
            system=system,
            attachment=VolumeAttachment(
                instance_id=instance.id,
                device=device.device_name,
                attached_at=now,
                delete_on_termination=device.delete_on_termination,
            ),
        )
        tx.put(model.VOLUMES, volume)
