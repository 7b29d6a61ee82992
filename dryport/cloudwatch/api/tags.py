"""Alarms' tags."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.cloudwatch.api import requests
from dryport.cloudwatch.model import ALARMS, Alarm
from dryport.gateway.service import Call, Output, Service


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("TagResource")(tag)
    service.operation("UntagResource")(untag)
    service.operation("ListTagsForResource")(list_tags)


def tag(call: Call, request: Any) -> Output:
    """Add tags, or give old ones new values."""
    found = _alarm(call, request["ResourceARN"])
    call.tx.put(ALARMS, replace(found, tags=requests.tags(found.tags, request["Tags"])))
    return None


def untag(call: Call, request: Any) -> Output:
    """Remove tags."""
    found = _alarm(call, request["ResourceARN"])
    left = {key: value for key, value in found.tags.items() if key not in request["TagKeys"]}
    call.tx.put(ALARMS, replace(found, tags=left))
    return None


def list_tags(call: Call, request: Any) -> Output:
    """An alarm's tags."""
    found = _alarm(call, request["ResourceARN"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in found.tags.items()]}


def _alarm(call: Call, arn: str) -> Alarm:
    found = call.tx.get(ALARMS, arn)
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise ServiceError("ResourceNotFoundException", f"The resource {arn} does not exist.", ResourceId=arn)
    return found
