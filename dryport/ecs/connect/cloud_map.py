"""Service Connect's names in Cloud Map: namespaces of clusters and services, a service for each discovery name.

A name is its ECS service's from the moment that a revision asks for it until no deployment does any more and nobody is
registered under it. What ECS makes is tagged, as on AWS ("AmazonECSManaged").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecs.connect import configuration
from dryport.ecs.connect.configuration import Endpoint
from dryport.ecs.connect.traffic import Place
from dryport.ecs.lookup import invalid
from dryport.ecs.model import TASK_DEFINITIONS, Cluster, Json
from dryport.ecs.services.model import INACTIVE, SERVICE_REVISIONS, SERVICES, Service, ServiceRevision
from dryport.gateway.service import Call
from dryport.servicediscovery import published as cloudmap
from dryport.servicediscovery.model import Namespace
from dryport.store import Reader, Transaction

_TAGS = {"AmazonECSManaged": "true"}
_REFUSED = frozenset('<>"/')
_LONGEST_NAME = 1024
DISABLED: Json = {"enabled": False}


def namespace(call: Call, identifier: str) -> Namespace:
    """The caller's namespace of this name or ARN. Raises ServiceError (NamespaceNotFoundException)."""
    found = cloudmap.namespace(call.tx, call.account, call.region, identifier)
    if found is None:
        raise ServiceError("NamespaceNotFoundException", "The specified namespace was not found.")
    return found


def default_namespace(call: Call, given: Any) -> str:
    """The ARN of the namespace that a cluster is given, made where there is none of its name; "" where it is turned
    off. Raises ServiceError."""
    name = given["namespace"]
    if not name:
        return ""
    if name.startswith("arn:"):
        return namespace(call, name).arn
    if len(name) > _LONGEST_NAME or _REFUSED & set(name):
        raise invalid(f"Invalid namespace name '{name}'.")
    found = cloudmap.namespace(call.tx, call.account, call.region, name)
    if found is None:
        found = cloudmap.create_namespace(call.tx, call.random, call.now, call.account, call.region, name, _TAGS)
    return found.arn


def configured(
    call: Call, given: Any, service: Service, cluster: Cluster, body: Json, launch_type: str
) -> tuple[Json, str, list[Endpoint]]:
    """A configuration as it is stored and shown, the ARN of its namespace and its endpoints. Raises ServiceError."""
    if given is None:
        return {}, "", []
    if not given["enabled"]:
        return DISABLED, "", []
    wanted = given.get("namespace") or cluster.connect_namespace
    if not wanted:
        raise invalid(
            "Namespace cannot be empty. Specify a namespace in the Service Connect configuration or set a default "
            "namespace for the cluster."
        )
    space = namespace(call, wanted)
    found = configuration.check(given, space.name, body, launch_type)
    for other in members(call.tx, space.arn):
        if other.arn != service.arn:
            _check_aliases(call.tx, other, found)
    return {**given, "namespace": wanted}, space.arn, found


def _check_aliases(reader: Reader, other: Service, wanted: Iterable[Endpoint]) -> None:
    taken = {(each.alias, each.alias_port) for each in endpoints(reader, other)}
    for each in wanted:
        if (each.alias, each.alias_port) in taken:
            raise invalid(
                f"The client alias {each.alias}:{each.alias_port} is already used by the service {other.name} in the "
                "namespace."
            )


def claim(call: Call, service: Service, namespace_arn: str, wanted: Sequence[Endpoint]) -> list[Json]:
    """Have a Cloud Map service for each endpoint; AWS's ``ServiceConnectServiceResource``. Raises ServiceError."""
    if not wanted:
        return []
    space = namespace(call, namespace_arn)
    mine = set(service.connect_services)
    resources = []
    for each in wanted:
        found = cloudmap.named(call.tx, space.id, each.discovery_name)
        if found is not None and found.id not in mine:
            raise invalid(f"The discoveryName '{each.discovery_name}' is already used in the namespace {space.name}.")
        if found is None:
            found = cloudmap.create_service(call.tx, call.random, call.now, space, each.discovery_name, _TAGS)
        resources.append({"discoveryName": each.discovery_name, "discoveryArn": found.arn})
    return resources


def ids(resources: Iterable[Json]) -> list[str]:
    """The ids of the Cloud Map services of ``ServiceConnectServiceResource`` shapes."""
    return [each["discoveryArn"].rpartition("/")[2] for each in resources]


def unclaimed(reader: Reader, service: Service) -> list[str]:
    """The Cloud Map services of an ECS service that nothing asks for: no deployment, and no rollback of one."""
    kept: set[str] = set()
    if service.status != INACTIVE:
        revisions = {service.revision_arn, service.completed_revision_arn}
        revisions.update(each.revision_arn for each in service.deployments)
        for each in revisions:
            revision = reader.get(SERVICE_REVISIONS, each)
            kept.update(ids(revision.connect_resources) if revision is not None else ())
    return [each for each in service.connect_services if each not in kept]


def delete(tx: Transaction, service_id: str) -> bool:
    """Delete a Cloud Map service, unless somebody is registered under it; whether it is gone."""
    return cloudmap.delete_service(tx, service_id)


def members(reader: Reader, namespace_arn: str) -> list[Service]:
    """The services that are clients or servers in a namespace, whatever their cluster."""
    found = reader.find(SERVICES, "connect", namespace_arn)
    return [each for each in found if each.status != INACTIVE]


def endpoints(reader: Reader, service: Service) -> list[Endpoint]:
    """The endpoints of a service as it is wanted now."""
    revision = reader.get(SERVICE_REVISIONS, service.revision_arn)
    return of_revision(reader, revision) if revision is not None else []


def of_revision(reader: Reader, revision: ServiceRevision) -> list[Endpoint]:
    """The endpoints of a revision's tasks."""
    definition = reader.get(TASK_DEFINITIONS, revision.task_definition_arn)
    space = cloudmap.namespace(reader, revision.account, revision.region, revision.connect_namespace)
    if definition is None or space is None or not revision.connect_namespace:
        return []
    return configuration.endpoints(revision.service_connect, space.name, definition.body)


def places(reader: Reader, service_id: str) -> list[Place]:
    """Where the instances of a Cloud Map service are, and whose they are."""
    found = []
    for each in cloudmap.instances(reader, service_id):
        address, port = each.attributes.get("AWS_INSTANCE_IPV4"), each.attributes.get("AWS_INSTANCE_PORT")
        if address and port:
            found.append(Place(address, int(port), each.attributes.get("DeploymentId", "")))
    return sorted(found)


def owner(reader: Reader, service_id: str) -> Service | None:
    """The ECS service whose name a Cloud Map service is."""
    return next(iter(reader.find(SERVICES, "connect_service", service_id)), None)
