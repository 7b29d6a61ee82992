"""Tags of parameters and of managed machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.gateway.service import Call, Output, Service
from dryport.ssm import machines
from dryport.ssm.api.common import find
from dryport.ssm.machines import MANAGED_INSTANCES, ManagedInstance
from dryport.ssm.model import PARAMETERS, Parameter
from dryport.ssm.names import reference
from dryport.store import Table

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


def _of(call: Call, request: Mapping[str, Any]) -> tuple[Table[Any], Parameter | ManagedInstance]:
    kind, identifier = request["ResourceType"], request["ResourceId"]
    if kind == "Parameter":
        parameter = find(call.tx, call, reference(identifier))
        if parameter is not None:
            return PARAMETERS, parameter
    elif kind == "ManagedInstance":
        machine = machines.of(call.tx, call.account, call.region, identifier)
        if machine is not None:
            return MANAGED_INSTANCES, machine
    else:
        raise unsupported_parameter("ssm", call.operation, f"ResourceType {kind}")
    raise ServiceError("InvalidResourceId", "Invalid Resource Id")


def add(call: Call, request: shapes.AddTagsToResourceRequestTypeDef) -> Output:
    table, item = _of(call, request)
    call.tx.put(table, msgspec.structs.replace(item, tags=checked_tags(item.tags, request["Tags"])))
    return {}


def remove(call: Call, request: shapes.RemoveTagsFromResourceRequestTypeDef) -> Output:
    table, item = _of(call, request)
    left = {key: value for key, value in item.tags.items() if key not in request["TagKeys"]}
    call.tx.put(table, msgspec.structs.replace(item, tags=left))
    return {}


def list_tags(call: Call, request: shapes.ListTagsForResourceRequestTypeDef) -> Output:
    _, item = _of(call, request)
    return {"TagList": [{"Key": key, "Value": value} for key, value in item.tags.items()]}
