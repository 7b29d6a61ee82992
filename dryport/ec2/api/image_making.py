"""Machine images: made of instances, registered from snapshots, copied, deregistered."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.aws.identifiers import resource_id
from dryport.ec2 import image_making, images, instance_types, lifecycle, model, volumes
from dryport.ec2.api import snapshots as snapshot_api
from dryport.ec2.api.images import own
from dryport.ec2.api.launch_unsupported import MAPPINGS
from dryport.ec2.api.service import Request, earlier, get_instance, operation, tags_by_type
from dryport.ec2.launch import Caller, disks
from dryport.ec2.model import BlockDevice, Image, Instance, Volume
from dryport.gateway.service import Call, Output

_TAGGED = ("image", "snapshot")


@operation("CreateImage", unsupported=(*MAPPINGS, "BootModeOverride"))
def create_image(call: Call, request: Request) -> Output:
    """A running instance is shut down for it and boots again, unless ``NoReboot``."""
    if request.get("SnapshotLocation", "regional") != "regional":
        raise unsupported_parameter("ec2", "CreateImage", "SnapshotLocation=local")
    tags = tags_by_type(request, _TAGGED)
    instance = get_instance(call, request["InstanceId"])
    if instance.state not in (lifecycle.RUNNING, lifecycle.STOPPED):
        raise ServiceError("IncorrectState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")
    image_making.check_name(call.tx, call.account, call.region, request["Name"])
    attached = {each.attachment.device: each for each in volumes.of_instance(call.tx, instance.id) if each.attachment}
    root = next((each for each in attached.values() if each.root), None)
    if root is None:
        raise ServiceError("InvalidParameterValue", f"Instance '{instance.id}' does not have a root volume.")
    devices = _devices(call, instance, attached, request.get("BlockDeviceMappings", []))
    image_id = resource_id(call.random, "ami")
    reboot = instance.state == lifecycle.RUNNING and not request.get("NoReboot", False)
    taken = [_snapshot(call, each, attached, image_id, tags.get("snapshot", {}), reboot) for each in devices]
    source = images.find(call.tx, call.region, instance.image_id)
    made = Image(
        id=image_id,
        account=call.account,
        region=call.region,
        tags=tags.get("image", {}),
        name=request["Name"],
        description=request.get("Description", ""),
        architecture=instance.architecture,
        base=root.base or "plain",
        disk=taken[0].snapshot_id,
        root_device_name=instance.root_device_name,
        block_devices=taken,
        created_at=call.now,
        state="pending",
        source_instance_id=instance.id,
        source_image_id=instance.image_id,
        source_image_region=call.region,
        boot_mode=instance.boot_mode,
        imds_support=source.imds_support if source is not None else "",
        reboot=reboot,
    )
    call.tx.put(model.IMAGES, made)
    return {"ImageId": made.id}


def _devices(call: Call, instance: Instance, attached: dict[str, Volume], mappings: list[Request]) -> list[BlockDevice]:
    """The volumes that instances of the image will have, the root first. Raises ServiceError."""
    template = Image(
        id="",
        account=call.account,
        region=call.region,
        name="",
        architecture="",
        base="",
        created_at=call.now,
        root_device_name=instance.root_device_name,
        block_devices=[_device(name, volume) for name, volume in attached.items()],
    )
    for mapping in mappings:
        volume = attached.get(mapping.get("DeviceName", ""))
        ebs = mapping.get("Ebs", {})
        if volume is not None and (ebs.get("VolumeSize", volume.size) != volume.size or "SnapshotId" in ebs):
            raise ServiceError(
                "InvalidBlockDeviceMapping", f"The size and data of {volume.id} cannot be changed by an image."
            )
    return disks.plan(call.tx, Caller(call.account, call.region, ""), template, mappings)


def _device(name: str, volume: Volume) -> BlockDevice:
    assert volume.attachment is not None
    return BlockDevice(
        device_name=name,
        size=volume.size,
        volume_type=volume.volume_type,
        iops=None if volume.volume_type == "gp2" else volume.iops,
        throughput=volume.throughput,
        delete_on_termination=volume.attachment.delete_on_termination,
    )


def _snapshot(
    call: Call, device: BlockDevice, attached: dict[str, Volume], image_id: str, tags: dict[str, str], held: bool
) -> BlockDevice:
    """A device with a snapshot of the volume that is attached as it, if there is one."""
    device = replace(device, iops=None) if device.volume_type == "gp2" else device
    volume = attached.get(device.device_name)
    if volume is None or volume.attachment is None:
        return device
    why = f"Created by CreateImage({volume.attachment.instance_id}) for {image_id}"
    return replace(device, snapshot_id=snapshot_api.take(call, volume, why, tags, held=held).id)


@operation(
    "RegisterImage",
    unsupported=(
        *MAPPINGS,
        "BillingProducts",
        "ImageLocation",
        "KernelId",
        "RamdiskId",
        "TpmSupport",
        "UefiData",
    ),
)
def register_image(call: Call, request: Request) -> Output:
    """Of the snapshot of a root volume."""
    tags = tags_by_type(request, ("image",))
    image_making.check_name(call.tx, call.account, call.region, request["Name"])
    if request.get("VirtualizationType", "paravirtual") != "hvm":
        raise unsupported_parameter("ec2", "RegisterImage", "VirtualizationType=paravirtual (the default)")
    here = instance_types.machine_architecture()
    if request.get("Architecture", "i386") != here:
        raise unsupported_parameter(
            "ec2", "RegisterImage", f"Architecture={request.get('Architecture', 'i386')} (this machine has {here})"
        )
    if "RootDeviceName" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter rootDeviceName")
    template = Image(
        id=resource_id(call.random, "ami"),
        account=call.account,
        region=call.region,
        tags=tags.get("image", {}),
        name=request["Name"],
        description=request.get("Description", ""),
        architecture=here,
        base="plain",
        root_device_name=request["RootDeviceName"],
        created_at=call.now,
        boot_mode=request.get("BootMode", ""),
        imds_support=request.get("ImdsSupport", ""),
    )
    caller = Caller(call.account, call.region, "")
    devices = disks.plan(call.tx, caller, template, request.get("BlockDeviceMappings", []))
    devices = [replace(each, iops=None) if each.volume_type == "gp2" else each for each in devices]
    root = call.tx.get(model.SNAPSHOTS, devices[0].snapshot_id)
    if root is None:
        raise ServiceError("InvalidBlockDeviceMapping", "The root device must be made of a snapshot.")
    made = replace(template, block_devices=devices, disk=root.id, base=root.base or "plain")
    call.tx.put(model.IMAGES, made)
    return {"ImageId": made.id}


@operation(
    "CopyImage",
    unsupported=(
        "DestinationAvailabilityZone",
        "DestinationAvailabilityZoneId",
        "DestinationOutpostArn",
        "Encrypted",
        "KmsKeyId",
        "SnapshotCopyCompletionDurationMinutes",
    ),
)
def copy_image(call: Call, request: Request) -> Output:
    """From whichever region, with copies of its snapshots. A public image has none, and nor have its copies."""
    known = earlier(call, model.IMAGES, request)
    if known is not None:
        return {"ImageId": known.id}
    tags = tags_by_type(request, _TAGGED)
    image_making.check_name(call.tx, call.account, call.region, request["Name"])
    source = images.get(call.tx, call.account, request["SourceRegion"], request["SourceImageId"])
    if source.state != "available":
        raise ServiceError("InvalidAMIID.Unavailable", f"The image ID '[{source.id}]' is not available")
    image_id = resource_id(call.random, "ami")
    kept = source.tags if request.get("CopyImageTags") and source.account == call.account else {}
    devices = [_copied(call, each, image_id, source, tags.get("snapshot", {})) for each in source.block_devices]
    root = next(each for each in devices if each.device_name == source.root_device_name)
    made = replace(
        source,
        id=image_id,
        account=call.account,
        region=call.region,
        tags={**kept, **tags.get("image", {})},
        name=request["Name"],
        description=request.get("Description", ""),
        disk=root.snapshot_id if source.disk else "",
        block_devices=devices,
        created_at=call.now,
        state="pending",
        public=False,
        launch_accounts=[],
        owner_alias="",
        source_instance_id="",
        source_image_id=source.id,
        source_image_region=source.region,
        ssm_parameter="",
        deprecated_at=None,
        deregistration_protection="disabled",
        client_token=request.get("ClientToken", ""),
    )
    call.tx.put(model.IMAGES, made)
    return {"ImageId": made.id}


def _copied(call: Call, device: BlockDevice, image_id: str, source: Image, tags: dict[str, str]) -> BlockDevice:
    """A device with a copy of its snapshot, if that is on this machine."""
    snapshot = call.tx.get(model.SNAPSHOTS, device.snapshot_id)
    if snapshot is None:
        return device
    why = f"Copied for DestinationAmi {image_id} from SourceAmi {source.id} for SourceSnapshot {snapshot.id}."
    return replace(device, snapshot_id=snapshot_api.copy(call, snapshot, why, tags).id)


@operation("DeregisterImage")
def deregister_image(call: Call, request: Request) -> Output:
    """What was launched from it stays, and so do its snapshots unless they are to go too."""
    image = own(call, request["ImageId"])
    if image.deregistration_protection != "disabled":
        raise ServiceError(
            "OperationNotPermitted", f"The image {image.id} is protected against deregistration.", status=400
        )
    if image.state == "pending":
        image_making.abandon(call.tx, image)
    call.tx.delete(model.IMAGES, image.id)
    if not request.get("DeleteAssociatedSnapshots"):
        return {"Return": True}
    results = [_delete(call, each.id) for each in image_making.snapshots(call.tx, image)]
    return {"Return": True, "DeleteSnapshotResults": results}


def _delete(call: Call, snapshot_id: str) -> dict[str, Any]:
    """Delete a snapshot that no other image has."""
    snapshot = call.tx.get(model.SNAPSHOTS, snapshot_id)
    if snapshot is None or snapshot.account != call.account or call.tx.count(model.IMAGES, "snapshot", snapshot_id):
        return {"SnapshotId": snapshot_id, "ReturnCode": "skipped"}
    call.tx.put(model.SNAPSHOTS, replace(snapshot, state="deleting"))
    return {"SnapshotId": snapshot_id, "ReturnCode": "success"}
