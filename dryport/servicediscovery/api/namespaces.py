"""Namespaces, of the API alone and private ones; nothing serves public names."""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.servicediscovery import model
from dryport.servicediscovery.api.common import (
    asked_before,
    begin,
    duplicate,
    filtered,
    namespace,
    open_operation,
    page,
    with_tags,
)
from dryport.servicediscovery.model import HTTP, PRIVATE, Namespace
from dryport.servicediscovery.registering import invalid
from dryport.store import Reader

_MOST = 50  # namespaces of an account in a region ("AWS Cloud Map quotas")
_SOA_TTL = 15  # seconds
_DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?", re.I
)
_ZONE_ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateHttpNamespace")(create_http)
    service.operation("CreatePrivateDnsNamespace")(create_private)
    service.operation("GetNamespace")(get)
    service.operation("ListNamespaces")(list_all)
    service.operation("UpdateHttpNamespace")(update_http)
    service.operation("UpdatePrivateDnsNamespace")(update_private)
    service.operation("DeleteNamespace")(delete)


def describe(reader: Reader, each: Namespace) -> dict[str, Any]:
    """A namespace as ListNamespaces has it."""
    properties: dict[str, Any] = {"HttpProperties": {"HttpName": each.name}}
    if each.type == PRIVATE:
        properties["DnsProperties"] = {"HostedZoneId": each.zone_id, "SOA": {"TTL": each.soa_ttl}}
    described: dict[str, Any] = {
        "Id": each.id,
        "Arn": each.arn,
        "ResourceOwner": each.account,
        "Name": each.name,
        "Type": each.type,
        "ServiceCount": reader.count(model.SERVICES, "namespace", each.id),
        "Properties": properties,
        "CreateDate": each.created_at,
    }
    if each.description:
        described["Description"] = each.description
    return described


def create_http(call: Call, request: Any) -> Output:
    """A namespace that DiscoverInstances alone knows."""
    return _create(call, request, HTTP)


def create_private(call: Call, request: Any) -> Output:
    """A namespace that is a domain inside a VPC too."""
    if not _DOMAIN.fullmatch(request["Name"]):
        raise invalid(f"The namespace name {request['Name']} is not a valid domain name.")
    soa = request.get("Properties", {}).get("DnsProperties", {}).get("SOA", {})
    zone_id = "Z" + "".join(call.random.choices(_ZONE_ID, k=20))
    return _create(call, request, PRIVATE, vpc_id=request["Vpc"], zone_id=zone_id, soa_ttl=soa.get("TTL", _SOA_TTL))


def _create(call: Call, request: Any, kind: str, **members: Any) -> Output:
    before = asked_before(call, request.get("CreatorRequestId"), request)
    if before is not None:
        return {"OperationId": before.id}
    name = request["Name"]
    for other in call.tx.find(model.NAMESPACES, "name", model.scope(call.account, call.region, name)):
        # Private ones of a name may be in other VPCs: whether that is so is found when the zone is made.
        if other.type == kind == HTTP:
            message = f"Namespace with name {name} already exists."
            more: dict[str, Any] = {"CreatorRequestId": other.creator_request_id} if other.creator_request_id else {}
            raise ServiceError("NamespaceAlreadyExists", message, NamespaceId=other.id, **more)
    if call.tx.count(model.NAMESPACES, "scope", model.scope(call.account, call.region)) >= _MOST:
        raise ServiceError("ResourceLimitExceeded", f"You have reached the maximum number of namespaces ({_MOST}).")
    made = Namespace(
        id=model.new_id(call.random, "ns"),
        account=call.account,
        region=call.region,
        name=name,
        type=kind,
        created_at=call.now,
        description=request.get("Description", ""),
        creator_request_id=request.get("CreatorRequestId", ""),
        **members,
    )
    made = replace(made, tags=with_tags({}, request.get("Tags", ()), made.arn))
    call.tx.put(model.NAMESPACES, made)
    return begin(call, "CREATE_NAMESPACE", made.id, request.get("CreatorRequestId"), request, NAMESPACE=made.id)


def get(call: Call, request: Any) -> Output:
    """A namespace."""
    found = namespace(call, request["Id"])
    more = {"CreatorRequestId": found.creator_request_id} if found.creator_request_id else {}
    return {"Namespace": {**describe(call.tx, found), **more}}


def list_all(call: Call, request: Any) -> Output:
    """The namespaces that pass the filters."""
    there = call.tx.find(model.NAMESPACES, "scope", model.scope(call.account, call.region))
    found = filtered(
        (each for each in there if each.state != "creating"),
        request.get("Filters", ()),
        {
            "TYPE": lambda each: each.type,
            "NAME": lambda each: each.name,
            "HTTP_NAME": lambda each: each.name,
            "RESOURCE_OWNER": lambda each: "SELF",
        },
        {"TYPE": "EQ IN", "NAME": "EQ BEGINS_WITH", "HTTP_NAME": "EQ BEGINS_WITH"},
    )
    shown, more = page(found, request)
    return {"Namespaces": [describe(call.tx, each) for each in shown], **more}


def update_http(call: Call, request: Any) -> Output:
    """Change the description."""
    return _update(call, request, HTTP)


def update_private(call: Call, request: Any) -> Output:
    """Change the description, or for how long it may be kept that a name is not there."""
    return _update(call, request, PRIVATE)


def _update(call: Call, request: Any, kind: str) -> Output:
    found = namespace(call, request["Id"])
    if found.type != kind:
        raise invalid(f"Namespace {found.id} is not of the type {kind}.")
    before = asked_before(call, request.get("UpdaterRequestId"), request)
    if before is not None:
        return {"OperationId": before.id}
    _refuse_while_deleted(call, found)
    change = request["Namespace"]
    ttl = change.get("Properties", {}).get("DnsProperties", {}).get("SOA", {}).get("TTL", found.soa_ttl)
    description = change.get("Description", found.description)
    call.tx.put(model.NAMESPACES, replace(found, description=description, soa_ttl=ttl))
    return begin(call, "UPDATE_NAMESPACE", found.id, request.get("UpdaterRequestId"), request, NAMESPACE=found.id)


def _refuse_while_deleted(call: Call, found: Namespace) -> None:
    going = open_operation(call, found.id, "DELETE_NAMESPACE")
    if going is not None:
        raise duplicate("The namespace is being deleted.", going.id)


def delete(call: Call, request: Any) -> Output:
    """Delete a namespace without services."""
    found = namespace(call, request["Id"])
    _refuse_while_deleted(call, found)
    if call.tx.count(model.SERVICES, "namespace", found.id):
        raise ServiceError("ResourceInUse", f"Namespace has associated services: {found.id}")
    call.tx.put(model.NAMESPACES, replace(found, state="deleting"))
    return begin(call, "DELETE_NAMESPACE", found.id, NAMESPACE=found.id)
