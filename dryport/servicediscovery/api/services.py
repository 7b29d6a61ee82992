"""Services of a namespace, and their attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.gateway.service import Service as Handlers
from dryport.servicediscovery import model
from dryport.servicediscovery.api.common import begin, filtered, namespace, page, plain_id, service, with_tags
from dryport.servicediscovery.model import HTTP, Namespace, Service
from dryport.servicediscovery.registering import invalid
from dryport.store import Reader

_LONGEST_TTL = 2**31 - 1  # seconds
_MOST_ATTRIBUTES = 30
# No health checker of Route 53's looks at anything here.
_UNSUPPORTED = ("HealthCheckConfig",)


def register(handlers: Handlers) -> None:
    """Add the operations of this module."""
    handlers.operation("CreateService", unsupported=_UNSUPPORTED)(create)
    handlers.operation("GetService")(get)
    handlers.operation("ListServices")(list_all)
    handlers.operation("UpdateService", unsupported=tuple(f"Service.{name}" for name in _UNSUPPORTED))(update)
    handlers.operation("DeleteService")(delete)
    handlers.operation("GetServiceAttributes")(get_attributes)
    handlers.operation("UpdateServiceAttributes")(update_attributes)
    handlers.operation("DeleteServiceAttributes")(delete_attributes)


def summary(reader: Reader, each: Service) -> dict[str, Any]:
    """A service as ListServices has it."""
    described: dict[str, Any] = {
        "Id": each.id,
        "Arn": each.arn,
        "ResourceOwner": each.account,
        "Name": each.name,
        "Type": each.type,
        "InstanceCount": reader.count(model.INSTANCES, "service", each.id),
        "CreateDate": each.created_at,
        "CreatedByAccount": each.account,
    }
    if each.ttls:
        described["DnsConfig"] = {
            "RoutingPolicy": each.routing_policy,
            "DnsRecords": [{"Type": kind, "TTL": ttl} for kind, ttl in each.ttls.items()],
        }
    if each.custom_health:
        described["HealthCheckCustomConfig"] = {"FailureThreshold": 1}
    if each.description:
        described["Description"] = each.description
    return described


def describe(reader: Reader, each: Service) -> dict[str, Any]:
    """A service as GetService has it."""
    described = {**summary(reader, each), "NamespaceId": each.namespace_id}
    if "DnsConfig" in described:
        described["DnsConfig"] = {"NamespaceId": each.namespace_id, **described["DnsConfig"]}
    if each.creator_request_id:
        described["CreatorRequestId"] = each.creator_request_id
    return described


def create(call: Call, request: Any) -> Output:
    """A service; in a private namespace with records, or for the API alone."""
    dns = request.get("DnsConfig", {})
    given = {plain_id(each) for each in (request.get("NamespaceId"), dns.get("NamespaceId")) if each}
    if len(given) != 1:
        raise invalid("Exactly one namespace must be specified.")
    space = namespace(call, given.pop())
    if space.state != "active":
        raise ServiceError("NamespaceNotFound", f"Namespace {space.id} is being deleted.")
    name = request["Name"]
    ttls = _ttls(space, request, dns)
    policy = dns.get("RoutingPolicy", "MULTIVALUE") if ttls else ""
    if "CNAME" in ttls and policy != "WEIGHTED":
        raise invalid("The routing policy must be WEIGHTED for services with a CNAME record.")
    made = Service(
        id=model.new_id(call.random, "srv"),
        namespace_id=space.id,
        account=call.account,
        region=call.region,
        name=name,
        created_at=call.now,
        routing_policy=policy,
        ttls=ttls,
        custom_health="HealthCheckCustomConfig" in request,
        description=request.get("Description", ""),
        creator_request_id=request.get("CreatorRequestId", ""),
    )
    made = replace(made, tags=with_tags({}, request.get("Tags", ()), made.arn))
    existing = _existing(call, made)
    if existing is not None:
        return {"Service": describe(call.tx, existing)}
    call.tx.put(model.SERVICES, made)
    return {"Service": describe(call.tx, made)}


def _ttls(space: Namespace, request: Any, dns: Any) -> dict[str, int]:
    if space.type == HTTP or request.get("Type") == "HTTP":
        if dns:
            raise invalid("DnsConfig cannot be specified for a service that is discoverable by API only.")
        return {}
    if not dns.get("DnsRecords"):
        raise invalid("DnsConfig with DnsRecords is required in a DNS namespace, unless Type is HTTP.")
    if len(space.name) + len(request["Name"]) + 1 > 253:
        raise invalid("The name of the service and its namespace together are too long for a domain name.")
    return _checked(dns["DnsRecords"])


def _checked(given: Iterable[Any]) -> dict[str, int]:
    records = list(given)
    ttls = {each["Type"]: int(each["TTL"]) for each in records}
    if len(ttls) != len(records):
        raise invalid("A type of record can be specified only once.")
    if "CNAME" in ttls and len(ttls) > 1:
        raise invalid("A CNAME record cannot be combined with other types of records.")
    if any(not 0 <= ttl <= _LONGEST_TTL for ttl in ttls.values()):
        raise invalid(f"TTL must be between 0 and {_LONGEST_TTL}.")
    return ttls


def _existing(call: Call, made: Service) -> Service | None:
    """The service that the same request has made. Raises ServiceError where there is another one of that name."""
    same = call.tx.find(model.SERVICES, "name", f"{made.namespace_id}/{made.name.lower()}")
    if not same:
        return None
    found = same[0]
    as_made = replace(made, id=found.id, created_at=found.created_at, revision=found.revision)
    if made.creator_request_id and as_made == replace(found, attributes={}):
        return found
    more: dict[str, Any] = {"CreatorRequestId": found.creator_request_id} if found.creator_request_id else {}
    raise ServiceError(
        "ServiceAlreadyExists",
        f"Service with name {made.name} already exists in namespace {made.namespace_id}.",
        ServiceId=found.id,
        ServiceArn=found.arn,
        **more,
    )


def get(call: Call, request: Any) -> Output:
    """A service."""
    return {"Service": describe(call.tx, service(call, request["Id"]))}


def list_all(call: Call, request: Any) -> Output:
    """The services that pass the filters."""
    filters = [{**each, "Values": [plain_id(value) for value in each["Values"]]} for each in request.get("Filters", ())]
    found = filtered(
        call.tx.find(model.SERVICES, "scope", model.scope(call.account, call.region)),
        filters,
        {"NAMESPACE_ID": lambda each: each.namespace_id, "RESOURCE_OWNER": lambda each: "SELF"},
        {"NAMESPACE_ID": "EQ IN"},
    )
    shown, more = page(found, request)
    return {"Services": [summary(call.tx, each) for each in shown], **more}


def update(call: Call, request: Any) -> Output:
    """Change the description, or how long the records may be kept."""
    found = service(call, request["Id"])
    change = request["Service"]
    ttls = found.ttls
    if "DnsConfig" in change:
        if not ttls:
            raise invalid("DnsConfig cannot be specified for a service that is discoverable by API only.")
        ttls = _checked(change["DnsConfig"]["DnsRecords"])
        if not ttls or not ttls.keys() <= found.ttls.keys():
            raise invalid("Records can be left out or have another TTL; types cannot be added, and one must stay.")
    changed = replace(found, ttls=ttls, description=change.get("Description", found.description))
    call.tx.put(model.SERVICES, changed)
    return begin(call, "UPDATE_SERVICE", found.namespace_id, SERVICE=found.id)


def delete(call: Call, request: Any) -> Output:
    """Delete a service without instances."""
    found = service(call, request["Id"])
    if call.tx.count(model.INSTANCES, "service", found.id):
        raise ServiceError("ResourceInUse", f"Service contains registered instances: {found.id}")
    call.tx.delete(model.SERVICES, found.id)
    return {}


def get_attributes(call: Call, request: Any) -> Output:
    """A service's own attributes."""
    found = service(call, request["ServiceId"])
    return {
        "ServiceAttributes": {
            "ServiceArn": found.arn,
            "ResourceOwner": found.account,
            "Attributes": found.attributes,
        }
    }


def update_attributes(call: Call, request: Any) -> Output:
    """Add or change attributes."""
    found = service(call, request["ServiceId"])
    attributes = {**found.attributes, **request["Attributes"]}
    if len(attributes) > _MOST_ATTRIBUTES:
        raise ServiceError(
            "ServiceAttributesLimitExceededException", f"A service cannot have more than {_MOST_ATTRIBUTES} attributes."
        )
    call.tx.put(model.SERVICES, replace(found, attributes=attributes))
    return {}


def delete_attributes(call: Call, request: Any) -> Output:
    """Take attributes away."""
    found = service(call, request["ServiceId"])
    left = {name: value for name, value in found.attributes.items() if name not in request["Attributes"]}
    call.tx.put(model.SERVICES, replace(found, attributes=left))
    return {}
