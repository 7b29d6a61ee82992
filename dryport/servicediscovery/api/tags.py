"""Tags of namespaces and services."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.gateway.service import Service as Handlers
from dryport.servicediscovery import model
from dryport.servicediscovery.api.common import with_tags
from dryport.servicediscovery.model import Namespace, Service


def register(handlers: Handlers) -> None:
    """Add the operations of this module."""
    handlers.operation("TagResource")(tag)
    handlers.operation("UntagResource")(untag)
    handlers.operation("ListTagsForResource")(list_tags)


def _resource(call: Call, text: str) -> Namespace | Service:
    parsed = arn.parse(text)
    kind, _, key = parsed.resource.partition("/") if parsed is not None else ("", "", "")
    found: Namespace | Service | None = None
    if kind == "namespace":
        found = call.tx.get(model.NAMESPACES, key)
    elif kind == "service":
        found = call.tx.get(model.SERVICES, key)
    if found is None or found.arn != text or (found.account, found.region) != (call.account, call.region):
        raise ServiceError("ResourceNotFoundException", f"Resource {text} does not exist.")
    return found


def _put(call: Call, item: Namespace | Service, tags: dict[str, str]) -> None:
    if isinstance(item, Namespace):
        call.tx.put(model.NAMESPACES, replace(item, tags=tags))
    else:
        call.tx.put(model.SERVICES, replace(item, tags=tags))


def tag(call: Call, request: Any) -> Output:
    """Add or change tags."""
    found = _resource(call, request["ResourceARN"])
    _put(call, found, with_tags(found.tags, request["Tags"], found.arn))
    return {}


def untag(call: Call, request: Any) -> Output:
    """Take tags away."""
    found = _resource(call, request["ResourceARN"])
    _put(call, found, {key: value for key, value in found.tags.items() if key not in request["TagKeys"]})
    return {}


def list_tags(call: Call, request: Any) -> Output:
    """A resource's tags."""
    found = _resource(call, request["ResourceARN"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in found.tags.items()]}
