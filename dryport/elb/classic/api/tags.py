"""Tags of classic load balancers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.elb.api.common import pairs, with_tags
from dryport.elb.classic.api.common import balancer, put
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("AddTags")(add)
    service.operation("RemoveTags")(remove)
    service.operation("DescribeTags")(describe)


def _one(request: Any) -> str:
    names = list(request["LoadBalancerNames"])
    if len(names) != 1:
        raise invalid("Exactly one load balancer name must be specified")
    return str(names[0])


def add(call: Call, request: Any) -> Output:
    """Add or change tags."""
    found, _ = balancer(call, _one(request))
    put(call, replace(found, tags=with_tags(found.tags, request["Tags"])))
    return {}


def remove(call: Call, request: Any) -> Output:
    """Take tags away."""
    found, _ = balancer(call, _one(request))
    gone = {each.get("Key") for each in request["Tags"]}
    put(call, replace(found, tags={key: value for key, value in found.tags.items() if key not in gone}))
    return {}


def describe(call: Call, request: Any) -> Output:
    """The tags of load balancers."""
    found = [balancer(call, name)[0] for name in dict.fromkeys(request["LoadBalancerNames"])]
    return {"TagDescriptions": [{"LoadBalancerName": each.name, "Tags": pairs(each.tags)} for each in found]}
