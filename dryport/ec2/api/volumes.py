"""EBS volumes: made, found, deleted, and how they fare."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, model, snapshots, volumes
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, earlier, get, new_tags, operation, select, with_tags
from dryport.ec2.model import Volume
from dryport.gateway.service import Call, Output


def describe_attachment(volume: Volume) -> dict[str, Any]:
    """A volume's attachment as EC2 answers it."""
    attachment = volume.attachment
    assert attachment is not None
    described = {
        "DeleteOnTermination": attachment.delete_on_termination,
        "VolumeId": volume.id,
        "State": attachment.state,
        "AttachTime": attachment.attached_at,
    }
    if attachment.resource:
        described["AssociatedResource"] = attachment.resource
    if attachment.on_fargate:
        return {**described, "InstanceOwningService": "fargate.amazonaws.com"}
    return {**described, "InstanceId": attachment.instance_id, "Device": attachment.device}


def created(volume: Volume) -> dict[str, Any]:
    """A volume as CreateVolume answers it."""
    described: dict[str, Any] = {
        "AvailabilityZoneId": addressing.zone_id(volume.availability_zone),
        "VolumeType": volume.volume_type,
        "MultiAttachEnabled": False,
        "VolumeId": volume.id,
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id,
        "AvailabilityZone": volume.availability_zone,
        "State": volume.state,
        "CreateTime": volume.created_at,
        "Encrypted": False,
    }
    if volume.iops is not None:
        described["Iops"] = volume.iops
    if volume.throughput is not None:
        described["Throughput"] = volume.throughput
    return with_tags(described, volume)


def describe(volume: Volume) -> dict[str, Any]:
    """A volume as DescribeVolumes has it."""
    attached = [describe_attachment(volume)] if volume.attachment is not None else []
    return {**created(volume), "Attachments": attached, "Operator": {"Managed": False}}


@operation(
    "CreateVolume",
    unsupported=(
        "Encrypted",
        "KmsKeyId",
        "MultiAttachEnabled",
        "Operator",
        "OutpostArn",
        "VolumeInitializationRate",
    ),
)
def create_volume(call: Call, request: Request) -> Output:
    token, digest = request.get("ClientToken", ""), volumes.digest(request)
    made = earlier(call, model.VOLUMES, request)
    if made is None:
        made = _new(call, request)
        if token:
            made = replace(made, client_token=token, request_digest=digest)
        call.tx.put(model.VOLUMES, made)
    elif made.request_digest != digest:
        raise ServiceError(
            "IdempotentParameterMismatch",
            "The request uses the same client token as a previous, but non-identical request.",
        )
    return created(made)


def _new(call: Call, request: Request) -> Volume:
    zone, snapshot_id = _zone(call, request), request.get("SnapshotId", "")
    wanted = volumes.figures(
        call.tx,
        call.account,
        call.region,
        snapshot_id=snapshot_id,
        size=request.get("Size"),
        volume_type=request.get("VolumeType", "gp2"),
        iops=request.get("Iops"),
        throughput=request.get("Throughput"),
    )
    base = snapshots.get(call.tx, call.account, call.region, snapshot_id).base if snapshot_id else ""
    more = {"tags": new_tags(request, "volume"), "snapshot_id": snapshot_id, "base": base}
    return volumes.new(call.random, call.account, call.region, zone, wanted, call.now, **more)


def _zone(call: Call, request: Request) -> str:
    named, by_id = request.get("AvailabilityZone"), request.get("AvailabilityZoneId")
    if named is not None and by_id is not None:
        raise ServiceError(
            "InvalidParameterCombination",
            "The parameters availabilityZone and availabilityZoneId cannot be used together.",
        )
    if named is None and by_id is None:
        raise ServiceError("MissingParameter", "The request must contain the parameter zone")
    for zone in addressing.zones(call.region):
        if named == zone or by_id == addressing.zone_id(zone):
            return zone
    raise ServiceError("InvalidZone.NotFound", f"The zone '{named or by_id}' does not exist.")


@operation("DeleteVolume")
def delete_volume(call: Call, request: Request) -> Output:
    volumes.delete(call.tx, get(call, "vol", request["VolumeId"]))
    return None


