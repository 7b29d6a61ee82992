"""Load balancers: what there is to be. Interfaces, processes and names are the controllers'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.ec2.model import Subnet
from dryport.elb import model, names
from dryport.elb.actions import not_acted_on
from dryport.elb.api.common import all_of, find_load_balancer, load_balancer, page, with_tags
from dryport.elb.attributes import of_load_balancer
from dryport.elb.model import APPLICATION, NETWORK, LoadBalancer, Zone
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service
from dryport.store import Reader

_MOST = 50  # of a type, a region
_FREE = 8  # addresses of a subnet that a load balancer needs
_MAPPING = tuple(f"SubnetMappings.{name}" for name in ("IPv6Address", "SourceNatIpv6Prefix"))
_NAMED = 20  # load balancers that one call can name
_NO_ENFORCEMENT = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"


class Asked(NamedTuple):
    """A subnet that is asked for, with the elastic or the private address that the balancer is to have there."""

    subnet: Subnet
    allocation_id: str = ""
    address: str = ""


def register(service: Service) -> None:
    """Add the operations of this module."""
    refused = ("CustomerOwnedIpv4Pool", "EnablePrefixForIpv6SourceNat", "IpamPools", *_MAPPING)
    service.operation("CreateLoadBalancer", unsupported=refused)(create)
    service.operation("DescribeLoadBalancers")(describe_all)
    service.operation("DeleteLoadBalancer")(delete)
    service.operation("SetSubnets", unsupported=("EnablePrefixForIpv6SourceNat", *_MAPPING))(set_subnets)
    service.operation("SetSecurityGroups", unsupported=(_NO_ENFORCEMENT,))(set_groups)
    service.operation("SetIpAddressType")(set_ip_address_type)


def describe(reader: Reader, balancer: LoadBalancer) -> dict[str, Any]:
    """A load balancer as DescribeLoadBalancers has it."""
    made: dict[str, Any] = {
        "LoadBalancerArn": balancer.arn,
        "DNSName": balancer.dns_name,
        "CanonicalHostedZoneId": names.hosted_zone(balancer.region, balancer.type),
        "CreatedTime": balancer.created_at,
        "LoadBalancerName": balancer.name,
        "Scheme": balancer.scheme,
        "VpcId": balancer.vpc_id,
        "State": {"Code": balancer.state},
        "Type": balancer.type,
        "AvailabilityZones": zones(reader, balancer),
        "IpAddressType": balancer.ip_address_type,
    }
    if balancer.reason:
        made["State"]["Reason"] = balancer.reason
    if balancer.groups:
        made["SecurityGroups"] = balancer.groups
    return made


def zones(reader: Reader, balancer: LoadBalancer) -> list[dict[str, Any]]:
    """A load balancer's zones as AWS lists them."""
    return [
        {"ZoneName": each.name, "SubnetId": each.subnet_id, "LoadBalancerAddresses": _addresses(reader, balancer, each)}
        for each in balancer.zones
    ]


def _addresses(reader: Reader, balancer: LoadBalancer, zone: Zone) -> list[dict[str, str]]:
    if zone.chosen:
        return [{"PrivateIPv4Address": zone.address}]
    if not zone.allocation_id:
        return []
    found = ec2.address(reader, balancer.account, balancer.region, zone.allocation_id)
    ip = {"IpAddress": found.public_ip} if found is not None else {}
    return [{**ip, "AllocationId": zone.allocation_id}]


def create(call: Call, request: Any) -> Output:
    """Want a load balancer. One of the same name and settings is answered as it is."""
    name, kind = request["Name"], request.get("Type", APPLICATION)
    if kind not in (APPLICATION, NETWORK):
        raise not_acted_on(f"load balancers of the type {kind}")
    names.check_load_balancer_name(name)
    scheme = request.get("Scheme", "internet-facing")
    _check_address_type(request.get("IpAddressType", "ipv4"))
    tags = with_tags({}, request.get("Tags", ()))
    subnets = _subnets(call, request, kind)
    wanted = [_zone(kind, scheme, each) for each in subnets]
    groups = security_groups(call, kind, subnets[0].subnet.vpc_id, request.get("SecurityGroups", ()))
    unique = names.new_id(call.random)
    made = LoadBalancer(
        arn=names.load_balancer_arn(call.region, call.account, kind, name, unique),
        name=name,
        account=call.account,
        region=call.region,
        type=kind,
        scheme=scheme,
        vpc_id=subnets[0].subnet.vpc_id,
        dns_name=names.dns_name(call.random, call.region, kind, scheme, name, unique),
        zones=wanted,
        created_at=call.now,
        groups=groups,
        tags=tags,
    )
    found = _same(call, made)
    if found is None:
        _check_room(call, made, subnets)
        call.tx.put(model.LOAD_BALANCERS, made)
    return {"LoadBalancers": [describe(call.tx, found or made)]}


