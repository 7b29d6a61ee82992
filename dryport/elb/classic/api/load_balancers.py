"""Classic load balancers themselves: made, described, deleted, their health check and security groups."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.ec2.model import Subnet
from dryport.elb import model, names
from dryport.elb.api.common import with_tags
from dryport.elb.api.load_balancers import security_groups
from dryport.elb.classic import health, policies
from dryport.elb.classic.api import listeners, places
from dryport.elb.classic.api.common import balancer, page, put
from dryport.elb.model import CLASSIC, Classic, Listener, LoadBalancer, Policy
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service
from dryport.store import Reader

_MOST = 20  # a region
_SCHEMES = ("internet-facing", "internal")
# "Quotas for your Classic Load Balancers", as DescribeAccountLimits names them.
_LIMITS = {"classic-load-balancers": _MOST, "classic-listeners": 100, "classic-registered-instances": 1000}


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateLoadBalancer")(create)
    service.operation("DescribeLoadBalancers")(describe_all)
    service.operation("DeleteLoadBalancer")(delete)
    service.operation("ConfigureHealthCheck")(configure_health_check)
    service.operation("ApplySecurityGroupsToLoadBalancer")(apply_groups)
    service.operation("DescribeAccountLimits")(limits)


def create(call: Call, request: Any) -> Output:
    """Want a load balancer. One of the same name and settings is answered as it is."""
    name, scheme = request["LoadBalancerName"], request.get("Scheme", "internet-facing")
    _check_name(name)
    if scheme not in _SCHEMES:
        raise ServiceError("InvalidScheme", f"'{scheme}' is not a valid scheme")
    subnets = places.asked(call, request)
    groups = security_groups(call, CLASSIC, subnets[0].vpc_id, request.get("SecurityGroups") or ())
    unique = names.new_id(call.random)
    made = LoadBalancer(
        arn=names.load_balancer_arn(call.region, call.account, CLASSIC, name, unique),
        name=name,
        account=call.account,
        region=call.region,
        type=CLASSIC,
        scheme=scheme,
        vpc_id=subnets[0].vpc_id,
        dns_name=names.dns_name(call.random, call.region, CLASSIC, scheme, name, unique),
        zones=[places.zone(each) for each in subnets],
        created_at=call.now,
        groups=groups,
        tags=with_tags({}, request.get("Tags") or ()),
    )
    wanted = [listeners.made(call, made, each) for each in request["Listeners"]]
    if not wanted:
        raise invalid("At least one listener must be specified")
    listeners.check_together(made, wanted)
    check = health.default(wanted[0].instance_port)
    made = replace(made, classic=Classic(health_check=check, policies=listeners.needed(wanted, [])))
    existing = _existing(call, made, wanted)
    if existing is None:
        _check_room(call, made, subnets)
        for each in wanted:
            call.tx.put(model.LISTENERS, each)
        put(call, made)
    return {"DNSName": (existing or made).dns_name}


def _check_name(name: str) -> None:
    if len(name) > 32:
        raise invalid("LoadBalancer name cannot be longer than 32 characters")
    if not name.replace("-", "").isalnum() or not name.isascii():
        raise invalid("LoadBalancer name must contain only alphanumeric characters or hyphens")
    if name.startswith("-") or name.endswith("-"):
        raise invalid("LoadBalancer name cannot begin or end with a hyphen")


def _existing(call: Call, made: LoadBalancer, wanted: list[Listener]) -> LoadBalancer | None:
    """The load balancer that there is with these settings. Raises ServiceError where it has others."""
    key = model.scope(call.account, call.region, made.name)
    found = next(iter(call.tx.find(model.LOAD_BALANCERS, "classic_name", key)), None)
    if found is None:
        return None
    there = call.tx.find(model.LISTENERS, "load_balancer", found.arn)
    if _settings(found, there) != _settings(made, wanted):
        raise ServiceError(
            "DuplicateLoadBalancerName",
            f"Load Balancer named '{made.name}' already exists and it is configured with different parameters.",
        )
    return found


def _settings(balancer: LoadBalancer, there: list[Listener]) -> tuple[object, ...]:
    ports = sorted(
        (each.port, each.protocol, each.instance_port, each.instance_protocol, *each.certificates) for each in there
    )
    return balancer.scheme, sorted(each.subnet_id for each in balancer.zones), sorted(balancer.groups), ports


def _check_room(call: Call, made: LoadBalancer, subnets: list[Subnet]) -> None:
    if call.tx.count(model.LOAD_BALANCERS, "classic", model.scope(call.account, call.region)) >= _MOST:
        raise ServiceError("TooManyLoadBalancers", f"Exceeded quota of account {call.account}")
    if made.scheme == "internet-facing" and not ec2.has_internet_gateway(call.tx, made.vpc_id):
        raise ServiceError("InvalidSubnet", f"VPC {made.vpc_id} has no internet gateway")
    places.check_free(call, subnets)


def describe_all(call: Call, request: Any) -> Output:
    """The load balancers that are named, or all."""
    asked = request.get("LoadBalancerNames") or []
    if asked:
        found = [balancer(call, name)[0] for name in dict.fromkeys(asked)]
    else:
        found = call.tx.find(model.LOAD_BALANCERS, "classic", model.scope(call.account, call.region))
        found.sort(key=lambda each: each.name)
    shown, more = page(found, request)
    return {"LoadBalancerDescriptions": [described(call.tx, each) for each in shown], **more}


def described(reader: Reader, found: LoadBalancer) -> dict[str, Any]:
    """A load balancer as DescribeLoadBalancers has it."""
    classic = found.classic
    assert classic is not None
    ports = sorted(reader.find(model.LISTENERS, "load_balancer", found.arn), key=lambda each: each.port)
    instances = reader.find(model.TARGETS, "group", found.arn)
    made: dict[str, Any] = {
        "LoadBalancerName": found.name,
        "DNSName": found.dns_name,
        "CanonicalHostedZoneNameID": names.hosted_zone(found.region, CLASSIC),
        "ListenerDescriptions": [
            {"Listener": listeners.described(each), "PolicyNames": each.policies} for each in ports
        ],
        "Policies": _policies(classic.policies),
        "BackendServerDescriptions": [
            {"InstancePort": port, "PolicyNames": enabled} for port, enabled in classic.backends.items()
        ],
        "AvailabilityZones": [each.name for each in found.zones],
        "Subnets": [each.subnet_id for each in found.zones],
        "VPCId": found.vpc_id,
        "Instances": [{"InstanceId": each.id} for each in instances if each.state != model.DRAINING],
        "HealthCheck": health.described(classic.health_check),
        "SecurityGroups": found.groups,
        "CreatedTime": found.created_at,
        "Scheme": found.scheme,
    }
    if found.scheme != "internal":
        made["CanonicalHostedZoneName"] = found.dns_name
    source = ec2.security_group(reader, found.account, found.region, found.groups[0])
    if source is not None:
        made["SourceSecurityGroup"] = {"OwnerAlias": found.account, "GroupName": source.name}
    return made


def _policies(present: list[Policy]) -> dict[str, Any]:
    kinds = (policies.APP_COOKIE, policies.LB_COOKIE)
    app = [each for each in present if each.type == policies.APP_COOKIE]
    own = [each for each in present if each.type == policies.LB_COOKIE]
    return {
        "AppCookieStickinessPolicies": [
            {"PolicyName": each.name, "CookieName": dict(each.attributes)["CookieName"]} for each in app
        ],
        "LBCookieStickinessPolicies": [{"PolicyName": each.name, **_period(each)} for each in own],
        "OtherPolicies": [each.name for each in present if each.type not in kinds],
    }


def _period(policy: Policy) -> dict[str, int]:
    period = dict(policy.attributes).get("CookieExpirationPeriod")
    return {"CookieExpirationPeriod": int(period)} if period is not None else {}


def delete(call: Call, request: Any) -> Output:
    """Want a load balancer gone, with its listeners. One that is not there is."""
    key = model.scope(call.account, call.region, request["LoadBalancerName"])
    for found in call.tx.find(model.LOAD_BALANCERS, "classic_name", key):
        for each in call.tx.keys(model.LISTENERS, "load_balancer", found.arn):
            call.tx.delete(model.LISTENERS, each)
        for each in call.tx.keys(model.TARGETS, "group", found.arn):
            call.tx.delete(model.TARGETS, each)
        call.tx.put(model.LOAD_BALANCERS, replace(found, state=model.DELETING))
    return {}


def configure_health_check(call: Call, request: Any) -> Output:
    """Check instances so from now on."""
    found, _ = balancer(call, request["LoadBalancerName"])
    check = health.checked(request["HealthCheck"])
    put(call, found, health_check=check)
    return {"HealthCheck": health.described(check)}


def apply_groups(call: Call, request: Any) -> Output:
    """Have other security groups."""
    found, _ = balancer(call, request["LoadBalancerName"])
    if not request["SecurityGroups"]:
        raise invalid("At least one security group must be specified")
    groups = security_groups(call, CLASSIC, found.vpc_id, request["SecurityGroups"])
    put(call, replace(found, groups=groups))
    return {"SecurityGroups": groups}


def limits(call: Call, request: Any) -> Output:
    """The limits of an account in a region."""
    shown, more = page(list(_LIMITS.items()), request)
    return {"Limits": [{"Name": name, "Max": str(most)} for name, most in shown], **more}