_FILTERS: filters.Fields[Volume] = {
    "attachment.attach-time": lambda v: [filters.moment(v.attachment.attached_at)] if v.attachment else [],
    "attachment.delete-on-termination": lambda v: [v.attachment.delete_on_termination] if v.attachment else [],
    "attachment.device": lambda v: [v.attachment.device or None] if v.attachment else [],
    "attachment.instance-id": lambda v: [v.attachment.instance_id or None] if v.attachment else [],
    "attachment.status": lambda v: [v.attachment.state] if v.attachment else [],
    "availability-zone": lambda v: [v.availability_zone],
    "availability-zone-id": lambda v: [addressing.zone_id(v.availability_zone)],
    "create-time": lambda v: [filters.moment(v.created_at)],
    "encrypted": lambda v: [False],
    "fast-restored": lambda v: [False],
    "multi-attach-enabled": lambda v: [False],
    "operator.managed": lambda v: [False],
    "operator.principal": lambda v: [],
    "size": lambda v: [v.size],
    "snapshot-id": lambda v: [v.snapshot_id or None],
    "status": lambda v: [v.state],
    "tag-key": filters.tags,
    "volume-id": lambda v: [v.id],
    "volume-type": lambda v: [v.volume_type],
}


@operation("DescribeVolumes", unsupported=("IncludeManagedResources",))
def describe_volumes(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "vol", request.get("VolumeIds")), _FILTERS)
    return filters.page(request, "Volumes", found, describe, "VolumeIds")


def _status(volume: Volume) -> str:
    """Whether it can be read and written: until it is there nobody knows."""
    return {"creating": "insufficient-data", "error": "impaired"}.get(volume.state, "ok")


def _details(volume: Volume) -> list[dict[str, str]]:
    passed = {"ok": "passed", "impaired": "failed"}.get(_status(volume))
    performance = {"Name": "io-performance", "Status": "not-applicable"}
    return [{"Name": "io-enabled", "Status": passed}, performance] if passed else []


def _describe_status(volume: Volume) -> dict[str, Any]:
    """A volume as DescribeVolumeStatus has it."""
    return {
        "Actions": [],
        "AvailabilityZone": volume.availability_zone,
        "AvailabilityZoneId": addressing.zone_id(volume.availability_zone),
        "Events": [],
        "VolumeId": volume.id,
        "VolumeStatus": {"Details": _details(volume), "Status": _status(volume)},
        "AttachmentStatuses": [],
        "Operator": {"Managed": False},
    }


_STATUS_FILTERS: filters.Fields[Volume] = {
    "action.code": lambda v: [],
    "action.description": lambda v: [],
    "action.event-id": lambda v: [],
    "attachment-status.instance-id": lambda v: [],
    "attachment-status.io-performance": lambda v: [],
    "availability-zone": lambda v: [v.availability_zone],
    "event.description": lambda v: [],
    "event.event-id": lambda v: [],
    "event.event-type": lambda v: [],
    "event.not-after": lambda v: [],
    "event.not-before": lambda v: [],
    "volume-status.details-name": lambda v: [each["Name"] for each in _details(v)],
    "volume-status.details-status": lambda v: [each["Status"] for each in _details(v)],
    "volume-status.status": lambda v: [_status(v)],
}


@operation("DescribeVolumeStatus", unsupported=("IncludeManagedResources",))
def describe_volume_status(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "vol", request.get("VolumeIds")), _STATUS_FILTERS)
    return filters.page(request, "VolumeStatuses", found, _describe_status, "VolumeIds")


@operation("DescribeVolumeAttribute")
def describe_volume_attribute(call: Call, request: Request) -> Output:
    volume: Volume = get(call, "vol", request["VolumeId"])
    if request["Attribute"] == "productCodes":
        return {"ProductCodes": [], "VolumeId": volume.id}
    return {"AutoEnableIO": {"Value": volume.auto_enable_io}, "VolumeId": volume.id}


@operation("ModifyVolumeAttribute")
def modify_volume_attribute(call: Call, request: Request) -> Output:
    """``AutoEnableIO`` says what is to be done about volumes whose data may be inconsistent: there are none here."""
    volume: Volume = get(call, "vol", request["VolumeId"])
    if "AutoEnableIO" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter autoEnableIO")
    call.tx.put(model.VOLUMES, replace(volume, auto_enable_io=request["AutoEnableIO"].get("Value", False)))
    return None
