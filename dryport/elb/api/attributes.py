"""Attributes of load balancers, target groups and listeners."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.elb import attributes, model, published
from dryport.elb.access_logs import permission
from dryport.elb.api import carrying
from dryport.elb.api.common import listener, load_balancer, pairs, target_group
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeLoadBalancerAttributes")(of_load_balancer)
    service.operation("ModifyLoadBalancerAttributes")(modify_load_balancer)
    service.operation("DescribeTargetGroupAttributes")(of_target_group)
    service.operation("ModifyTargetGroupAttributes")(modify_target_group)
    service.operation("DescribeListenerAttributes")(of_listener)
    service.operation("ModifyListenerAttributes")(modify_listener)


def of_load_balancer(call: Call, request: Any) -> Output:
    """A load balancer's attributes."""
    found = load_balancer(call, request["LoadBalancerArn"])
    return {"Attributes": pairs(attributes.of_load_balancer(found))}


def modify_load_balancer(call: Call, request: Any) -> Output:
    """Change attributes: all that are given, or none."""
    found = load_balancer(call, request["LoadBalancerArn"])
    changes = attributes.load_balancer_changes(found, request["Attributes"])
    changed = replace(found, attributes=found.attributes | changes)
    if any(name.startswith("access_logs.") for name in changes):
        permission.check_log(call.tx, changed)
    call.tx.put(model.LOAD_BALANCERS, changed)
    return {"Attributes": pairs(attributes.of_load_balancer(changed))}


def of_target_group(call: Call, request: Any) -> Output:
    """A target group's attributes."""
    found = target_group(call, request["TargetGroupArn"])
    return {"Attributes": pairs(attributes.of_target_group(found))}


def modify_target_group(call: Call, request: Any) -> Output:
    """Change attributes: all that are given, or none."""
    found = target_group(call, request["TargetGroupArn"])
    changes = attributes.target_group_changes(found, request["Attributes"])
    changed = replace(found, attributes=found.attributes | changes)
    call.tx.put(model.TARGET_GROUPS, changed)
    for each in published.load_balancers(call.tx, changed.arn):
        carrying.check(call, each)
    return {"Attributes": pairs(attributes.of_target_group(changed))}


def of_listener(call: Call, request: Any) -> Output:
    """A listener's attributes."""
    found = listener(call, request["ListenerArn"])
    return {"Attributes": pairs(attributes.of_listener(found))}


def modify_listener(call: Call, request: Any) -> Output:
    """Change attributes: all that are given, or none."""
    found = listener(call, request["ListenerArn"])
    changes = attributes.listener_changes(found, request["Attributes"])
    changed = replace(found, attributes=found.attributes | changes)
    call.tx.put(model.LISTENERS, changed)
    carrying.check(call, changed.load_balancer)
    return {"Attributes": pairs(attributes.of_listener(changed))}
