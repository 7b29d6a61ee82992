"""Attributes of classic load balancers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.elb.access_logs import permission
from dryport.elb.classic import attributes
from dryport.elb.classic.api.common import balancer, put
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeLoadBalancerAttributes")(describe)
    service.operation("ModifyLoadBalancerAttributes")(modify)


def describe(call: Call, request: Any) -> Output:
    """A load balancer's attributes."""
    found, _ = balancer(call, request["LoadBalancerName"])
    return {"LoadBalancerAttributes": attributes.described(attributes.of(found))}


def modify(call: Call, request: Any) -> Output:
    """Change attributes: all that are given, or none."""
    found, _ = balancer(call, request["LoadBalancerName"])
    given = request["LoadBalancerAttributes"]
    changed = replace(found, attributes={**found.attributes, **attributes.changes(given)})
    if "AccessLog" in given:
        permission.check_log(call.tx, changed)
    put(call, changed)
    now = attributes.described(attributes.of(changed))
    return {
        "LoadBalancerName": found.name,
        "LoadBalancerAttributes": {name: now[name] for name in now if name in given},
    }
