"""Snapshots of volumes: taken, found, copied, shared, deleted."""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model, snapshots, volumes
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, get, get_instance, new_tags, operation, tag_list, with_tags
from dryport.ec2.api.sharing import shared
from dryport.ec2.model import Snapshot, Volume
from dryport.gateway.service import Call, Output

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def _progress(snapshot: Snapshot) -> str:
    return "100%" if snapshot.state == "completed" else "0%"


def created(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as CreateSnapshot answers it."""
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StartTime": snapshot.started_at,
        "Progress": _progress(snapshot) if snapshot.state != "pending" else "",
        "OwnerId": snapshot.account,
        "Description": snapshot.description,
        "VolumeSize": snapshot.volume_size,
        "Encrypted": False,
        "Tags": tag_list(snapshot.tags),
    }


def describe(snapshot: Snapshot, account: str) -> dict[str, Any]:
    """A snapshot as DescribeSnapshots has it for an account; only its owner sees tags."""
    described: dict[str, Any] = {
        "StorageTier": "standard",
        "TransferType": "standard",
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StartTime": snapshot.started_at,
        "Progress": _progress(snapshot),
        "OwnerId": snapshot.account,
        "Description": snapshot.description,
        "VolumeSize": snapshot.volume_size,
        "Encrypted": False,
    }
    if snapshot.completed_at is not None:
        described["CompletionTime"] = snapshot.completed_at
    if snapshot.state_message:
        described["StateMessage"] = snapshot.state_message
    return with_tags(described, snapshot) if snapshot.account == account else described


def take(call: Call, volume: Volume, description: str, tags: dict[str, str], *, held: bool = False) -> Snapshot:
    """Want a snapshot of a volume, though not yet where it is ``held``. Raises ServiceError."""
    if volume.state not in ("available", "in-use"):
        raise ServiceError("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
    made = Snapshot(
        id=resource_id(call.random, "snap"),
        account=call.account,
        region=call.region,
        tags=tags,
        volume_id=volume.id,
        volume_size=volume.size,
        started_at=call.now,
        description=description,
        base=volume.base,
        held=held,
    )
    call.tx.put(model.SNAPSHOTS, made)
    return made


def _check_location(call: Call, request: Request) -> None:
    if request.get("Location", "regional") != "regional":
        raise unsupported_parameter("ec2", call.operation, "Location=local")


@operation("CreateSnapshot", unsupported=("OutpostArn",))
def create_snapshot(call: Call, request: Request) -> Output:
    _check_location(call, request)
    tags = new_tags(request, "snapshot")
    return created(take(call, get(call, "vol", request["VolumeId"]), request.get("Description", ""), tags))


@operation("CreateSnapshots", unsupported=("OutpostArn",))
def create_snapshots(call: Call, request: Request) -> Output:
    """Of all volumes of an instance, each as it is at its own moment."""
    _check_location(call, request)
    tags, named = new_tags(request, "snapshot"), request["InstanceSpecification"]
    instance = get_instance(call, named["InstanceId"])
    excluded = set(named.get("ExcludeDataVolumeIds", []))
    attached = volumes.of_instance(call.tx, instance.id)
    unknown = excluded - {each.id for each in attached if not each.root}
    if unknown:
        raise ServiceError(
            "InvalidParameterValue", f"{min(unknown)} is not a data volume of the instance '{instance.id}'."
        )
    wanted = [each for each in attached if each.id not in excluded]
    if named.get("ExcludeBootVolume"):
        wanted = [each for each in wanted if not each.root]
    if not wanted:
        raise ServiceError("InvalidParameterValue", f"No volumes of the instance '{instance.id}' are to be snapshot.")
    with_tags_of_volume = request.get("CopyTagsFromSource") == "volume"
    made = [
        take(call, each, request.get("Description", ""), {**(each.tags if with_tags_of_volume else {}), **tags})
        for each in wanted
    ]
    return {"Snapshots": [created(each) for each in made]}


@operation(
    "CopySnapshot",
    unsupported=(
        "CompletionDurationMinutes",
        "DestinationAvailabilityZone",
        "DestinationOutpostArn",
        "Encrypted",
        "KmsKeyId",
    ),
)
def copy_snapshot(call: Call, request: Request) -> Output:
    """From whichever region; ``PresignedUrl`` authorizes what the caller may do anyway."""
    source_region = request["SourceRegion"]
    if not _REGION.fullmatch(source_region):
        raise ServiceError("InvalidParameterValue", f"Value ({source_region}) for parameter sourceRegion is invalid.")
    if request.get("DestinationRegion", call.region) != call.region:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({request['DestinationRegion']}) for parameter destinationRegion is invalid.",
        )
    tags = new_tags(request, "snapshot")
    source = snapshots.completed(call.tx, call.account, source_region, request["SourceSnapshotId"])
    usual = f"[Copied {source.id} from {source_region}] {source.description}"
    made = copy(call, source, request.get("Description", usual), tags)
    answer: dict[str, Any] = {"SnapshotId": made.id}
    return {**answer, "Tags": tag_list(tags)} if tags else answer


def copy(call: Call, source: Snapshot, description: str, tags: dict[str, str]) -> Snapshot:
    """Want a copy of a completed snapshot, in the call's region."""
    made = Snapshot(
        id=resource_id(call.random, "snap"),
        account=call.account,
        region=call.region,
        tags=tags,
        volume_id="vol-ffffffff",  # as AWS has it of every copy
        volume_size=source.volume_size,
        started_at=call.now,
        description=description,
        source_id=source.id,
        base=source.base,
    )
    call.tx.put(model.SNAPSHOTS, made)
    return made


@operation("DeleteSnapshot")
def delete_snapshot(call: Call, request: Request) -> Output:
    """It is gone to everybody at once; what was made of it stays."""
    snapshot = own(call, request["SnapshotId"])
    for image in call.tx.find(model.IMAGES, "snapshot", snapshot.id):
        raise ServiceError("InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by {image.id}")
    call.tx.put(model.SNAPSHOTS, replace(snapshot, state="deleting"))
    return None


def own(call: Call, snapshot_id: str) -> Snapshot:
    """A snapshot of the caller's. Raises ServiceError."""
    found = snapshots.get(call.tx, call.account, call.region, snapshot_id)
    if found.account != call.account:
        raise ServiceError("UnauthorizedOperation", "You are not authorized to perform this operation.", status=403)
    return found


_FILTERS: filters.Fields[Snapshot] = {
    "description": lambda s: [s.description],
    "encrypted": lambda s: [False],
    "owner-alias": lambda s: [],
    "owner-id": lambda s: [s.account],
    "progress": lambda s: [_progress(s)],
    "snapshot-id": lambda s: [s.id],
    "start-time": lambda s: [filters.moment(s.started_at)],
    "status": lambda s: [s.state],
    "storage-tier": lambda s: ["standard"],
    "tag-key": filters.tags,
    "transfer-type": lambda s: ["standard"],
    "volume-id": lambda s: [s.volume_id],
    "volume-size": lambda s: [s.volume_size],
}


@operation("DescribeSnapshots")
def describe_snapshots(call: Call, request: Request) -> Output:
    """Those that the caller may use; ``self`` is the caller, of owners and of users who may restore."""
    ids = list(dict.fromkeys(request.get("SnapshotIds", [])))
    if ids:
        found = [snapshots.get(call.tx, call.account, call.region, each) for each in ids]
    else:
        found = snapshots.visible(call.tx, call.account, call.region)
    if request.get("OwnerIds"):
        owners = {call.account if each == "self" else each for each in request["OwnerIds"]}
        found = [each for each in found if each.account in owners]
    if request.get("RestorableByUserIds"):
        users = {call.account if each == "self" else each for each in request["RestorableByUserIds"]}
        found = [each for each in found if ("all" in users and each.public) or users & {each.account, *each.accounts}]
    found = filters.apply(request, found, _FILTERS)
    return filters.page(request, "Snapshots", found, lambda each: describe(each, call.account), "SnapshotIds")


@operation("DescribeSnapshotAttribute")
def describe_snapshot_attribute(call: Call, request: Request) -> Output:
    snapshot = own(call, request["SnapshotId"])
    if request["Attribute"] == "productCodes":
        return {"SnapshotId": snapshot.id, "ProductCodes": []}
    everybody = [{"Group": "all"}] if snapshot.public else []
    permissions = everybody + [{"UserId": each} for each in snapshot.accounts]
    return {"SnapshotId": snapshot.id, "CreateVolumePermissions": permissions}


@operation("ModifySnapshotAttribute")
def modify_snapshot_attribute(call: Call, request: Request) -> Output:
    snapshot = own(call, request["SnapshotId"])
    if request.get("Attribute", "createVolumePermission") != "createVolumePermission":
        raise ServiceError("InvalidParameterValue", "Only createVolumePermission can be modified.")
    named = request.get("CreateVolumePermission", {})
    add, remove = list(named.get("Add", [])), list(named.get("Remove", []))
    listed = [{"UserId": each} for each in request.get("UserIds", [])]
    listed += [{"Group": each} for each in request.get("GroupNames", [])]
    if listed and "OperationType" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter operationType")
    (add if request.get("OperationType") == "add" else remove).extend(listed)
    if not add and not remove:
        raise ServiceError("MissingParameter", "The request must contain the parameter createVolumePermission")
    call.tx.put(model.SNAPSHOTS, _with_permissions(snapshot, add, remove))
    return None


def _with_permissions(snapshot: Snapshot, add: list[dict[str, str]], remove: list[dict[str, str]]) -> Snapshot:
    for each in (*add, *remove):
        if not re.fullmatch(r"\d{12}", each.get("UserId", "0" * 12)):
            raise ServiceError("InvalidUserID.Malformed", f"Invalid user id: {each['UserId']}")
        if each.get("Group", "all") != "all":
            raise ServiceError("InvalidGroup.NotFound", f"The group '{each['Group']}' does not exist")
    public, accounts = shared(snapshot.public, snapshot.accounts, add, remove)
    return replace(snapshot, public=public, accounts=accounts)


@operation("ResetSnapshotAttribute")
def reset_snapshot_attribute(call: Call, request: Request) -> Output:
    """Nobody but the owner may make volumes of it."""
    snapshot = own(call, request["SnapshotId"])
    if request["Attribute"] != "createVolumePermission":
        raise ServiceError("InvalidParameterValue", "Only createVolumePermission can be reset.")
    call.tx.put(model.SNAPSHOTS, replace(snapshot, public=False, accounts=[]))
    return None
