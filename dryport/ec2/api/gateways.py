"""Internet gateways."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, dependents_by_vpc, get, new_tags, operation, select, tag_list
from dryport.ec2.model import InternetGateway
from dryport.gateway.service import Call, Output


def describe(gateway: InternetGateway) -> dict[str, Any]:
    """An internet gateway as EC2 answers it."""
    return {
        "Attachments": [{"State": "available", "VpcId": gateway.vpc_id}] if gateway.vpc_id else [],
        "InternetGatewayId": gateway.id,
        "OwnerId": gateway.account,
        "Tags": tag_list(gateway.tags),
    }


@operation("CreateInternetGateway")
def create_internet_gateway(call: Call, request: Request) -> Output:
    tags = new_tags(request, "internet-gateway")
    made = InternetGateway(id=resource_id(call.random, "igw"), account=call.account, region=call.region, tags=tags)
    call.tx.put(model.INTERNET_GATEWAYS, made)
    return {"InternetGateway": describe(made)}


@operation("AttachInternetGateway")
def attach_internet_gateway(call: Call, request: Request) -> Output:
    gateway = get(call, "igw", request["InternetGatewayId"])
    vpc = get(call, "vpc", request["VpcId"])
    if gateway.vpc_id is not None:
        raise ServiceError(
            "Resource.AlreadyAssociated", f"resource {gateway.id} is already attached to network {gateway.vpc_id}"
        )
    if call.tx.count(model.INTERNET_GATEWAYS, "vpc", vpc.id):
        raise ServiceError("InvalidParameterValue", f"Network {vpc.id} already has an internet gateway attached")
    call.tx.put(model.INTERNET_GATEWAYS, replace(gateway, vpc_id=vpc.id))
    return None


@operation("DetachInternetGateway")
def detach_internet_gateway(call: Call, request: Request) -> Output:
    gateway = get(call, "igw", request["InternetGatewayId"])
    vpc = get(call, "vpc", request["VpcId"])
    if gateway.vpc_id != vpc.id:
        raise ServiceError("Gateway.NotAttached", f"resource {gateway.id} is not attached to network {vpc.id}")
    if any(each.public_ip for each in dependents_by_vpc(call.tx, model.NETWORK_INTERFACES, vpc.id)):
        raise ServiceError(
            "DependencyViolation",
            f"Network {vpc.id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway.",
        )
    call.tx.put(model.INTERNET_GATEWAYS, replace(gateway, vpc_id=None))
    return None


@operation("DeleteInternetGateway")
def delete_internet_gateway(call: Call, request: Request) -> Output:
    gateway = get(call, "igw", request["InternetGatewayId"])
    if gateway.vpc_id is not None:
        raise ServiceError(
            "DependencyViolation", f"The internetGateway '{gateway.id}' has dependencies and cannot be deleted."
        )
    call.tx.delete(model.INTERNET_GATEWAYS, gateway.id)
    return None


_FILTERS: filters.Fields[InternetGateway] = {
    "attachment.state": lambda g: ["available"] if g.vpc_id else [],
    "attachment.vpc-id": lambda g: [g.vpc_id],
    "internet-gateway-id": lambda g: [g.id],
    "owner-id": lambda g: [g.account],
    "tag-key": filters.tags,
}


@operation("DescribeInternetGateways")
def describe_internet_gateways(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "igw", request.get("InternetGatewayIds")), _FILTERS)
    return filters.page(request, "InternetGateways", found, describe, "InternetGatewayIds")
