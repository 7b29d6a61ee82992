"""Route tables. Their routes decide whether a public address reaches out, and is reached."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import model
from dryport.ec2.api import filters
from dryport.ec2.api.service import DONE, Request, earlier, get, new_tags, operation, select, tag_list
from dryport.ec2.api.vpcs import parse_block
from dryport.ec2.model import Route, RouteTable, RouteTableAssociation, Vpc
from dryport.gateway.service import Call, Output
from dryport.store import Reader

_IPV6_BLOCK = re.compile(r"[0-9a-fA-F:.]+/\d{1,3}")
_OTHER_TARGETS = (
    "VpcEndpointId",
    "TransitGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
    "EgressOnlyInternetGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
)


def _routes(reader: Reader, table: RouteTable) -> list[dict[str, Any]]:
    vpc = reader.get(model.VPCS, table.vpc_id)
    attached = set(reader.keys(model.INTERNET_GATEWAYS, "vpc", table.vpc_id))
    local = {"GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    described = [{"DestinationCidrBlock": vpc.cidr_block, **local}] if vpc is not None else []
    for route in table.routes:
        if route.nat_gateway_id:
            gateway = reader.get(model.NAT_GATEWAYS, route.nat_gateway_id)
            target, alive = {"NatGatewayId": route.nat_gateway_id}, gateway is not None and gateway.state == "available"
        else:
            target, alive = {"GatewayId": route.gateway_id}, route.gateway_id in attached
        state = "active" if alive else "blackhole"
        described.append({_member(route): route.destination, **target, "Origin": "CreateRoute", "State": state})
    return described


def _member(route: Route) -> str:
    if route.destination.startswith("pl-"):
        return "DestinationPrefixListId"
    return "DestinationIpv6CidrBlock" if ":" in route.destination else "DestinationCidrBlock"


def _association(table: RouteTable, association: RouteTableAssociation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "Main": association.subnet_id is None,
        "RouteTableAssociationId": association.id,
        "RouteTableId": table.id,
        "AssociationState": {"State": "associated"},
    }
    return described | ({"SubnetId": association.subnet_id} if association.subnet_id else {})


def describe(reader: Reader, table: RouteTable) -> dict[str, Any]:
    """A route table as EC2 answers it."""
    return {
        "Associations": [_association(table, each) for each in table.associations],
        "PropagatingVgws": [],
        "RouteTableId": table.id,
        "Routes": _routes(reader, table),
        "Tags": tag_list(table.tags),
        "VpcId": table.vpc_id,
        "OwnerId": table.account,
    }


@operation("CreateRouteTable")
def create_route_table(call: Call, request: Request) -> Output:
    tags = new_tags(request, "route-table")
    vpc = get(call, "vpc", request["VpcId"])
    made = earlier(call, model.ROUTE_TABLES, request) or RouteTable(
        id=resource_id(call.random, "rtb"),
        account=call.account,
        region=call.region,
        tags=tags,
        vpc_id=vpc.id,
        client_token=request.get("ClientToken", ""),
    )
    call.tx.put(model.ROUTE_TABLES, made)
    answer = {"RouteTable": describe(call.tx, made)}
    return {**answer, "ClientToken": made.client_token} if made.client_token else answer


@operation("DeleteRouteTable")
def delete_route_table(call: Call, request: Request) -> Output:
    table = get(call, "rtb", request["RouteTableId"])
    if table.associations:
        raise ServiceError(
            "DependencyViolation", f"The routeTable '{table.id}' has dependencies and cannot be deleted."
        )
    call.tx.delete(model.ROUTE_TABLES, table.id)
    return None


def _destination(call: Call, request: Request) -> str:
    """The destination that a request names, canonical. Raises ServiceError."""
    v4, v6 = request.get("DestinationCidrBlock"), request.get("DestinationIpv6CidrBlock")
    prefixes = request.get("DestinationPrefixListId")
    if [v4, v6, prefixes].count(None) != 2:
        raise ServiceError("MissingParameter", "The request must contain exactly one destination for the route")
    if prefixes is not None:
        return str(get(call, "pl", prefixes).id)
    if v4 is not None:
        return str(parse_block(v4, "destinationCidrBlock"))
    try:
        if not _IPV6_BLOCK.fullmatch(str(v6)):
            raise ValueError
        return str(IPv6Network(v6, strict=False))
    except ValueError:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({v6}) for parameter destinationIpv6CidrBlock is invalid. This is not a valid CIDR block.",
        ) from None


def _route(call: Call, request: Request, table: RouteTable) -> Route:
    destination = _destination(call, request)
    vpc = get(call, "vpc", table.vpc_id)
    if "/" in destination and ":" not in destination and _is_local(destination, vpc):
        raise ServiceError(
            "InvalidParameterValue",
            f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR "
            "blocks. This route can target only an interface or an instance.",
        )
    if ("GatewayId" in request) == ("NatGatewayId" in request):
        raise ServiceError("MissingParameter", "The request must contain exactly one target for the route")
    if "NatGatewayId" in request:
        return _route_to_nat_gateway(call, request["NatGatewayId"], table, destination)
    gateway = get(call, "igw", request["GatewayId"])
    if gateway.vpc_id != table.vpc_id:
        raise ServiceError(
            "InvalidParameterValue",
            f"route table {table.id} and network gateway {gateway.id} belong to different networks",
        )
    return Route(destination=destination, gateway_id=gateway.id)


def _is_local(destination: str, vpc: Vpc) -> bool:
    return IPv4Network(destination).subnet_of(IPv4Network(vpc.cidr_block))


def _route_to_nat_gateway(call: Call, gateway_id: str, table: RouteTable, destination: str) -> Route:
    gateway = call.tx.get(model.NAT_GATEWAYS, gateway_id)
    if gateway is None or (gateway.account, gateway.region) != (call.account, call.region):
        raise ServiceError("InvalidNatGatewayID.NotFound", f"The natGateway ID '{gateway_id}' does not exist")
    if gateway.vpc_id != table.vpc_id:
        raise ServiceError(
            "InvalidParameterValue", f"route table {table.id} and natGateway {gateway.id} belong to different networks"
        )
    return Route(destination=destination, nat_gateway_id=gateway.id)


@operation("CreateRoute", unsupported=_OTHER_TARGETS)
def create_route(call: Call, request: Request) -> Output:
    table = get(call, "rtb", request["RouteTableId"])
    route = _route(call, request, table)
    if _has(table, route.destination):
        raise ServiceError("RouteAlreadyExists", f"The route identified by {route.destination} already exists.")
    call.tx.put(model.ROUTE_TABLES, replace(table, routes=[*table.routes, route]))
    return DONE


@operation("ReplaceRoute", unsupported=(*_OTHER_TARGETS, "LocalTarget"))
def replace_route(call: Call, request: Request) -> Output:
    table = get(call, "rtb", request["RouteTableId"])
    route = _route(call, request, table)
    if not _has(table, route.destination):
        raise ServiceError(
            "InvalidParameterValue",
            f"There is no route defined for '{route.destination}' in the route table. Use CreateRoute instead.",
        )
    routes = [route if each.destination == route.destination else each for each in table.routes]
    call.tx.put(model.ROUTE_TABLES, replace(table, routes=routes))
    return None


@operation("DeleteRoute")
def delete_route(call: Call, request: Request) -> Output:
    table = get(call, "rtb", request["RouteTableId"])
    destination = _destination(call, request)
    if destination == get(call, "vpc", table.vpc_id).cidr_block:
        raise ServiceError(
            "InvalidParameterValue", f"cannot remove local route {destination} in route table {table.id}"
        )
    if not _has(table, destination):
        raise ServiceError(
            "InvalidRoute.NotFound", f"no route with destination-cidr-block {destination} in route table {table.id}"
        )
    routes = [each for each in table.routes if each.destination != destination]
    call.tx.put(model.ROUTE_TABLES, replace(table, routes=routes))
    return None


def _has(table: RouteTable, destination: str) -> bool:
    return any(each.destination == destination for each in table.routes)


@operation("AssociateRouteTable", unsupported=("GatewayId", "PublicIpv4Pool"))
def associate_route_table(call: Call, request: Request) -> Output:
    table = get(call, "rtb", request["RouteTableId"])
    if "SubnetId" not in request:
        raise ServiceError("MissingParameter", "Either 'subnetId' or 'gatewayId' should be provided.")
    subnet = get(call, "subnet", request["SubnetId"])
    if subnet.vpc_id != table.vpc_id:
        raise ServiceError(
            "InvalidParameterValue", f"Route table {table.id} and subnet {subnet.id} belong to different networks"
        )
    for other in call.tx.find(model.ROUTE_TABLES, "subnet", subnet.id):
        if other.id != table.id:
            raise ServiceError(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {table.id} conflicts with an existing association",
            )
        known = next(each for each in other.associations if each.subnet_id == subnet.id)
        return {"AssociationId": known.id, "AssociationState": {"State": "associated"}}
    made = RouteTableAssociation(id=resource_id(call.random, "rtbassoc"), subnet_id=subnet.id)
    call.tx.put(model.ROUTE_TABLES, replace(table, associations=[*table.associations, made]))
    return {"AssociationId": made.id, "AssociationState": {"State": "associated"}}


def _associated(call: Call, association_id: str) -> tuple[RouteTable, RouteTableAssociation]:
    for table in call.tx.find(model.ROUTE_TABLES, "association", association_id):
        if (table.account, table.region) == (call.account, call.region):
            return table, next(each for each in table.associations if each.id == association_id)
    raise ServiceError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")


def _without(table: RouteTable, association: RouteTableAssociation) -> RouteTable:
    return replace(table, associations=[each for each in table.associations if each.id != association.id])


@operation("DisassociateRouteTable")
def disassociate_route_table(call: Call, request: Request) -> Output:
    table, association = _associated(call, request["AssociationId"])
    if association.subnet_id is None:
        raise ServiceError(
            "InvalidParameterValue", f"cannot disassociate the main route table association {association.id}"
        )
    call.tx.put(model.ROUTE_TABLES, _without(table, association))
    return None


@operation("ReplaceRouteTableAssociation")
def replace_route_table_association(call: Call, request: Request) -> Output:
    old, association = _associated(call, request["AssociationId"])
    new = get(call, "rtb", request["RouteTableId"])
    if new.vpc_id != old.vpc_id:
        raise ServiceError(
            "InvalidParameterValue",
            f"The routeTable '{new.id}' and the association '{association.id}' belong to different networks",
        )
    moved = replace(association, id=resource_id(call.random, "rtbassoc"))
    call.tx.put(model.ROUTE_TABLES, _without(old, association))
    new = get(call, "rtb", new.id)
    call.tx.put(model.ROUTE_TABLES, replace(new, associations=[*new.associations, moved]))
    return {"NewAssociationId": moved.id, "AssociationState": {"State": "associated"}}


def _fields(reader: Reader) -> filters.Fields[RouteTable]:
    def of_routes(member: str) -> Any:
        return lambda table: [route.get(member) for route in _routes(reader, table)]

    def nothing(table: RouteTable) -> list[str]:
        return []

    return {
        "association.gateway-id": nothing,
        "association.main": lambda t: [each.subnet_id is None for each in t.associations],
        "association.route-table-association-id": lambda t: [each.id for each in t.associations],
        "association.route-table-id": lambda t: [t.id] if t.associations else [],
        "association.subnet-id": lambda t: [each.subnet_id for each in t.associations],
        "owner-id": lambda t: [t.account],
        "route.destination-cidr-block": of_routes("DestinationCidrBlock"),
        "route.destination-ipv6-cidr-block": of_routes("DestinationIpv6CidrBlock"),
        "route.destination-prefix-list-id": of_routes("DestinationPrefixListId"),
        "route.egress-only-internet-gateway-id": nothing,
        "route.gateway-id": of_routes("GatewayId"),
        "route.instance-id": nothing,
        "route.nat-gateway-id": of_routes("NatGatewayId"),
        "route.origin": of_routes("Origin"),
        "route.state": of_routes("State"),
        "route.transit-gateway-id": nothing,
        "route.vpc-peering-connection-id": nothing,
        "route-table-id": lambda t: [t.id],
        "vpc-id": lambda t: [t.vpc_id],
        "tag-key": filters.tags,
    }


@operation("DescribeRouteTables")
def describe_route_tables(call: Call, request: Request) -> Output:
    found = filters.apply(request, select(call, "rtb", request.get("RouteTableIds")), _fields(call.tx))
    return filters.page(request, "RouteTables", found, lambda each: describe(call.tx, each), "RouteTableIds")
