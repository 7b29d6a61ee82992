"""Volumes, attached to instances and detached."""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.ec2 import volumes
from dryport.ec2.api.service import Request, get, get_instance, operation
from dryport.ec2.api.volumes import describe_attachment
from dryport.ec2.model import Volume
from dryport.gateway.service import Call, Output


@operation("AttachVolume", unsupported=("EbsCardIndex",))
def attach_volume(call: Call, request: Request) -> Output:
    volume: Volume = get(call, "vol", request["VolumeId"])
    instance = get_instance(call, request["InstanceId"])
    return describe_attachment(volumes.attach(call.tx, volume, instance, request["Device"], call.now))


@operation("DetachVolume")
def detach_volume(call: Call, request: Request) -> Output:
    """One that is mounted stays ``busy`` until it is unmounted, unless ``Force`` is asked for."""
    volume: Volume = get(call, "vol", request["VolumeId"])
    if "InstanceId" in request:
        get_instance(call, request["InstanceId"])
    attachment = volume.attachment
    if attachment is not None:
        here = request.get("InstanceId", attachment.instance_id) == attachment.instance_id
        if not here or request.get("Device", attachment.device) != attachment.device:
            raise ServiceError(
                "InvalidAttachment.NotFound",
                f"The volume '{volume.id}' is not attached to instance "
                f"'{request.get('InstanceId', attachment.instance_id)}' as device "
                f"'{request.get('Device', attachment.device)}'.",
            )
    return describe_attachment(volumes.detach(call.tx, volume, force=request.get("Force", False)))
