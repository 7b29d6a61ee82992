"""Targets of target groups and their health."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.elb import model, published
from dryport.elb.api.common import target_group
from dryport.elb.model import Target, TargetGroup
from dryport.elb.names import invalid
from dryport.elb.targets import NOT_REGISTERED, Health, health
from dryport.gateway.service import Call, Output, Service

_MOST = 1000  # a target group
_INSTANCE = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
_ALL = "all"
# Beside the VPC's own: RFC 1918 and RFC 6598.
_PRIVATE = [IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]


def register(service: Service) -> None:
    """Add the operations of this module."""
    quic = ("Targets.QuicServerId",)
    service.operation("RegisterTargets", unsupported=quic)(add)
    service.operation("DeregisterTargets", unsupported=quic)(remove)
    service.operation("DescribeTargetHealth", unsupported=("Include", *quic))(describe)


def add(call: Call, request: Any) -> Output:
    """Register targets: all of them, or none."""
    group = target_group(call, request["TargetGroupArn"])
    if not request["Targets"]:
        raise invalid("At least one target must be specified")
    check = _check_instances if group.target_type == "instance" else _check_addresses
    check(call, group, request["Targets"])
    for each in request["Targets"]:
        published.register(
            call.tx, group.arn, each["Id"], each.get("Port", group.port), each.get("AvailabilityZone", "")
        )
    if call.tx.count(model.TARGETS, "group", group.arn) > _MOST:
        raise ServiceError("TooManyTargets", f"Target group '{group.arn}' cannot have more than '{_MOST}' targets")
    return {}


def _check_instances(call: Call, group: TargetGroup, targets: list[Any]) -> None:
    missing, elsewhere, down = [], [], []
    for each in targets:
        text = each["Id"]
        if not _INSTANCE.fullmatch(text):
            raise invalid(f"Instance ID '{text}' is not valid")
        if "AvailabilityZone" in each:
            raise invalid(f"You cannot specify an Availability Zone for the target '{text}' of the type 'instance'")
        found = ec2.instance(call.tx, call.account, call.region, text)
        if found is None:
            missing.append(text)
        elif found.state != "running":
            down.append(text)
        elif found.vpc_id != group.vpc_id:
            elsewhere.append(text)
    for wrong, words in (
        (missing, "are not valid instances"),
        (down, "are not in a running state and cannot be registered"),
        (elsewhere, f"are not in the target group VPC '{group.vpc_id}'"),
    ):
        if wrong:
            raise ServiceError("InvalidTarget", f"The following targets {words}: '{', '.join(wrong)}'")


def _check_addresses(call: Call, group: TargetGroup, targets: list[Any]) -> None:
    for each in targets:
        text, zone = each["Id"], each.get("AvailabilityZone", "")
        try:
            address = IPv4Address(text)
        except ValueError:
            raise invalid(f"The IP address '{text}' is not a valid IPv4 address") from None
        subnet = ec2.subnet_of_address(call.tx, group.vpc_id, text)
        if subnet is not None:
            if zone not in ("", subnet.availability_zone):
                raise invalid(
                    f"The IP address '{text}' is within the VPC, and cannot have its Availability Zone overridden to "
                    f"'{zone}' from '{subnet.availability_zone}'"
                )
            continue
        if not any(address in block for block in _PRIVATE):
            raise invalid(f"The IP address '{text}' is not in the VPC, nor in the ranges of RFC 1918 and RFC 6598")
        if not zone:
            raise invalid(f"The Availability Zone is required for IP address '{text}' because it is not in the VPC")
        if zone != _ALL and zone not in ec2.zones(call.region):
            raise invalid(f"The Availability Zone '{zone}' is not valid")


def remove(call: Call, request: Any) -> Output:
    """Deregister targets. Those that are not registered are deregistered."""
    group = target_group(call, request["TargetGroupArn"])
    for each in request["Targets"]:
        published.deregister(call.tx, call.now, group.arn, each["Id"], each.get("Port", group.port))
    return {}


def describe(call: Call, request: Any) -> Output:
    """The health of the targets that are named, or of all."""
    group = target_group(call, request["TargetGroupArn"])
    there = call.tx.find(model.TARGETS, "group", group.arn)
    balancers = [call.tx.get(model.LOAD_BALANCERS, each) for each in published.load_balancers(call.tx, group.arn)]
    enabled = {zone.name for each in balancers if each is not None for zone in each.zones}
    shown = [(each, _health(call, group, each, enabled)) for each in there]
    if request.get("Targets"):
        shown = [found for asked in request["Targets"] for found in _named(group, asked, shown)]
    return {"TargetHealthDescriptions": [_described(call, group, each, found) for each, found in shown]}


def _named(group: TargetGroup, asked: Any, shown: list[tuple[Target, Health]]) -> list[tuple[Target, Health]]:
    """The targets that a description names: without a port, at every one of them."""
    found = [
        (each, state) for each, state in shown if each.id == asked["Id"] and asked.get("Port", each.port) == each.port
    ]
    missing = Target(group=group.arn, id=asked["Id"], port=asked.get("Port", group.port))
    return found or [(missing, NOT_REGISTERED)]


def _zone(call: Call, group: TargetGroup, target: Target) -> str:
    if target.zone or group.target_type == "instance":
        return target.zone
    found = ec2.subnet_of_address(call.tx, group.vpc_id, target.id)
    return found.availability_zone if found is not None else ""


def _health(call: Call, group: TargetGroup, target: Target, enabled: set[str]) -> Health:
    """A target's health. Load balancers that are on across zones use those of all zones."""
    zone, state = _zone(call, group, target), None
    if group.target_type == "instance":
        found = ec2.instance(call.tx, group.account, group.region, target.id)
        state, zone = (found.state, found.availability_zone) if found is not None else ("terminated", "")
    in_zone = not zone or zone == _ALL or zone in enabled
    return health(target, used=bool(enabled), in_zone=in_zone, instance_state=state)


def _described(call: Call, group: TargetGroup, target: Target, found: Health) -> dict[str, Any]:
    check = group.health_check.port
    of_target: dict[str, Any] = {"Id": target.id, "Port": target.port}
    if found is not NOT_REGISTERED and (zone := _zone(call, group, target)):
        of_target["AvailabilityZone"] = zone
    made: dict[str, Any] = {"Target": of_target, "TargetHealth": {"State": found.state}}
    if found is not NOT_REGISTERED:
        made["HealthCheckPort"] = str(target.port) if check == "traffic-port" else check
    if found.reason:
        made["TargetHealth"] |= {"Reason": found.reason, "Description": found.description}
    return made
