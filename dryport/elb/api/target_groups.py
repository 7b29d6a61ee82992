"""Target groups: settings and health checks. Targets are in ``targets``."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.elb import model, names, published
from dryport.elb.actions import not_acted_on
from dryport.elb.api.common import all_of, find_target_group, load_balancer, page, target_group, with_tags
from dryport.elb.health_checks import GRPC, HTTP, of_request
from dryport.elb.model import TargetGroup
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service
from dryport.store import Reader

_MOST = 3000  # a region
_CARRIED = ("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP")
_TYPES = ("instance", "ip")
_NAMED = 20  # target groups that one call can name


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateTargetGroup", unsupported=("TargetControlPort",))(create)
    service.operation("DescribeTargetGroups")(describe_all)
    service.operation("ModifyTargetGroup")(modify)
    service.operation("DeleteTargetGroup")(delete)


def describe(reader: Reader, group: TargetGroup) -> dict[str, Any]:
    """A target group as DescribeTargetGroups has it."""
    check = group.health_check
    made: dict[str, Any] = {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": group.vpc_id,
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        "HealthCheckEnabled": check.enabled,
        "HealthCheckIntervalSeconds": check.interval,
        "HealthCheckTimeoutSeconds": check.timeout,
        "HealthyThresholdCount": check.healthy,
        "UnhealthyThresholdCount": check.unhealthy,
        "LoadBalancerArns": published.load_balancers(reader, group.arn),
        "TargetType": group.target_type,
        "IpAddressType": group.ip_address_type,
    }
    if check.path:
        kind = "GrpcCode" if group.protocol_version == GRPC else "HttpCode"
        made |= {"HealthCheckPath": check.path, "Matcher": {kind: check.codes}}
    if group.protocol_version:
        made["ProtocolVersion"] = group.protocol_version
    return made


def create(call: Call, request: Any) -> Output:
    """A target group. One of the same name and settings is answered as it is."""
    names.check_target_group_name(request["Name"])
    made = _made(call, request)
    key = model.scope(call.account, call.region, made.name)
    found = next(iter(call.tx.find(model.TARGET_GROUPS, "name", key)), None)
    if found is not None:
        if replace(made, arn=found.arn, created_at=found.created_at) != replace(found, attributes={}):
            raise ServiceError(
                "DuplicateTargetGroupName",
                f"A target group with the same name '{made.name}' exists, but with different settings",
            )
        return {"TargetGroups": [describe(call.tx, found)]}
    if call.tx.count(model.TARGET_GROUPS, "scope", model.scope(call.account, call.region)) >= _MOST:
        raise ServiceError("TooManyTargetGroups", "The maximum number of target groups has been reached")
    call.tx.put(model.TARGET_GROUPS, made)
    return {"TargetGroups": [describe(call.tx, made)]}


def _made(call: Call, request: Any) -> TargetGroup:
    kind = request.get("TargetType", "instance")
    if kind not in _TYPES:
        raise not_acted_on(f"target groups of the target type {kind}")
    for member, word in (("Protocol", "protocol"), ("Port", "port"), ("VpcId", "VPC ID")):
        if not request.get(member):
            raise invalid(f"A {word} must be specified")
    protocol, vpc_id = request["Protocol"], request["VpcId"]
    if protocol not in _CARRIED:
        raise not_acted_on(f"target groups with the {protocol} protocol")
    if ec2.vpc(call.tx, call.account, call.region, vpc_id) is None:
        raise invalid(f"The VPC ID '{vpc_id}' is not found")
    if request.get("IpAddressType", "ipv4") != "ipv4":
        raise not_acted_on(f"the IP address type {request['IpAddressType']}")
    version = _version(request, protocol)
    return TargetGroup(
        arn=names.target_group_arn(call.region, call.account, request["Name"], names.new_id(call.random)),
        name=request["Name"],
        account=call.account,
        region=call.region,
        target_type=kind,
        protocol=protocol,
        port=request["Port"],
        vpc_id=vpc_id,
        health_check=of_request(request, protocol, version),
        created_at=call.now,
        protocol_version=version,
        tags=with_tags({}, request.get("Tags", ())),
    )


def _version(request: Any, protocol: str) -> str:
    version = str(request.get("ProtocolVersion", "")).upper()
    if protocol not in HTTP:
        if version:
            raise invalid(f"You cannot specify the protocol version for a target group with the '{protocol}' protocol")
        return ""
    if version not in ("", "HTTP1", "HTTP2", GRPC):
        raise invalid(f"Protocol version '{request['ProtocolVersion']}' must be one of 'GRPC, HTTP1, HTTP2'")
    return version or "HTTP1"


def describe_all(call: Call, request: Any) -> Output:
    """The target groups that are named, of a load balancer, or all."""
    asked = request.get("Names") or []
    arns = request.get("TargetGroupArns") or []
    balancer = request.get("LoadBalancerArn")
    if sum(map(bool, (asked, arns, balancer))) > 1:
        raise invalid("Target group names, target group ARNs, and a load balancer ARN cannot be specified together")
    if max(len(arns), len(asked)) > _NAMED:
        raise invalid(f"Up to '{_NAMED}' target groups can be described in one call")
    refusal = ServiceError("TargetGroupNotFound", "One or more target groups not found")
    everything = call.tx.find(model.TARGET_GROUPS, "scope", model.scope(call.account, call.region))
    if arns:
        found = all_of(arns, lambda each: find_target_group(call, each), refusal)
    elif asked:
        by_name = {each.name: each for each in everything}
        found = all_of(asked, by_name.get, refusal)
    elif balancer:
        of_balancer = published.groups(call.tx, load_balancer(call, balancer).arn)
        found = [each for each in everything if each.arn in of_balancer]
    else:
        found = everything
    shown, more = page(found, request)
    return {"TargetGroups": [describe(call.tx, each) for each in shown], **more}


def modify(call: Call, request: Any) -> Output:
    """Change the health check."""
    found = target_group(call, request["TargetGroupArn"])
    changed = replace(
        found, health_check=of_request(request, found.protocol, found.protocol_version, found.health_check)
    )
    call.tx.put(model.TARGET_GROUPS, changed)
    return {"TargetGroups": [describe(call.tx, changed)]}


def delete(call: Call, request: Any) -> Output:
    """Delete a target group that nothing forwards to. One that is not there is deleted."""
    found = find_target_group(call, request["TargetGroupArn"])
    if found is None:
        return {}
    if published.load_balancers(call.tx, found.arn):
        raise ServiceError("ResourceInUse", f"Target group '{found.arn}' is currently in use by a listener or a rule")
    for each in call.tx.find(model.TARGETS, "group", found.arn):
        call.tx.delete(model.TARGETS, each.key)
    call.tx.delete(model.TARGET_GROUPS, found.arn)
    return {}
