"""Tags of log groups, by the operations of today and by those that they replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.logs.api.common import invalid, missing_group, name_of, named
from dryport.logs.model import LOG_GROUPS, LogGroup

if TYPE_CHECKING:
    from types_boto3_logs import type_defs as shapes

_MOST = 50


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("TagResource")(tag_resource)
    service.operation("UntagResource")(untag_resource)
    service.operation("ListTagsForResource")(list_tags_for_resource)
    service.operation("TagLogGroup")(tag_log_group)
    service.operation("UntagLogGroup")(untag_log_group)
    service.operation("ListTagsLogGroup")(list_tags_log_group)


def check_tags(old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Raise ServiceError where a resource may not have these tags on top of its old ones."""
    if any(key.lower().startswith("aws:") for key in new):
        raise invalid("Tag keys starting with aws: are reserved for AWS.")
    if len({**old, **new}) > _MOST:
        raise ServiceError("TooManyTagsException", "A resource can have no more than 50 tags.")


def _of(call: Call, resource_arn: str) -> LogGroup:
    name = name_of(call, resource_arn)
    if name is None or name == resource_arn:
        raise missing_group()
    return named(call.tx, call, name)


def _tag(call: Call, group: LogGroup, tags: Mapping[str, str]) -> None:
    check_tags(group.tags, tags)
    call.tx.put(LOG_GROUPS, msgspec.structs.replace(group, tags={**group.tags, **tags}))


def _untag(call: Call, group: LogGroup, keys: list[str]) -> None:
    left = {key: value for key, value in group.tags.items() if key not in keys}
    call.tx.put(LOG_GROUPS, msgspec.structs.replace(group, tags=left))


def tag_resource(call: Call, request: shapes.TagResourceRequestTypeDef) -> Output:
    _tag(call, _of(call, request["resourceArn"]), request["tags"])
    return None


def untag_resource(call: Call, request: shapes.UntagResourceRequestTypeDef) -> Output:
    _untag(call, _of(call, request["resourceArn"]), list(request["tagKeys"]))
    return None


def list_tags_for_resource(call: Call, request: shapes.ListTagsForResourceRequestTypeDef) -> Output:
    return {"tags": _of(call, request["resourceArn"]).tags}


def tag_log_group(call: Call, request: shapes.TagLogGroupRequestTypeDef) -> Output:
    _tag(call, named(call.tx, call, request["logGroupName"]), request["tags"])
    return None


def untag_log_group(call: Call, request: shapes.UntagLogGroupRequestTypeDef) -> Output:
    _untag(call, named(call.tx, call, request["logGroupName"]), list(request["tags"]))
    return None


def list_tags_log_group(call: Call, request: shapes.ListTagsLogGroupRequestTypeDef) -> Output:
    return {"tags": named(call.tx, call, request["logGroupName"]).tags}
