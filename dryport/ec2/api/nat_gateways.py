"""NAT gateways: one public address for what reaches out of private subnets."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, earlier, get, new_tags, operation, select, tag_list
from dryport.ec2.model import NatGateway
from dryport.gateway.service import Call, Output


def describe(gateway: NatGateway) -> dict[str, Any]:
    """A NAT gateway as EC2 answers it."""
    address: dict[str, Any] = {"AllocationId": gateway.allocation_id, "IsPrimary": True, "Status": "succeeded"}
    if gateway.state == "failed":
        address["Status"] = "failed"
    elif gateway.state == "pending":
        address |= {
            "NetworkInterfaceId": gateway.interface_id,
            "PrivateIp": gateway.private_ip,
            "Status": "associating",
        }
    else:
        address |= {
            "NetworkInterfaceId": gateway.interface_id,
            "PrivateIp": gateway.private_ip,
            "PublicIp": gateway.public_ip,
            "AssociationId": gateway.association_id,
        }
    described: dict[str, Any] = {
        "CreateTime": gateway.created_at,
        "NatGatewayAddresses": [address],
        "NatGatewayId": gateway.id,
        "State": gateway.state,
        "SubnetId": gateway.subnet_id,
        "VpcId": gateway.vpc_id,
        "Tags": tag_list(gateway.tags),
        "ConnectivityType": "public",
        "AvailabilityMode": "zonal",
    }
    optional = {
        "DeleteTime": gateway.deleted_at,
        "FailureCode": gateway.failure_code or None,
        "FailureMessage": gateway.failure_message or None,
    }
    return described | {key: value for key, value in optional.items() if value is not None}


@operation(
    "CreateNatGateway",
    unsupported=(
        "AvailabilityZoneAddresses",
        "SecondaryAllocationIds",
        "SecondaryPrivateIpAddresses",
        "SecondaryPrivateIpAddressCount",
        "VpcId",
    ),
)
def create_nat_gateway(call: Call, request: Request) -> Output:
    if request.get("ConnectivityType", "public") != "public":
        raise unsupported_parameter("ec2", "CreateNatGateway", "ConnectivityType=private")
    if request.get("AvailabilityMode", "zonal") != "zonal":
        raise unsupported_parameter("ec2", "CreateNatGateway", "AvailabilityMode=regional")
    known = earlier(call, model.NAT_GATEWAYS, request)
    made = known or _create(call, request)
    answer = {"NatGateway": {**describe(made), "State": "pending"} if known is None else describe(made)}
    return {**answer, "ClientToken": made.client_token} if made.client_token else answer


def _create(call: Call, request: Request) -> NatGateway:
    for name in ("SubnetId", "AllocationId"):
        if name not in request:
            member = name[0].lower() + name[1:]
            raise ServiceError("MissingParameter", f"The request must contain the parameter {member}")
    tags = new_tags(request, "natgateway")
    subnet = get(call, "subnet", request["SubnetId"])
    address = get(call, "eipalloc", request["AllocationId"])
    gateway = NatGateway(
        id=resource_id(call.random, "nat"),
        account=call.account,
        region=call.region,
        tags=tags,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        allocation_id=address.id,
        association_id="",
        interface_id="",
        private_ip="",
        public_ip="",
        client_token=request.get("ClientToken", ""),
        created_at=call.now,
    )
    failure = _failure(call, gateway, address)
    if failure is not None:
        gateway = replace(
            gateway, state="failed", failure_code=failure[0], failure_message=failure[1], deleted_at=call.now
        )
        call.tx.put(model.NAT_GATEWAYS, gateway)
        return gateway
    interface = published.create_network_interface(
        call.tx,
        call.random,
        now=call.now,
        account=call.account,
        region=call.region,
        subnet_id=subnet.id,
        group_ids=[],
        description=f"Interface for NAT Gateway {gateway.id}",
        owner=gateway.id,
        private_ip=request.get("PrivateIpAddress"),
        requester_id="amazon-elasticnatgateway",
        routed=True,
        interface_type="nat_gateway",
    )
    association = resource_id(call.random, "eipassoc")
    interface = replace(interface, group_ids=[], public_ip=address.public_ip, association_id=association)
    call.tx.put(model.NETWORK_INTERFACES, interface)
    bound = replace(address, interface_id=interface.id, association_id=association, nat_gateway_id=gateway.id)
    call.tx.put(model.ADDRESSES, bound)
    gateway = replace(
        gateway,
        association_id=association,
        interface_id=interface.id,
        private_ip=interface.private_ip,
        public_ip=address.public_ip,
    )
    call.tx.put(model.NAT_GATEWAYS, gateway)
    return gateway


def _failure(call: Call, gateway: NatGateway, address: model.ElasticAddress) -> tuple[str, str] | None:
    """Why a gateway cannot work, as a failed one says it. Source: "Troubleshoot NAT gateways", VPC user guide."""
    if not call.tx.count(model.INTERNET_GATEWAYS, "vpc", gateway.vpc_id):
        return "Gateway.NotAttached", f"Network {gateway.vpc_id} has no Internet gateway attached"
    if address.interface_id is not None:
        return "Resource.AlreadyAssociated", f"Elastic IP address [{address.id}] is already associated"
    return None


@operation("DeleteNatGateway")
def delete_nat_gateway(call: Call, request: Request) -> Output:
    gateway = get(call, "nat", request["NatGatewayId"])
    if gateway.state in ("pending", "available"):
        call.tx.put(model.NAT_GATEWAYS, replace(gateway, state="deleting"))
    return {"NatGatewayId": gateway.id}


_FILTERS: filters.Fields[NatGateway] = {
    "nat-gateway-id": lambda g: [g.id],
    "state": lambda g: [g.state],
    "subnet-id": lambda g: [g.subnet_id],
    "vpc-id": lambda g: [g.vpc_id],
    "tag-key": filters.tags,
}


@operation("DescribeNatGateways")
def describe_nat_gateways(call: Call, request: Request) -> Output:
    found = select(call, "nat", request.get("NatGatewayIds"))
    found = filters.apply({"Filters": request.get("Filter", [])}, found, _FILTERS)
    return filters.page(request, "NatGateways", found, describe, "NatGatewayIds")
