"""VPCs and their attributes."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ec2 import defaults, model, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, dependents_by_vpc, get, new_tags, operation, select, with_tags
from dryport.ec2.model import Vpc
from dryport.gateway.service import Call, Output

_BLOCK = re.compile(r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}")


def parse_block(text: str, parameter: str = "cidrBlock") -> IPv4Network:
    """An IPv4 block in its canonical form. Raises ServiceError."""
    try:
        if not _BLOCK.fullmatch(text):
            raise ValueError
        return IPv4Network(text, strict=False)
    except ValueError:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block.",
        ) from None


def describe(vpc: Vpc) -> dict[str, Any]:
    """A VPC as DescribeVpcs has it."""
    association = {
        "AssociationId": vpc.cidr_association_id,
        "CidrBlock": vpc.cidr_block,
        "CidrBlockState": {"State": "associated"},
    }
    described = {
        "OwnerId": vpc.account,
        "InstanceTenancy": vpc.instance_tenancy,
        "CidrBlockAssociationSet": [association],
        "IsDefault": vpc.is_default,
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "VpcId": vpc.id,
        "State": "available",
        "CidrBlock": vpc.cidr_block,
        "DhcpOptionsId": vpc.dhcp_options_id,
    }
    return with_tags(described, vpc)


def _created(vpc: Vpc) -> dict[str, Any]:
    described = describe(vpc)
    del described["BlockPublicAccessStates"]
    return {**described, "State": "pending", "Ipv6CidrBlockAssociationSet": []}


@operation(
    "CreateVpc",
    unsupported=(
        "AmazonProvidedIpv6CidrBlock",
        "Ipv6Pool",
        "Ipv6CidrBlock",
        "Ipv4IpamPoolId",
        "Ipv4NetmaskLength",
        "Ipv6IpamPoolId",
        "Ipv6NetmaskLength",
        "Ipv6CidrBlockNetworkBorderGroup",
        "VpcEncryptionControl",
    ),
)
def create_vpc(call: Call, request: Request) -> Output:
    tenancy = request.get("InstanceTenancy", "default")
    if tenancy != "default":
        raise unsupported_parameter("ec2", "CreateVpc", f"InstanceTenancy={tenancy}")
    if "CidrBlock" not in request:
        raise ServiceError("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
    block = parse_block(request["CidrBlock"])
    if not 16 <= block.prefixlen <= 28:
        raise ServiceError("InvalidVpc.Range", f"The CIDR '{request['CidrBlock']}' is invalid.")
    tags = new_tags(request, "vpc")
    vpc = defaults.create_vpc(call.tx, call.random, call.account, call.region, str(block), tags=tags)
    return {"Vpc": _created(vpc)}


@operation("CreateDefaultVpc")
def create_default_vpc(call: Call, request: Request) -> Output:
    if published.default_vpc(call.tx, call.account, call.region) is not None:
        raise ServiceError("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
    return {"Vpc": _created(defaults.create_default_vpc(call.tx, call.random, call.account, call.region))}


@operation("DeleteVpc")
def delete_vpc(call: Call, request: Request) -> Output:
    vpc = get(call, "vpc", request["VpcId"])
    tx = call.tx
    groups = tx.find(model.SECURITY_GROUPS, "vpc", vpc.id)
    tables = tx.find(model.ROUTE_TABLES, "vpc", vpc.id)
    if (
        tx.count(model.SUBNETS, "vpc", vpc.id)
        or tx.count(model.INTERNET_GATEWAYS, "vpc", vpc.id)
        or dependents_by_vpc(tx, model.NETWORK_INTERFACES, vpc.id)
        or any(group.name != "default" for group in groups)
        or any(not table.is_main for table in tables)
    ):
        raise ServiceError("DependencyViolation", f"The vpc '{vpc.id}' has dependencies and cannot be deleted.")
    for group in groups:
        for rule in tx.find(model.SECURITY_GROUP_RULES, "group", group.id):
            tx.delete(model.SECURITY_GROUP_RULES, rule.id)
        tx.delete(model.SECURITY_GROUPS, group.id)
    for table in tables:
        tx.delete(model.ROUTE_TABLES, table.id)
    for acl in tx.find(model.NETWORK_ACLS, "vpc", vpc.id):
        tx.delete(model.NETWORK_ACLS, acl.id)
    for leaving in tx.find(model.NETWORK_INTERFACES, "vpc", vpc.id):
        tx.delete(model.NETWORK_INTERFACES, leaving.id)  # they go with the VPC's namespace
    tx.delete(model.VPCS, vpc.id)
    return None


_FILTERS: filters.Fields[Vpc] = {
    "cidr": lambda v: [v.cidr_block],
    "cidr-block-association.cidr-block": lambda v: [v.cidr_block],
    "cidr-block-association.association-id": lambda v: [v.cidr_association_id],
    "cidr-block-association.state": lambda v: ["associated"],
    "cidrBlock": lambda v: [v.cidr_block],
    "cidr-block": lambda v: [v.cidr_block],
    "dhcp-options-id": lambda v: [v.dhcp_options_id],
    "dhcpOptionsId": lambda v: [v.dhcp_options_id],
    "ipv6-cidr-block-association.ipv6-cidr-block": lambda v: [],
    "ipv6-cidr-block-association.ipv6-pool": lambda v: [],
    "ipv6-cidr-block-association.association-id": lambda v: [],
    "ipv6-cidr-block-association.state": lambda v: [],
    "is-default": lambda v: [v.is_default],
    "isDefault": lambda v: [v.is_default],
    "owner-id": lambda v: [v.account],
    "state": lambda v: ["available"],
    "vpc-id": lambda v: [v.id],
    "tag-key": filters.tags,
}


@operation("DescribeVpcs")
def describe_vpcs(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "vpc", request.get("VpcIds")), _FILTERS)
    return filters.page(request, "Vpcs", found, describe, "VpcIds")


@operation("ModifyVpcAttribute", unsupported=("EnableNetworkAddressUsageMetrics",))
def modify_vpc_attribute(call: Call, request: Request) -> Output:
    vpc = get(call, "vpc", request["VpcId"])
    given = [name for name in ("EnableDnsHostnames", "EnableDnsSupport") if name in request]
    if len(given) > 1:
        raise ServiceError("InvalidParameterCombination", "Fields for multiple attribute types specified")
    for name, field in (("EnableDnsHostnames", "enable_dns_hostnames"), ("EnableDnsSupport", "enable_dns_support")):
        if name in request:
            vpc = replace(vpc, **{field: bool(request[name].get("Value", False))})
    call.tx.put(model.VPCS, vpc)
    return None


@operation("DescribeVpcAttribute")
def describe_vpc_attribute(call: Call, request: Request) -> Output:
    vpc = get(call, "vpc", request["VpcId"])
    values = {
        "enableDnsSupport": ("EnableDnsSupport", vpc.enable_dns_support),
        "enableDnsHostnames": ("EnableDnsHostnames", vpc.enable_dns_hostnames),
        "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", False),
    }
    name, value = values[request["Attribute"]]
    return {"VpcId": vpc.id, name: {"Value": value}}