def _same(call: Call, made: LoadBalancer) -> LoadBalancer | None:
    """The load balancer that there is with these settings. Raises ServiceError where it has others."""
    key = model.scope(call.account, call.region, made.name)
    found = next(iter(call.tx.find(model.LOAD_BALANCERS, "name", key)), None)
    if found is not None and _settings(found) != _settings(made):
        raise ServiceError(
            "DuplicateLoadBalancerName",
            f"A load balancer with the same name '{made.name}' exists, but with different settings",
        )
    return found


def _settings(balancer: LoadBalancer) -> tuple[object, ...]:
    places = sorted(map(_place, balancer.zones))
    return balancer.type, balancer.scheme, places, sorted(balancer.groups), balancer.ip_address_type, balancer.tags


def _place(zone: Zone) -> tuple[str, str, str]:
    """What was asked for of a zone."""
    return zone.subnet_id, zone.allocation_id, zone.address if zone.chosen else ""


def _check_room(call: Call, made: LoadBalancer, subnets: Sequence[Asked]) -> None:
    there = call.tx.find(model.LOAD_BALANCERS, "scope", model.scope(call.account, call.region))
    if sum(each.type == made.type for each in there) >= _MOST:
        raise ServiceError("TooManyLoadBalancers", "The maximum number of load balancers has been reached")
    if made.scheme == "internet-facing" and not ec2.has_internet_gateway(call.tx, made.vpc_id):
        raise ServiceError("InvalidSubnet", f"VPC {made.vpc_id} has no internet gateway")
    _check_free(call, subnets)


def _check_free(call: Call, mappings: Sequence[Asked]) -> None:
    """Refuse subnets without room, and addresses that others have. Raises ServiceError."""
    for each in mappings:
        if ec2.free_addresses(call.tx, each.subnet) < _FREE:
            raise ServiceError(
                "InvalidSubnet",
                f"Not enough IP space available in {each.subnet.id}. "
                f"ELB requires at least {_FREE} free IP addresses in each subnet.",
            )
        if each.address:
            try:
                ec2.check_free_address(call.tx, each.subnet, each.address)
            except ServiceError as error:
                raise ServiceError("InvalidConfigurationRequest", error.message) from None
        if each.allocation_id:
            found = ec2.address(call.tx, call.account, call.region, each.allocation_id)
            if found is None:
                raise ServiceError("AllocationIdNotFound", f"The allocation ID '{each.allocation_id}' does not exist")
            if found.association_id is not None:
                raise ServiceError("ResourceInUse", f"The allocation ID '{each.allocation_id}' is already associated")


def _check_address_type(kind: str) -> None:
    if kind != "ipv4":
        raise not_acted_on(f"the IP address type {kind}")


