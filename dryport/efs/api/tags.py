"""Tags of file systems and access points; the older operations know file systems only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.efs import model
from dryport.efs.api.common import access_point, by_marker, by_token, file_system, plain_id, tag_list, with_tags
from dryport.efs.model import AccessPoint, FileSystem
from dryport.gateway.service import Call, Output, Service

if TYPE_CHECKING:
    from types_boto3_efs import type_defs as shapes


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("TagResource")(tag_resource)
    service.operation("UntagResource")(untag_resource)
    service.operation("ListTagsForResource")(list_tags)
    service.operation("CreateTags")(create_tags)
    service.operation("DeleteTags")(delete_tags)
    service.operation("DescribeTags")(describe_tags)


def _resource(call: Call, text: str) -> FileSystem | AccessPoint:
    return access_point(call, text) if plain_id(text).startswith("fsap-") else file_system(call, text)


def _put(call: Call, item: FileSystem | AccessPoint, tags: dict[str, str]) -> None:
    if isinstance(item, FileSystem):
        call.tx.put(model.FILE_SYSTEMS, replace(item, tags=tags))
    else:
        call.tx.put(model.ACCESS_POINTS, replace(item, tags=tags))


def _tag(call: Call, item: FileSystem | AccessPoint, tags: Iterable[Any]) -> None:
    _put(call, item, with_tags(item.tags, tags))


def _untag(call: Call, item: FileSystem | AccessPoint, keys: Iterable[str]) -> None:
    gone = set(keys)
    _put(call, item, {key: value for key, value in item.tags.items() if key not in gone})


def tag_resource(call: Call, request: shapes.TagResourceRequestTypeDef) -> Output:
    _tag(call, _resource(call, request["ResourceId"]), request["Tags"])
    return {}


def untag_resource(call: Call, request: shapes.UntagResourceRequestTypeDef) -> Output:
    _untag(call, _resource(call, request["ResourceId"]), request["TagKeys"])
    return {}


def list_tags(call: Call, request: shapes.ListTagsForResourceRequestTypeDef) -> Output:
    shown, pages = by_token(tag_list(_resource(call, request["ResourceId"]).tags), request)
    return {"Tags": list(shown), **pages}


def create_tags(call: Call, request: shapes.CreateTagsRequestTypeDef) -> Output:
    _tag(call, file_system(call, request["FileSystemId"]), request["Tags"])
    return {}


def delete_tags(call: Call, request: shapes.DeleteTagsRequestTypeDef) -> Output:
    _untag(call, file_system(call, request["FileSystemId"]), request["TagKeys"])
    return {}


def describe_tags(call: Call, request: shapes.DescribeTagsRequestTypeDef) -> Output:
    shown, pages = by_marker(tag_list(file_system(call, request["FileSystemId"]).tags), request)
    return {"Tags": list(shown), **pages}
