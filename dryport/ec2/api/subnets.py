"""Subnets."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, defaults, model, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, arn, get, new_tags, operation, select, visible, with_tags
from dryport.ec2.api.vpcs import parse_block
from dryport.ec2.model import Subnet
from dryport.gateway.service import Call, Output
from dryport.store import Reader


def describe(reader: Reader, subnet: Subnet) -> dict[str, Any]:
    """A subnet as DescribeSubnets has it."""
    described = {
        "AvailabilityZoneId": subnet.availability_zone_id,
        "MapCustomerOwnedIpOnLaunch": False,
        "OwnerId": subnet.account,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "SubnetArn": arn(subnet),
        "EnableDns64": False,
        "Ipv6Native": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "SubnetId": subnet.id,
        "State": "available",
        "VpcId": subnet.vpc_id,
        "CidrBlock": subnet.cidr_block,
        "AvailableIpAddressCount": published.free_addresses(reader, subnet),
        "AvailabilityZone": subnet.availability_zone,
        "DefaultForAz": subnet.default_for_az,
        "MapPublicIpOnLaunch": subnet.map_public_ip_on_launch,
    }
    return with_tags(described, subnet)


def _created(reader: Reader, subnet: Subnet) -> dict[str, Any]:
    described = describe(reader, subnet)
    del described["BlockPublicAccessStates"], described["MapCustomerOwnedIpOnLaunch"]
    return described


def _zone(call: Call, request: Request) -> str:
    zones = addressing.zones(call.region)
    if "AvailabilityZoneId" in request:
        wanted = request["AvailabilityZoneId"]
        for zone in zones:
            if addressing.zone_id(zone) == wanted:
                return zone
        ids = ", ".join(addressing.zone_id(zone) for zone in zones)
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({wanted}) for parameter availabilityZoneId is invalid. Subnets can currently only be created in "
            f"the following availability zones: {ids}.",
        )
    zone = request.get("AvailabilityZone", zones[0])
    if zone not in zones:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the "
            f"following availability zones: {', '.join(zones)}.",
        )
    return str(zone)


@operation(
    "CreateSubnet",
    unsupported=(
        "Ipv6CidrBlock",
        "Ipv6Native",
        "OutpostArn",
        "Ipv4IpamPoolId",
        "Ipv4NetmaskLength",
        "Ipv6IpamPoolId",
        "Ipv6NetmaskLength",
    ),
)
def create_subnet(call: Call, request: Request) -> Output:
    tags = new_tags(request, "subnet")
    vpc = get(call, "vpc", request["VpcId"])
    if "CidrBlock" not in request:
        raise ServiceError("MissingParameter", "Either 'cidrBlock' or 'ipv6CidrBlock' should be provided.")
    block = parse_block(request["CidrBlock"])
    if not 16 <= block.prefixlen <= 28 or not block.subnet_of(IPv4Network(vpc.cidr_block)):
        raise ServiceError("InvalidSubnet.Range", f"The CIDR '{request['CidrBlock']}' is invalid.")
    for other in call.tx.find(model.SUBNETS, "vpc", vpc.id):
        if block.overlaps(IPv4Network(other.cidr_block)):
            raise ServiceError("InvalidSubnet.Conflict", f"The CIDR '{block}' conflicts with another subnet")
    zone = _zone(call, request)
    subnet = defaults.create_subnet(call.tx, call.random, vpc, str(block), zone, tags=tags)
    return {"Subnet": _created(call.tx, subnet)}


@operation("CreateDefaultSubnet", unsupported=("Ipv6Native",))
def create_default_subnet(call: Call, request: Request) -> Output:
    zone = _zone(call, request)
    vpc = published.default_vpc(call.tx, call.account, call.region)
    if vpc is None:
        raise ServiceError("DefaultVpcDoesNotExist", "No default VPC for this user")
    others = call.tx.find(model.SUBNETS, "vpc", vpc.id)
    for other in others:
        if other.default_for_az and other.availability_zone == zone:
            raise ServiceError(
                "DefaultSubnetAlreadyExistsInAvailabilityZone", f"'{other.id}' is already the default subnet in {zone}."
            )
    taken = [IPv4Network(other.cidr_block) for other in others]
    for block in IPv4Network(vpc.cidr_block).subnets(new_prefix=20):
        if not any(block.overlaps(other) for other in taken):
            subnet = defaults.create_subnet(call.tx, call.random, vpc, str(block), zone, is_default=True)
            return {"Subnet": _created(call.tx, subnet)}
    raise ServiceError("InvalidSubnet.Conflict", "The default VPC has no room for another subnet")


@operation("DeleteSubnet")
def delete_subnet(call: Call, request: Request) -> Output:
    subnet = get(call, "subnet", request["SubnetId"])
    interfaces = call.tx.find(model.NETWORK_INTERFACES, "subnet", subnet.id)
    if any(visible(each) for each in interfaces):
        raise ServiceError("DependencyViolation", f"The subnet '{subnet.id}' has dependencies and cannot be deleted.")
    for table in call.tx.find(model.ROUTE_TABLES, "subnet", subnet.id):
        kept = [each for each in table.associations if each.subnet_id != subnet.id]
        call.tx.put(model.ROUTE_TABLES, replace(table, associations=kept))
    for acl in call.tx.find(model.NETWORK_ACLS, "vpc", subnet.vpc_id):
        associations = {key: value for key, value in acl.association_ids.items() if key != subnet.id}
        call.tx.put(model.NETWORK_ACLS, replace(acl, association_ids=associations))
    call.tx.delete(model.SUBNETS, subnet.id)
    return None


def _fields(reader: Reader) -> filters.Fields[Subnet]:
    return {
        "availability-zone": lambda s: [s.availability_zone],
        "availabilityZone": lambda s: [s.availability_zone],
        "availability-zone-id": lambda s: [s.availability_zone_id],
        "availabilityZoneId": lambda s: [s.availability_zone_id],
        "available-ip-address-count": lambda s: [published.free_addresses(reader, s)],
        "cidr-block": lambda s: [s.cidr_block],
        "cidr": lambda s: [s.cidr_block],
        "cidrBlock": lambda s: [s.cidr_block],
        "customer-owned-ipv4-pool": lambda s: [],
        "default-for-az": lambda s: [s.default_for_az],
        "defaultForAz": lambda s: [s.default_for_az],
        "enable-dns64": lambda s: [False],
        "enable-lni-at-device-index": lambda s: [],
        "ipv6-cidr-block-association.ipv6-cidr-block": lambda s: [],
        "ipv6-cidr-block-association.association-id": lambda s: [],
        "ipv6-cidr-block-association.state": lambda s: [],
        "ipv6-native": lambda s: [False],
        "map-customer-owned-ip-on-launch": lambda s: [False],
        "map-public-ip-on-launch": lambda s: [s.map_public_ip_on_launch],
        "outpost-arn": lambda s: [],
        "owner-id": lambda s: [s.account],
        "private-dns-name-options-on-launch.hostname-type": lambda s: ["ip-name"],
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": lambda s: [False],
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": lambda s: [False],
        "state": lambda s: ["available"],
        "subnet-arn": lambda s: [arn(s)],
        "subnet-id": lambda s: [s.id],
        "vpc-id": lambda s: [s.vpc_id],
        "tag-key": filters.tags,
    }


@operation("DescribeSubnets")
def describe_subnets(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "subnet", request.get("SubnetIds")), _fields(call.tx))
    return filters.page(request, "Subnets", found, lambda each: describe(call.tx, each), "SubnetIds")


@operation(
    "ModifySubnetAttribute",
    unsupported=(
        "AssignIpv6AddressOnCreation",
        "MapCustomerOwnedIpOnLaunch",
        "CustomerOwnedIpv4Pool",
        "EnableDns64",
        "PrivateDnsHostnameTypeOnLaunch",
        "EnableResourceNameDnsARecordOnLaunch",
        "EnableResourceNameDnsAAAARecordOnLaunch",
        "EnableLniAtDeviceIndex",
        "DisableLniAtDeviceIndex",
    ),
)
def modify_subnet_attribute(call: Call, request: Request) -> Output:
    subnet = get(call, "subnet", request["SubnetId"])
    if "MapPublicIpOnLaunch" not in request:
        raise ServiceError("InvalidParameterCombination", "No attributes specified.")
    value = bool(request["MapPublicIpOnLaunch"].get("Value", False))
    call.tx.put(model.SUBNETS, replace(subnet, map_public_ip_on_launch=value))
    return None