def _subnets(call: Call, request: Any, kind: str) -> list[Asked]:
    """The subnets that are asked for. Raises ServiceError."""
    plain, mapped = request.get("Subnets") or [], request.get("SubnetMappings") or []
    if plain and mapped:
        raise invalid("You must specify either subnets or subnet mappings, but not both")
    found: list[Asked] = []
    for each in [{"SubnetId": subnet_id} for subnet_id in plain] or mapped:
        subnet_id = each.get("SubnetId", "")
        subnet = ec2.subnet(call.tx, call.account, call.region, subnet_id)
        if subnet is None:
            raise ServiceError("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist")
        found.append(Asked(subnet, each.get("AllocationId", ""), each.get("PrivateIPv4Address", "")))
    places = {each.subnet.availability_zone for each in found}
    if len({each.subnet.vpc_id for each in found}) > 1:
        raise ServiceError("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
    if len(places) < len(found):
        raise ServiceError(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        )
    if kind == APPLICATION and len(places) < 2:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    if not found:
        raise invalid("At least one subnet must be specified")
    return found


def _zone(kind: str, scheme: str, asked: Asked) -> Zone:
    if asked.allocation_id and (kind == APPLICATION or scheme == "internal"):
        what = (
            "load balancers with type 'application'" if kind == APPLICATION else "load balancers with scheme 'internal'"
        )
        raise ServiceError("InvalidConfigurationRequest", f"Elastic IPs are not supported for {what}")
    if asked.address and (kind == APPLICATION or scheme != "internal"):
        raise ServiceError(
            "InvalidConfigurationRequest",
            "You can only specify private IPv4 addresses for Network Load Balancers with scheme 'internal'.",
        )
    return Zone(
        name=asked.subnet.availability_zone,
        subnet_id=asked.subnet.id,
        allocation_id=asked.allocation_id,
        address=asked.address,
        chosen=bool(asked.address),
    )


def security_groups(call: Call, kind: str, vpc_id: str, asked: Sequence[str]) -> list[str]:
    """The security groups: the VPC's default one where none is named, but for network load balancers."""
    if not asked:
        default = ec2.default_security_group(call.tx, vpc_id) if kind != NETWORK else None
        return [default.id] if default is not None else []
    for each in asked:
        found = ec2.security_group(call.tx, call.account, call.region, each)
        if found is None:
            raise ServiceError("InvalidSecurityGroup", f"The security group '{each}' does not exist")
        if found.vpc_id != vpc_id:
            raise ServiceError("InvalidConfigurationRequest", "One or more security groups are invalid")
    unique = list(dict.fromkeys(asked))
    if len(unique) > ec2.MAX_GROUPS_PER_INTERFACE:
        raise ServiceError(
            "InvalidConfigurationRequest",
            f"You cannot specify more than {ec2.MAX_GROUPS_PER_INTERFACE} security groups",
        )
    return unique


def describe_all(call: Call, request: Any) -> Output:
    """The load balancers that are named, or all."""
    arns, asked = request.get("LoadBalancerArns") or [], request.get("Names") or []
    if arns and asked:
        raise invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
    if max(len(arns), len(asked)) > _NAMED:
        raise invalid(f"Up to '{_NAMED}' load balancers can be described in one call")
    if arns:
        refusal = ServiceError("LoadBalancerNotFound", "One or more load balancers not found")
        found = all_of(arns, lambda each: find_load_balancer(call, each), refusal)
    else:
        found = call.tx.find(model.LOAD_BALANCERS, "scope", model.scope(call.account, call.region))
        missing = [each for each in asked if all(balancer.name != each for balancer in found)]
        if missing:
            raise ServiceError("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
        found = [each for each in found if not asked or each.name in asked]
    shown, more = page(found, request)
    return {"LoadBalancers": [describe(call.tx, each) for each in shown], **more}


def delete(call: Call, request: Any) -> Output:
    """Want a load balancer gone, with its listeners. One that is not there is."""
    found = find_load_balancer(call, request["LoadBalancerArn"])
    if found is None:
        return {}
    if of_load_balancer(found)["deletion_protection.enabled"] == "true":
        raise ServiceError(
            "OperationNotPermitted",
            f"Load balancer '{found.arn}' cannot be deleted because deletion protection is enabled",
        )
    for listener in call.tx.find(model.LISTENERS, "load_balancer", found.arn):
        for rule in call.tx.find(model.RULES, "listener", listener.arn):
            call.tx.delete(model.RULES, rule.arn)
        call.tx.delete(model.LISTENERS, listener.arn)
    call.tx.put(model.LOAD_BALANCERS, replace(found, state=model.DELETING))
    return {}


def set_subnets(call: Call, request: Any) -> Output:
    """Be in other zones. What stays in a subnet keeps its interface there."""
    found = load_balancer(call, request["LoadBalancerArn"])
    _check_address_type(request.get("IpAddressType", found.ip_address_type))
    subnets = _subnets(call, request, found.type)
    if subnets[0].subnet.vpc_id != found.vpc_id:
        raise ServiceError(
            "InvalidConfigurationRequest", f"The subnets must belong to the VPC '{found.vpc_id}' of the load balancer"
        )
    kept = {_place(each): each for each in found.zones}
    wanted = [_zone(found.type, found.scheme, each) for each in subnets]
    _check_free(call, [each for each, zone in zip(subnets, wanted, strict=True) if _place(zone) not in kept])
    places = [kept.get(_place(each), each) for each in wanted]
    changed = replace(found, zones=places)
    call.tx.put(model.LOAD_BALANCERS, changed)
    return {"AvailabilityZones": zones(call.tx, changed), "IpAddressType": changed.ip_address_type}


def set_groups(call: Call, request: Any) -> Output:
    """Have other security groups."""
    found = load_balancer(call, request["LoadBalancerArn"])
    if found.type == NETWORK and not found.groups:
        raise ServiceError(
            "InvalidConfigurationRequest",
            "SetSecurityGroups is not supported for load balancers of type 'network' that were created without "
            "security groups",
        )
    if not request["SecurityGroups"]:
        raise invalid("At least one security group must be specified")
    groups = security_groups(call, found.type, found.vpc_id, request["SecurityGroups"])
    call.tx.put(model.LOAD_BALANCERS, replace(found, groups=groups))
    return {"SecurityGroupIds": groups}


def set_ip_address_type(call: Call, request: Any) -> Output:
    """Only IPv4 is there."""
    found = load_balancer(call, request["LoadBalancerArn"])
    _check_address_type(request["IpAddressType"])
    return {"IpAddressType": found.ip_address_type}
