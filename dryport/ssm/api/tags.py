"""Tags of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.ssm.api.common import find
from dryport.ssm.model import PARAMETERS, Parameter
from dryport.ssm.names import reference

if TYPE_CHECKING:
    from types_boto3_ssm import type_defs as shapes

_MOST = 50


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("AddTagsToResource")(add)
    service.operation("RemoveTagsFromResource")(remove)
    service.operation("ListTagsForResource")(list_tags)


def checked_tags(old: Mapping[str, str], new: Iterable[Any]) -> dict[str, str]:
    """The old tags with the new ones (``Key``, ``Value``) on top. Raises ServiceError where there are too many."""
    tags = {**old, **{tag["Key"]: tag["Value"] for tag in new}}
    if len(tags) > _MOST:
        raise ServiceError("TooManyTagsError", "The number of tags exceeds the limit of 50.")
    return tags


def _of(call: Call, request: Mapping[str, Any]) -> Parameter:
    if request["ResourceType"] != "Parameter":
        raise unsupported_parameter("ssm", call.operation, f"ResourceType {request['ResourceType']}")
    found = find(call.tx, call, reference(request["ResourceId"]))
    if found is None:
        raise ServiceError("InvalidResourceId", "Invalid Resource Id")
    return found


def add(call: Call, request: shapes.AddTagsToResourceRequestTypeDef) -> Output:
    parameter = _of(call, request)
    tags = checked_tags(parameter.tags, request["Tags"])
    call.tx.put(PARAMETERS, msgspec.structs.replace(parameter, tags=tags))
    return {}


def remove(call: Call, request: shapes.RemoveTagsFromResourceRequestTypeDef) -> Output:
    parameter = _of(call, request)
    left = {key: value for key, value in parameter.tags.items() if key not in request["TagKeys"]}
    call.tx.put(PARAMETERS, msgspec.structs.replace(parameter, tags=left))
    return {}


def list_tags(call: Call, request: shapes.ListTagsForResourceRequestTypeDef) -> Output:
    return {"TagList": [{"Key": key, "Value": value} for key, value in _of(call, request).tags.items()]}
