"""Attributes of container instances: PutAttributes, DeleteAttributes, ListAttributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ecs import attributes, lookup
from dryport.ecs.api import SERVICE, pages
from dryport.ecs.model import CONTAINER_INSTANCES, Cluster, ContainerInstance, Json
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MOST = 10  # in a call
_BETWEEN = "\n"  # an instance's ARN and the name of an attribute, in the items that a list pages through


@SERVICE.operation("PutAttributes")
def put_attributes(call: Call, request: types.PutAttributesRequestTypeDef) -> Output:
    """Set attributes of instances: all of them, or where one cannot be set none."""
    cluster = lookup.cluster(call, request.get("cluster"))
    put: list[Json] = []
    for given in _given(request["attributes"]):
        instance = _target(call, cluster, given)
        attribute = attributes.checked(given)
        if not attributes.is_custom(attribute["name"]):
            raise lookup.invalid(f"The attribute {attribute['name']} is reserved: only Amazon ECS can set it.")
        merged = attributes.merged(instance.attributes, [attribute])
        if attributes.too_many(merged):
            raise ServiceError(
                "AttributeLimitExceededException",
                f"You can apply up to {attributes.MAX_CUSTOM} custom attributes for each resource.",
            )
        _set(call, instance, merged)
        put.append(_shape(instance.arn, attribute))
    return {"attributes": put}


@SERVICE.operation("DeleteAttributes")
def delete_attributes(call: Call, request: types.DeleteAttributesRequestTypeDef) -> Output:
    """Take custom attributes off instances; the answer has those that were there."""
    cluster = lookup.cluster(call, request.get("cluster"))
    deleted: list[Json] = []
    for given in _given(request["attributes"]):
        instance = _target(call, cluster, given)
        name = attributes.checked({"name": given["name"]})["name"]
        if not attributes.is_custom(name):
            raise lookup.invalid(f"The attribute {name} is reserved: only Amazon ECS can delete it.")
        found = next((each for each in instance.attributes if each["name"] == name), None)
        if found is not None and given.get("value") in (None, "", found.get("value")):
            _set(call, instance, attributes.without(instance.attributes, [name]))
            deleted.append(_shape(instance.arn, found))
    return {"attributes": deleted}


@SERVICE.operation("ListAttributes")
def list_attributes(call: Call, request: types.ListAttributesRequestTypeDef) -> Output:
    """The attributes of a cluster's instances: all, those of a name, or those of a name and a value."""
    cluster = lookup.cluster(call, request.get("cluster"))
    name, value = request.get("attributeName"), request.get("attributeValue")
    if value and not name:
        raise lookup.invalid("attributeName must be specified when attributeValue is specified.")
    found: dict[str, Json] = {}
    for instance in call.tx.find(CONTAINER_INSTANCES, "cluster", cluster.arn):
        if instance.status == "INACTIVE":
            continue
        for each in instance.attributes:
            if name in (None, "", each["name"]) and value in (None, "", each.get("value")):
                found[instance.arn + _BETWEEN + each["name"]] = _shape(instance.arn, each)
    chosen, token = pages.page(list(found), request)
    answer: Json = {"attributes": [found[each] for each in chosen]}
    return answer if token is None else {**answer, "nextToken": token}


def _given(items: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    if not items:
        raise lookup.invalid("Attributes cannot be empty.")
    if len(items) > _MOST:
        raise lookup.invalid(f"Attributes cannot have more than {_MOST} elements.")
    return items


def _target(call: Call, cluster: Cluster, attribute: Mapping[str, Any]) -> ContainerInstance:
    identifier = attribute.get("targetId")
    if not identifier:
        raise lookup.invalid("targetId must be specified.")
    if not identifier.startswith("arn:") and not attribute.get("targetType"):
        raise lookup.invalid("targetType must be specified when targetId is the short form of an ID.")
    instance = lookup.container_instance(call, cluster, identifier)
    if instance is None or instance.status == "INACTIVE":
        raise ServiceError("TargetNotFoundException", f"Could not find target with targetId: {identifier}")
    return instance


def _set(call: Call, instance: ContainerInstance, changed: list[Json]) -> None:
    if changed != instance.attributes:
        call.tx.put(CONTAINER_INSTANCES, replace(instance, attributes=changed, version=instance.version + 1))


def _shape(instance_arn: str, attribute: Mapping[str, Any]) -> Json:
    return {**attribute, "targetId": instance_arn}
