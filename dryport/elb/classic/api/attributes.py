"""Attributes of classic load balancers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.elb.classic import attributes
from dryport.elb.classic.api.common import balancer, put
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("DescribeLoadBalancerAttributes")(describe)
    service.operation("ModifyLoadBalancerAttributes", unsupported=_REFUSED)(modify)


_REFUSED = tuple(
    f"LoadBalancerAttributes.AccessLog.{name}" for name in ("S3BucketName", "EmitInterval", "S3BucketPrefix")
)


def describe(call: Call, request: Any) -> Output:
    """A load balancer's attributes."""
    found, _ = balancer(call, request["LoadBalancerName"])
    return {"LoadBalancerAttributes": attributes.described(attributes.of(found))}


def modify(call: Call, request: Any) -> Output:
    """Change attributes: all that are given, or none."""
    found, _ = balancer(call, request["LoadBalancerName"])
    given = request["LoadBalancerAttributes"]
    changed = put(call, replace(found, attributes={**found.attributes, **attributes.changes(given)}))
    now = attributes.described(attributes.of(changed))
    return {
        "LoadBalancerName": found.name,
        "LoadBalancerAttributes": {name: now[name] for name in now if name in given},
    }
