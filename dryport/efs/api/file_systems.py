"""File systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws.identifiers import resource_id
from dryport.ec2 import published as ec2
from dryport.efs import model
from dryport.efs.api.common import by_marker, file_system, named, plain_id, refusal, tag_list, with_tags
from dryport.efs.model import FileSystem
from dryport.gateway.service import Call, Output, Service
from dryport.store import Reader

if TYPE_CHECKING:
    from types_boto3_efs import type_defs as shapes

_MOST = 1000  # file systems of an account in a region ("Amazon EFS quotas")
_FASTEST = 1024.0  # MiB/s that can be provisioned
_DAY = 86_400.0  # seconds between changes of the throughput


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateFileSystem", unsupported=("Encrypted", "KmsKeyId", "Backup"))(create)
    service.operation("DescribeFileSystems")(describe_all)
    service.operation("UpdateFileSystem")(update)
    service.operation("DeleteFileSystem")(delete)


def describe(reader: Reader, each: FileSystem) -> dict[str, Any]:
    """A file system as DescribeFileSystems has it."""
    size: dict[str, Any] = {"Value": each.bytes, "ValueInIA": 0, "ValueInStandard": each.bytes, "ValueInArchive": 0}
    if each.measured_at is not None:
        size["Timestamp"] = each.measured_at
    described: dict[str, Any] = {
        "OwnerId": each.account,
        "CreationToken": each.creation_token,
        "FileSystemId": each.id,
        "FileSystemArn": each.arn,
        "CreationTime": each.created_at,
        "LifeCycleState": each.state,
        **named(each.tags),
        "NumberOfMountTargets": reader.count(model.MOUNT_TARGETS, "file_system", each.id),
        "SizeInBytes": size,
        "PerformanceMode": each.performance_mode,
        "Encrypted": False,
        "ThroughputMode": each.throughput_mode,
        "Tags": tag_list(each.tags),
        "FileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"},
    }
    if each.provisioned is not None:
        described["ProvisionedThroughputInMibps"] = each.provisioned
    if each.availability_zone:
        described["AvailabilityZoneName"] = each.availability_zone
        described["AvailabilityZoneId"] = ec2.zone_id(each.availability_zone)
    return described


def create(call: Call, request: shapes.CreateFileSystemRequestTypeDef) -> Output:
    token = request["CreationToken"]
    earlier = call.tx.find(model.FILE_SYSTEMS, "token", model.token(call.account, call.region, token))
    if earlier:
        raise refusal(
            "FileSystemAlreadyExists",
            f"File system '{earlier[0].id}' already exists with creation token '{token}'",
            FileSystemId=earlier[0].id,
        )
    if call.tx.count(model.FILE_SYSTEMS, "scope", model.scope(call.account, call.region)) >= _MOST:
        raise refusal("FileSystemLimitExceeded", f"You have reached the maximum number of file systems ({_MOST}).")
    zone = request.get("AvailabilityZoneName", "")
    if zone and zone not in ec2.zones(call.region):
        raise refusal("UnsupportedAvailabilityZone", f"The Availability Zone '{zone}' does not exist.")
    made = FileSystem(
        id=resource_id(call.random, "fs"),
        account=call.account,
        region=call.region,
        creation_token=token,
        created_at=float(int(call.now)),
        performance_mode=request.get("PerformanceMode", "generalPurpose"),
        throughput_mode=request.get("ThroughputMode", "bursting"),
        provisioned=request.get("ProvisionedThroughputInMibps"),
        availability_zone=zone,
        tags=with_tags({}, request.get("Tags", [])),
    )
    _check_modes(made)
    call.tx.put(model.FILE_SYSTEMS, made)
    return describe(call.tx, made)


def _check_modes(made: FileSystem) -> None:
    if made.performance_mode == "maxIO" and made.availability_zone:
        raise refusal("BadRequest", "One Zone file systems do not support the maxIO performance mode.")
    if made.performance_mode == "maxIO" and made.throughput_mode == "elastic":
        raise refusal("BadRequest", "Elastic throughput is not supported with the maxIO performance mode.")
    if made.throughput_mode == "provisioned":
        if made.provisioned is None:
            raise refusal("BadRequest", "ProvisionedThroughputInMibps is required in the provisioned throughput mode.")
        if made.provisioned > _FASTEST:
            raise refusal("ThroughputLimitExceeded", f"The provisioned throughput limit is {_FASTEST:.0f} MiB/s.")
    elif made.provisioned is not None:
        raise refusal("BadRequest", "ProvisionedThroughputInMibps is for the provisioned throughput mode only.")


def describe_all(call: Call, request: shapes.DescribeFileSystemsRequestTypeDef) -> Output:
    if "FileSystemId" in request:
        found = [file_system(call, request["FileSystemId"])]
    else:
        found = call.tx.find(model.FILE_SYSTEMS, "scope", model.scope(call.account, call.region))
    if "CreationToken" in request:
        found = [each for each in found if each.creation_token == request["CreationToken"]]
    shown, pages = by_marker(sorted(found, key=lambda each: (each.created_at, each.id)), request)
    return {"FileSystems": [describe(call.tx, each) for each in shown], **pages}


def update(call: Call, request: shapes.UpdateFileSystemRequestTypeDef) -> Output:
    old = file_system(call, request["FileSystemId"], available=True)
    mode = request.get("ThroughputMode", old.throughput_mode)
    kept = old.provisioned if mode == "provisioned" else None
    new = replace(old, throughput_mode=mode, provisioned=request.get("ProvisionedThroughputInMibps", kept))
    _check_modes(new)
    if (new.throughput_mode, new.provisioned) == (old.throughput_mode, old.provisioned):
        raise refusal("BadRequest", "The file system has this throughput already.")
    slower = mode != old.throughput_mode or (new.provisioned or 0.0) < (old.provisioned or 0.0)
    if slower:
        if old.throughput_changed_at is not None and call.now < old.throughput_changed_at + _DAY:
            raise refusal(
                "TooManyRequests",
                "The throughput mode can be changed, and the provisioned throughput be decreased, once in 24 hours.",
            )
        new = replace(new, throughput_changed_at=call.now)
    call.tx.put(model.FILE_SYSTEMS, new)
    return describe(call.tx, new)


def delete(call: Call, request: shapes.DeleteFileSystemRequestTypeDef) -> Output:
    found = file_system(call, plain_id(request["FileSystemId"]))
    if call.tx.count(model.MOUNT_TARGETS, "file_system", found.id):
        raise refusal(
            "FileSystemInUse",
            f"The file system '{found.id}' cannot be deleted because it has mount targets. "
            "You must delete the mount targets, and then try again.",
        )
    for point in call.tx.find(model.ACCESS_POINTS, "file_system", found.id):
        call.tx.delete(model.ACCESS_POINTS, point.id)
    call.tx.put(model.FILE_SYSTEMS, replace(found, state="deleting"))
    return {}
