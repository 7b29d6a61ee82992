"""DiscoverInstances, by the names of namespace and service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.gateway.service import Service as Handlers
from dryport.servicediscovery import model
from dryport.servicediscovery.api.common import owned
from dryport.servicediscovery.api.instances import status_of
from dryport.servicediscovery.model import HEALTHY, UNHEALTHY, Instance, Namespace, Service

_MOST = 100


def register(handlers: Handlers) -> None:
    """Add the operations of this module."""
    handlers.operation("DiscoverInstances")(discover)
    handlers.operation("DiscoverInstancesRevision")(revision)


def _find(call: Call, request: Any) -> tuple[Namespace, Service]:
    name, wanted = request["NamespaceName"], request["ServiceName"]
    spaces = []
    if owned(call, request):
        key = model.scope(call.account, call.region, name)
        spaces = [each for each in call.tx.find(model.NAMESPACES, "name", key) if each.state != "creating"]
    if not spaces:
        raise ServiceError("NamespaceNotFound", f"Namespace {name} does not exist.")
    for space in spaces:  # several private ones may have the name, in VPCs of their own
        found = call.tx.find(model.SERVICES, "name", f"{space.id}/{wanted.lower()}")
        if found:
            return space, found[0]
    raise ServiceError("ServiceNotFound", f"Service {wanted} does not exist in namespace {name}.")


def discover(call: Call, request: Any) -> Output:
    """The instances that pass the filters, at most ``MaxResults`` of them, in any order."""
    space, service = _find(call, request)
    there = call.tx.find(model.INSTANCES, "service", service.id)
    found = [each for each in there if _has(each, request.get("QueryParameters", {}))]
    preferred = [each for each in found if _has(each, request.get("OptionalParameters", {}))]
    found = _of_health(service, preferred or found, request.get("HealthStatus", "HEALTHY_OR_ELSE_ALL"))
    call.random.shuffle(found)
    return {
        "Instances": [
            {
                "InstanceId": each.id,
                "NamespaceName": space.name,
                "ServiceName": service.name,
                "HealthStatus": status_of(service, each),
                "Attributes": each.attributes,
            }
            for each in found[: request.get("MaxResults", _MOST)]
        ],
        "InstancesRevision": service.revision,
    }


def _has(each: Instance, wanted: Mapping[str, str]) -> bool:
    return all(each.attributes.get(name) == value for name, value in wanted.items())


def _of_health(service: Service, found: list[Instance], wanted: str) -> list[Instance]:
    if not service.custom_health or wanted == "ALL":
        return found
    chosen = [each for each in found if each.health == (UNHEALTHY if wanted == "UNHEALTHY" else HEALTHY)]
    return chosen or (found if wanted == "HEALTHY_OR_ELSE_ALL" else [])


def revision(call: Call, request: Any) -> Output:
    """A number that grows whenever DiscoverInstances may answer something else."""
    return {"InstancesRevision": _find(call, request)[1].revision}
