"""TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ecs import lookup, tags
from dryport.ecs.api import SERVICE
from dryport.ecs.model import CLUSTERS, CONTAINER_INSTANCES, TASK_DEFINITIONS, TASKS
from dryport.ecs.services.model import SERVICES, TASK_SETS
from dryport.gateway.service import Call, Output
from dryport.store import Table

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_TABLES: dict[str, Table[Any]] = {
    "cluster": CLUSTERS,
    "task-definition": TASK_DEFINITIONS,
    "task": TASKS,
    "container-instance": CONTAINER_INSTANCES,
    "service": SERVICES,
    "task-set": TASK_SETS,
}


@SERVICE.operation("TagResource")
def tag_resource(call: Call, request: types.TagResourceRequestTypeDef) -> Output:
    """Add tags to a resource, or change them."""
    table, item = _resource(call, request["resourceArn"])
    merged = tags.merge(item.tags, tags.check(request["tags"]))  # type: ignore[arg-type]
    if sum(not tag["key"].startswith("aws:") for tag in merged) > tags.MAX_TAGS:
        raise tags.too_many()
    call.tx.put(table, replace(item, tags=merged))
    return {}


@SERVICE.operation("UntagResource")
def untag_resource(call: Call, request: types.UntagResourceRequestTypeDef) -> Output:
    """Take tags off a resource; keys that it does not have do not matter."""
    table, item = _resource(call, request["resourceArn"])
    gone = set(request["tagKeys"])
    if any(key.lower().startswith("aws:") for key in gone):
        raise ServiceError(
            "InvalidParameterException",
            "Invalid tag. aws: prefixed tag key names are not allowed for external use.",
        )
    call.tx.put(table, replace(item, tags=[tag for tag in item.tags if tag["key"] not in gone]))
    return {}


@SERVICE.operation("ListTagsForResource")
def list_tags_for_resource(call: Call, request: types.ListTagsForResourceRequestTypeDef) -> Output:
    """A resource's tags."""
    return {"tags": _resource(call, request["resourceArn"])[1].tags}


def _resource(call: Call, resource_arn: str) -> tuple[Table[Any], Any]:
    parsed = arn.parse(resource_arn)
    if parsed is None or parsed.service != "ecs" or parsed.resource.partition("/")[0] not in _TABLES:
        raise ServiceError("InvalidParameterException", "The specified resource ARN is invalid.")
    kind = parsed.resource.partition("/")[0]
    if kind == "cluster":
        return CLUSTERS, lookup.cluster(call, resource_arn)
    item = call.tx.get(_TABLES[kind], resource_arn)
    if item is None or (item.account, item.region) != (call.account, call.region):
        raise ServiceError("ResourceNotFoundException", "The specified resource wasn't found.")
    return _TABLES[kind], item
