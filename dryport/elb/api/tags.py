"""Tags of load balancers, target groups, listeners and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.elb import model, names
from dryport.elb.actions import not_acted_on
from dryport.elb.api.common import (
    default_rule_of,
    find_rule,
    listener,
    load_balancer,
    pairs,
    target_group,
    with_tags,
)
from dryport.elb.model import Listener, LoadBalancer, Rule, TargetGroup
from dryport.elb.names import invalid
from dryport.gateway.service import Call, Output, Service

_NAMED = 20  # resources that one call can name
Tagged = LoadBalancer | TargetGroup | Listener | Rule


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("AddTags")(add)
    service.operation("RemoveTags")(remove)
    service.operation("DescribeTags")(describe)


def _rule(call: Call, text: str) -> Rule:
    found = find_rule(call, text)
    if found is None:
        raise ServiceError("RuleNotFound", "One or more rules not found")
    return found


_KINDS: dict[str, Callable[[Call, str], Tagged]] = {
    "loadbalancer": load_balancer,
    "targetgroup": target_group,
    "listener": listener,
    "listener-rule": _rule,
}


def _resource(call: Call, text: str) -> Tagged:
    parsed = arn.parse(text)
    kind = parsed.resource.partition("/")[0] if parsed is not None and parsed.service == names.SERVICE else ""
    if kind not in _KINDS:
        raise invalid(f"'{text}' is not a valid load balancer, target group, listener or listener rule ARN")
    return _KINDS[kind](call, text)


def _named(request: Any) -> list[str]:
    arns = list(request["ResourceArns"])
    if not 1 <= len(arns) <= _NAMED:
        raise invalid(f"Between '1' and '{_NAMED}' resources can be specified in one call")
    return arns


def _put(call: Call, item: Tagged, tags: dict[str, str]) -> None:
    match item:
        case LoadBalancer():
            call.tx.put(model.LOAD_BALANCERS, replace(item, tags=tags))
        case TargetGroup():
            call.tx.put(model.TARGET_GROUPS, replace(item, tags=tags))
        case Listener():
            call.tx.put(model.LISTENERS, replace(item, tags=tags))
        case Rule():
            call.tx.put(model.RULES, replace(item, tags=tags))


def add(call: Call, request: Any) -> Output:
    """Add or change tags."""
    for text in _named(request):
        if names.listener_of_default_rule(text) is not None:
            raise not_acted_on("tags of default rules")
        found = _resource(call, text)
        _put(call, found, with_tags(found.tags, request["Tags"]))
    return {}


def remove(call: Call, request: Any) -> Output:
    """Take tags away."""
    for text in _named(request):
        found = _resource(call, text)
        _put(call, found, {key: value for key, value in found.tags.items() if key not in request["TagKeys"]})
    return {}


def describe(call: Call, request: Any) -> Output:
    """The tags of resources. A default rule has none."""
    found = [
        (text, {} if default_rule_of(call, text) is not None else _resource(call, text).tags)
        for text in dict.fromkeys(_named(request))
    ]
    return {"TagDescriptions": [{"ResourceArn": text, "Tags": pairs(tags)} for text, tags in found]}
