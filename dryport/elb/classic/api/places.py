"""Where classic load balancers are: subnets, by themselves or by their availability zones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.ec2.model import Subnet
from dryport.elb.classic import policies
from dryport.elb.classic.api.common import balancer, put
from dryport.elb.model import LoadBalancer, Zone
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service

_FREE = 8  # addresses of a subnet that a load balancer needs


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("AttachLoadBalancerToSubnets")(attach)
    service.operation("DetachLoadBalancerFromSubnets")(detach)
    service.operation("EnableAvailabilityZonesForLoadBalancer")(enable)
    service.operation("DisableAvailabilityZonesForLoadBalancer")(disable)


def zone(subnet: Subnet) -> Zone:
    """A balancer's zone in a subnet, before it has an interface there."""
    return Zone(name=subnet.availability_zone, subnet_id=subnet.id)


def asked(call: Call, request: Any) -> list[Subnet]:
    """The subnets that CreateLoadBalancer asks for: of zones, the default ones. Raises ServiceError."""
    subnets, zones = request.get("Subnets") or [], request.get("AvailabilityZones") or []
    if subnets and zones:
        raise invalid("Only one of SubnetIds or AvailabilityZones may be specified")
    if not subnets and not zones:
        raise invalid("Either AvailabilityZones or SubnetIds must be specified")
    found = _subnets(call, subnets) if subnets else _default_subnets(call, zones)
    _check_together(found)
    return found


def _subnets(call: Call, ids: Iterable[str]) -> list[Subnet]:
    found = []
    for each in dict.fromkeys(ids):
        subnet = ec2.subnet(call.tx, call.account, call.region, each)
        if subnet is None:
            raise ServiceError("SubnetNotFound", f"The subnet ID '{each}' does not exist")
        found.append(subnet)
    return found


def _default_subnets(call: Call, zones: Iterable[str]) -> list[Subnet]:
    ec2.ensure_region(call.tx, call.random, call.account, call.region)
    there = {each.availability_zone: each for each in ec2.default_subnets(call.tx, call.account, call.region)}
    found = []
    for each in dict.fromkeys(zones):
        if each not in ec2.zones(call.region):
            raise invalid(f"Requested availability zone '{each}' is not valid")
        if each not in there:
            raise policies.refused(f"There is no default subnet in the availability zone '{each}'")
        found.append(there[each])
    return found


def _check_together(subnets: Sequence[Subnet]) -> None:
    if len({each.vpc_id for each in subnets}) > 1:
        raise policies.refused("All subnets must belong to the same VPC")
    if len({each.availability_zone for each in subnets}) < len(subnets):
        raise policies.refused("ELB cannot be attached to multiple subnets in the same AZ.")


def check_free(call: Call, subnets: Iterable[Subnet]) -> None:
    """Refuse subnets without room. Raises ServiceError."""
    for each in subnets:
        if ec2.free_addresses(call.tx, each) < _FREE:
            raise ServiceError(
                "InvalidSubnet",
                f"Not enough IP space available in {each.id}. "
                f"ELB requires at least {_FREE} free IP addresses in each subnet.",
            )


def attach(call: Call, request: Any) -> Output:
    """Be in further subnets. Those where it is already stay."""
    found, _ = balancer(call, request["LoadBalancerName"])
    changed = _more(call, found, _subnets(call, request["Subnets"]))
    return {"Subnets": [each.subnet_id for each in changed.zones]}


def _more(call: Call, found: LoadBalancer, subnets: Sequence[Subnet]) -> LoadBalancer:
    there = {each.subnet_id for each in found.zones}
    new = [each for each in subnets if each.id not in there]
    if any(each.vpc_id != found.vpc_id for each in new):
        raise policies.refused(f"The subnets must belong to the VPC '{found.vpc_id}' of the load balancer")
    taken = {each.name for each in found.zones}
    _check_together(new)
    if any(each.availability_zone in taken for each in new):
        raise policies.refused("ELB cannot be attached to multiple subnets in the same AZ.")
    check_free(call, new)
    return put(call, replace(found, zones=[*found.zones, *map(zone, new)]))


def detach(call: Call, request: Any) -> Output:
    """Be in fewer subnets: in one at least."""
    found, _ = balancer(call, request["LoadBalancerName"])
    gone = set(request["Subnets"])
    unknown = gone - {each.subnet_id for each in found.zones}
    if unknown:
        raise policies.refused(f"Load balancer is not attached to the subnet(s) '{', '.join(sorted(unknown))}'")
    left = [each for each in found.zones if each.subnet_id not in gone]
    if not left:
        raise policies.refused("Cannot detach all subnets from the load balancer")
    put(call, replace(found, zones=left))
    return {"Subnets": [each.subnet_id for each in left]}


def enable(call: Call, request: Any) -> Output:
    """Be in the default subnets of further zones."""
    found, _ = balancer(call, request["LoadBalancerName"])
    taken = {each.name for each in found.zones}
    new = _default_subnets(call, [each for each in request["AvailabilityZones"] if each not in taken])
    changed = _more(call, found, new)
    return {"AvailabilityZones": [each.name for each in changed.zones]}


def disable(call: Call, request: Any) -> Output:
    """Be in fewer zones: in one at least. Its instances there stay registered."""
    found, _ = balancer(call, request["LoadBalancerName"])
    left = [each for each in found.zones if each.name not in request["AvailabilityZones"]]
    unknown = set(request["AvailabilityZones"]) - {each.name for each in found.zones}
    if unknown:
        raise policies.refused(f"The zone(s) '{', '.join(sorted(unknown))}' are not enabled for the load balancer")
    if not left:
        raise policies.refused("Cannot disable all availability zones of the load balancer")
    put(call, replace(found, zones=left))
    return {"AvailabilityZones": [each.name for each in left]}
