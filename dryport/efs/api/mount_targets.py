"""Mount targets: where a file system is mounted from in an availability zone. Each has an interface of EC2's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.aws.identifiers import resource_id
from dryport.ec2 import published as ec2
from dryport.efs import model, names
from dryport.efs.api.common import access_point, by_marker, file_system, mount_target, refusal
from dryport.efs.model import FileSystem, MountTarget
from dryport.gateway.service import Call, Output, Service

if TYPE_CHECKING:
    from types_boto3_efs import type_defs as shapes

_CODES = {
    "InvalidSubnetID.NotFound": "SubnetNotFound",
    "InvalidGroup.NotFound": "SecurityGroupNotFound",
    "InvalidParameter": "SecurityGroupNotFound",
    "SecurityGroupsPerInterfaceLimitExceeded": "SecurityGroupLimitExceeded",
    "InsufficientFreeAddressesInSubnet": "NoFreeAddressesInSubnet",
    "InvalidIPAddress.InUse": "IpAddressInUse",
    "InvalidParameterValue": "BadRequest",
}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateMountTarget", unsupported=("Ipv6Address",))(create)
    service.operation("DescribeMountTargets")(describe_all)
    service.operation("DeleteMountTarget")(delete)
    service.operation("DescribeMountTargetSecurityGroups")(describe_groups)
    service.operation("ModifyMountTargetSecurityGroups")(modify_groups)


def describe(each: MountTarget, state: str = "available") -> dict[str, Any]:
    """A mount target as DescribeMountTargets has it."""
    return {
        "OwnerId": each.account,
        "MountTargetId": each.id,
        "FileSystemId": each.file_system_id,
        "SubnetId": each.subnet_id,
        "LifeCycleState": state,
        "IpAddress": each.ip_address,
        "NetworkInterfaceId": each.interface_id,
        "AvailabilityZoneId": ec2.zone_id(each.availability_zone),
        "AvailabilityZoneName": each.availability_zone,
        "VpcId": each.vpc_id,
    }


def create(call: Call, request: shapes.CreateMountTargetRequestTypeDef) -> Output:
    if request.get("IpAddressType", "IPV4_ONLY") != "IPV4_ONLY":
        raise unsupported_parameter("efs", "CreateMountTarget", f"IpAddressType={request['IpAddressType']}")
    system = file_system(call, request["FileSystemId"], available=True)
    ec2.ensure_region(call.tx, call.random, call.account, call.region)
    subnet = ec2.subnet(call.tx, call.account, call.region, request["SubnetId"])
    if subnet is None:
        raise refusal("SubnetNotFound", f"The subnet ID '{request['SubnetId']}' does not exist")
    _check_place(call, system, subnet.vpc_id, subnet.availability_zone)
    target_id = resource_id(call.random, "fsmt")
    try:
        interface = ec2.create_network_interface(
            call.tx,
            call.random,
            now=call.now,
            account=call.account,
            region=call.region,
            subnet_id=subnet.id,
            group_ids=list(request.get("SecurityGroups", [])),
            description=f"EFS mount target for {system.id} ({target_id})",
            owner=target_id,
            private_ip=request.get("IpAddress"),
            requester_id="EFS",
            routed=True,
            names=names.of_mount_target(system.id, call.region, subnet.availability_zone),
        )
    except ServiceError as error:
        raise refusal(_CODES.get(error.code, "BadRequest"), error.message) from None
    made = MountTarget(
        id=target_id,
        account=call.account,
        region=call.region,
        file_system_id=system.id,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        availability_zone=subnet.availability_zone,
        interface_id=interface.id,
        ip_address=interface.private_ip,
    )
    call.tx.put(model.MOUNT_TARGETS, made)
    return describe(made, "creating")


def _check_place(call: Call, system: FileSystem, vpc_id: str, zone: str) -> None:
    if system.availability_zone and system.availability_zone != zone:
        raise refusal(
            "AvailabilityZonesMismatch",
            f"The Availability Zone of the subnet, '{zone}', is not that of the One Zone file system, "
            f"'{system.availability_zone}'.",
        )
    for other in model.mount_targets(call.tx, system.id):
        if other.vpc_id != vpc_id:
            raise refusal(
                "MountTargetConflict",
                "requested subnet for new mount target is not in the same VPC as existing mount targets",
            )
        if other.availability_zone == zone:
            raise refusal("MountTargetConflict", "mount target already exists in this AZ")


def describe_all(call: Call, request: shapes.DescribeMountTargetsRequestTypeDef) -> Output:
    given = [name for name in ("FileSystemId", "MountTargetId", "AccessPointId") if name in request]
    if len(given) != 1:
        raise refusal(
            "BadRequest", "Exactly one of 'FileSystemId', 'MountTargetId' and 'AccessPointId' must be specified."
        )
    if "MountTargetId" in request:
        found = [mount_target(call, request["MountTargetId"])]
    elif "AccessPointId" in request:
        found = model.mount_targets(call.tx, access_point(call, request["AccessPointId"]).file_system_id)
    else:
        found = model.mount_targets(call.tx, file_system(call, request["FileSystemId"]).id)
    shown, pages = by_marker(found, request)
    return {"MountTargets": [describe(each) for each in shown], **pages}


def delete(call: Call, request: shapes.DeleteMountTargetRequestTypeDef) -> Output:
    found = mount_target(call, request["MountTargetId"])
    ec2.delete_network_interface(call.tx, found.interface_id)
    call.tx.delete(model.MOUNT_TARGETS, found.id)
    return {}


def describe_groups(call: Call, request: shapes.DescribeMountTargetSecurityGroupsRequestTypeDef) -> Output:
    found = mount_target(call, request["MountTargetId"])
    interface = ec2.network_interface(call.tx, found.interface_id)
    return {"SecurityGroups": list(interface.group_ids) if interface is not None else []}


def modify_groups(call: Call, request: shapes.ModifyMountTargetSecurityGroupsRequestTypeDef) -> Output:
    found = mount_target(call, request["MountTargetId"])
    try:
        ec2.set_groups(call.tx, found.interface_id, list(request.get("SecurityGroups", [])))
    except ServiceError as error:
        raise refusal(_CODES.get(error.code, "BadRequest"), error.message) from None
    return {}
