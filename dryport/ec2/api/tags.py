"""Tags of every resource."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import model
from dryport.ec2.api import filters
from dryport.ec2.api.service import KINDS, Request, check_tags, get, operation, visible
from dryport.ec2.model import Resource
from dryport.gateway.service import Call, Output


def _resource(call: Call, resource_id: str) -> tuple[str, Any]:
    prefix = resource_id.partition("-")[0]
    if prefix not in KINDS:
        raise ServiceError("InvalidID", f"The ID '{resource_id}' is not valid")
    return prefix, get(call, prefix, resource_id)


@operation("CreateTags")
def create_tags(call: Call, request: Request) -> Output:
    given = {tag.get("Key", ""): tag.get("Value", "") for tag in request["Tags"]}
    for resource_id in request["Resources"]:
        prefix, resource = _resource(call, resource_id)
        merged = {**resource.tags, **given}
        check_tags(given)
        check_tags(merged)
        call.tx.put(KINDS[prefix].table, replace(resource, tags=merged))
    return None


@operation("DeleteTags")
def delete_tags(call: Call, request: Request) -> Output:
    """A tag given with a value is deleted only where it has that value; without any tags, all go."""
    wanted = request.get("Tags")
    for resource_id in request["Resources"]:
        prefix, resource = _resource(call, resource_id)
        left = {
            key: value
            for key, value in resource.tags.items()
            if wanted and not any(tag.get("Key") == key and tag.get("Value", value) == value for tag in wanted)
        }
        call.tx.put(KINDS[prefix].table, replace(resource, tags=left))
    return None


_FILTERS: filters.Fields[dict[str, str]] = {
    "key": lambda t: [t["Key"]],
    "resource-id": lambda t: [t["ResourceId"]],
    "resource-type": lambda t: [t["ResourceType"]],
    "value": lambda t: [t["Value"]],
}


@operation("DescribeTags")
def describe_tags(call: Call, request: Request) -> Output:
    listed: list[dict[str, str]] = []
    for kind in KINDS.values():
        resources: list[Resource] = call.tx.find(kind.table, "scope", model.scope(call.account, call.region))
        for resource in resources:
            if resource.tags and visible(resource):
                at = {"ResourceId": resource.id, "ResourceType": kind.resource_type}
                listed += [{"Key": key, "Value": value, **at} for key, value in resource.tags.items()]
    wanted = list(request.get("Filters", []))
    plain = [each for each in wanted if not each.get("Name", "").startswith("tag:")]
    for each in wanted:
        name = each.get("Name", "")
        if name.startswith("tag:"):
            plain += [{"Name": "key", "Values": [name[4:]]}, {"Name": "value", "Values": each.get("Values", [])}]
    found = filters.apply({"Filters": plain}, listed, _FILTERS)
    return filters.page(request, "Tags", found, lambda each: each)
