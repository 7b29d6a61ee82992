"""Services: create, update, delete, describe, list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ecs import lookup, tags
from dryport.ecs.api import SERVICE, external_services, pages, service_requests, service_shapes, strategies
from dryport.ecs.connect import cloud_map
from dryport.ecs.launching import launch
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Cluster, Json, TaskDefinition
from dryport.ecs.services import alarms, balancers, history, rollout, shifting, task_sets
from dryport.ecs.services.launching import service_role_arn
from dryport.ecs.services.model import (
    ACTIVE,
    DRAINING,
    EXTERNAL,
    INACTIVE,
    SERVICE_REVISIONS,
    SERVICES,
    Service,
    ServiceRevision,
)
from dryport.gateway.service import Call, Output
from dryport.iam import published as iam

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MOST_DESCRIBED = 10
_DEFAULT_PAGE = 10


@SERVICE.operation("CreateService", unsupported=service_requests.UNSUPPORTED)
def create_service(call: Call, request: types.CreateServiceRequestTypeDef) -> Output:
    """Want a number of tasks kept running."""
    cluster = lookup.cluster(call, request.get("cluster"))
    name = service_requests.name(request["serviceName"])
    key = lookup.service_arn(cluster, name)
    existing = call.tx.get(SERVICES, key)
    if existing is not None and existing.status != INACTIVE:
        return {"service": service_shapes.service(call.tx, _same(request, existing), tags=True)}
    if existing is not None:
        history.forget(call.tx, existing)
    if service_requests.controller(request) == EXTERNAL:
        service = _new_external(call, request, cluster, key, name)
        return {"service": service_shapes.service(call.tx, service, tags=True)}
    if "taskDefinition" not in request:
        raise invalid("TaskDefinition cannot be null or empty.")
    definition = launch.runnable_definition(call, request["taskDefinition"])
    role = balancers.role(call, request, definition)
    service = _new(call, request, cluster, key, name)
    strategies.check_hooks(call, service.deployment_configuration)
    service = replace(service, role_arn=role or service.role_arn)
    where = service_requests.capacity(request, cluster)
    revision = service_requests.revision(call, {**request, "role": role}, service, cluster, definition, where)
    wanted = request.get("serviceConnectConfiguration")
    service, revision = service_requests.connected(call, wanted, service, cluster, definition, revision)
    service = replace(service, zone_rebalancing=service_requests.rebalancing(request, service, where[0]))
    service = _deploy(call, replace(service, revision_arn=revision.arn), revision)
    return {"service": service_shapes.service(call.tx, service, tags=True)}


def _new(call: Call, request: Any, cluster: Cluster, key: str, name: str) -> Service:
    scheduling = request.get("schedulingStrategy", "REPLICA")
    iam.ensure_linked_role(call, "ecs.amazonaws.com")
    return Service(
        arn=key,
        name=name,
        cluster_arn=cluster.arn,
        account=cluster.account,
        region=cluster.region,
        desired_count=service_requests.desired_count(request, scheduling),
        scheduling_strategy=scheduling,
        controller=service_requests.controller(request),
        revision_arn="",
        deployment_configuration=service_requests.deployment_configuration(
            request.get("deploymentConfiguration", {}), scheduling
        ),
        placement_constraints=list(request.get("placementConstraints", ())),
        placement_strategy=list(request.get("placementStrategy", ())),
        zone_rebalancing="",  # not decided yet
        grace_seconds=service_requests.grace(request),
        propagate_tags=request.get("propagateTags", "NONE"),
        managed_tags=bool(request.get("enableECSManagedTags")),
        tags=tags.given(request),
        role_arn=service_role_arn(call.account),
        created_by=call.principal.arn,
        created_at=call.now,
        client_token=request.get("clientToken"),
        request_digest=_digest(request),
    )


def _new_external(call: Call, request: Any, cluster: Cluster, key: str, name: str) -> Service:
    """A service whose task sets somebody else makes."""
    external_services.check(request)
    service = _new(call, {"desiredCount": 0, **request}, cluster, key, name)
    service = replace(service, zone_rebalancing="DISABLED", request_digest=_digest(request))
    call.tx.put(SERVICES, service)
    return service


def _digest(request: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def _same(request: Any, existing: Service) -> Service:
    """The service that is there, where the request is the one that made it. Raises ServiceError."""
    if existing.status == DRAINING:
        raise invalid("Unable to Start a service that is still Draining.")
    token = request.get("clientToken")
    if token and token == existing.client_token and _digest(request) == existing.request_digest:
        return existing
    raise invalid("Creation of service was not idempotent.")


def _deploy(call: Call, service: Service, revision: ServiceRevision) -> Service:
    """Store a revision, and a deployment of the service to it."""
    sources = history.sources(service, service_shapes.view_of(call.tx, service))
    call.tx.put(SERVICE_REVISIONS, revision)
    deployment = rollout.deployment_of(service, revision.task_definition_arn, call.random, call.now)
    deployment = alarms.begin(call.tx, service, deployment)
    deployment = shifting.begin(call.tx, service, deployment, call.random, call.now)
    service = rollout.begin(service, deployment)
    call.tx.put(SERVICES, service)
    history.begin(call.tx, service, deployment, sources, call.now)
    return service


@SERVICE.operation("UpdateService", unsupported=service_requests.UNSUPPORTED)
def update_service(call: Call, request: types.UpdateServiceRequestTypeDef) -> Output:
    """Change how many there are, how they are deployed, or what they are: the last of these is a new deployment."""
    cluster = lookup.cluster(call, request.get("cluster"))
    service = lookup.active_service(call, cluster, request["service"])
    if service_requests.controller(request, service.controller) != service.controller:
        raise invalid("Dryport does not change the deployment controllers of services.")
    if task_sets.controlled_elsewhere(service):
        service = external_services.updated(request, service)
        call.tx.put(SERVICES, service)
        return {"service": service_shapes.service(call.tx, service, tags=True)}
    scheduling = service.scheduling_strategy
    desired = service_requests.desired_count(request, scheduling, service.desired_count)
    changed = replace(
        service,
        deployment_configuration=service_requests.deployment_configuration(
            request.get("deploymentConfiguration", {}), scheduling, service.deployment_configuration
        ),
        placement_constraints=list(request.get("placementConstraints", service.placement_constraints)),
        placement_strategy=list(request.get("placementStrategy", service.placement_strategy)),
        grace_seconds=service_requests.grace(request, service.grace_seconds),
        propagate_tags=request.get("propagateTags", service.propagate_tags),
        managed_tags=bool(request.get("enableECSManagedTags", service.managed_tags)),
    )
    if "deploymentConfiguration" in request:
        strategies.check_hooks(call, changed.deployment_configuration)
    present = call.tx.get(SERVICE_REVISIONS, service.revision_arn)
    assert present is not None  # they stay as long as their service
    zoned = service_requests.rebalancing(request, changed, present.launch_type)
    changed = replace(changed, zone_rebalancing=zoned, balance_after=0.0)
    changed, revision = _revised(call, request, cluster, changed, present)
    if desired != service.desired_count:
        changed = rollout.scale(changed, desired, call.now)
    if revision is not None:
        changed = _deploy(call, replace(changed, revision_arn=revision.arn), revision)
    call.tx.put(SERVICES, changed)
    return {"service": service_shapes.service(call.tx, changed, tags=True)}


def _revised(
    call: Call, request: Any, cluster: Cluster, service: Service, present: ServiceRevision
) -> tuple[Service, ServiceRevision | None]:
    """The revision that an update makes; ``None`` where it changes nothing of what the tasks are."""
    definition = _definition(call, request, present)
    where = present.launch_type, present.capacity_provider_strategy
    if request.get("capacityProviderStrategy"):
        where = service_requests.capacity({"capacityProviderStrategy": request["capacityProviderStrategy"]}, cluster)
    wanted: Json = {}
    if "networkConfiguration" in request:
        wanted["networkConfiguration"] = request["networkConfiguration"]
    elif present.network_configuration and definition.body.get("networkMode") == "awsvpc":
        wanted["networkConfiguration"] = {"awsvpcConfiguration": present.network_configuration}
    if any(each.get("configuredAtLaunch") for each in definition.body["volumes"]):
        wanted["volumeConfigurations"] = present.volume_configurations
    if request.get("volumeConfigurations") is not None:
        wanted["volumeConfigurations"] = request["volumeConfigurations"]
    version = request.get("platformVersion", present.platform_version)
    if version is not None:
        wanted["platformVersion"] = version
    wanted |= {member: request[member] for member in ("serviceRegistries", "loadBalancers") if member in request}
    if "loadBalancers" not in request and "deploymentConfiguration" in request:
        strategies.check_balancers(call, service.deployment_configuration["strategy"], present.load_balancers)
    revision = service_requests.revision(call, wanted, service, cluster, definition, where)
    if "serviceRegistries" not in request:
        revision = replace(revision, service_registries=present.service_registries)
    if "loadBalancers" not in request:
        balancers.check_ports(present.load_balancers, definition.body)
        revision = replace(revision, load_balancers=present.load_balancers)
    connect = request.get("serviceConnectConfiguration", present.service_connect or None)
    service, revision = service_requests.connected(call, connect, service, cluster, definition, revision)
    same = replace(revision, arn=present.arn, created_at=present.created_at, resolved=present.resolved) == present
    return service, None if same and not request.get("forceNewDeployment") else revision


def _definition(call: Call, request: Any, present: ServiceRevision) -> TaskDefinition:
    if "taskDefinition" in request:
        return launch.runnable_definition(call, request["taskDefinition"])
    definition = lookup.task_definition(call, present.task_definition_arn)  # an inactive one stays in use
    if definition is None:
        raise lookup.client_error("TaskDefinition not found.")
    return definition


@SERVICE.operation("DeleteService")
def delete_service(call: Call, request: types.DeleteServiceRequestTypeDef) -> Output:
    """Have a service's tasks stopped and the service gone; by force whatever it is scaled to."""
    cluster = lookup.cluster(call, request.get("cluster"))
    service = lookup.service(call, cluster, request["service"])
    if service is None or service.status == INACTIVE:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    if service.status == ACTIVE:
        scaled = service.scheduling_strategy == "REPLICA" and service.desired_count > 0
        if scaled and not request.get("force"):
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        if task_sets.controlled_elsewhere(service):
            service = external_services.deleted(service, call.now, force=bool(request.get("force")))
        else:
            service = rollout.scale(service, 0, call.now)
        service = replace(service, status=DRAINING)
        call.tx.put(SERVICES, service)
    return {"service": service_shapes.service(call.tx, service, tags=True)}


@SERVICE.operation("DescribeServices")
def describe_services(call: Call, request: types.DescribeServicesRequestTypeDef) -> Output:
    """Describe up to 10 services by name or ARN; those that are not there are failures."""
    cluster = lookup.cluster(call, request.get("cluster"))
    identifiers = request["services"]
    if not identifiers:
        raise invalid("Services cannot be empty.")
    if len(identifiers) > _MOST_DESCRIBED:
        raise invalid(f"Services cannot have more than {_MOST_DESCRIBED} elements.")
    tagged = "TAGS" in request.get("include", ())
    found: list[Json] = []
    missing: list[str] = []
    for identifier in dict.fromkeys(identifiers):
        service = lookup.service(call, cluster, identifier)
        if service is None:
            missing.append(lookup.service_arn(cluster, identifier))
        else:
            found.append(service_shapes.service(call.tx, service, tags=tagged))
    return {"services": found, "failures": service_shapes.failures(missing)}


@SERVICE.operation("ListServices", unsupported=("resourceManagementType",))
def list_services(call: Call, request: types.ListServicesRequestTypeDef) -> Output:
    """The ARNs of a cluster's services that are not inactive."""
    cluster = lookup.cluster(call, request.get("cluster"))
    return pages.answer("serviceArns", _listed(call, request, cluster), {"maxResults": _DEFAULT_PAGE, **request})


@SERVICE.operation("ListServicesByNamespace")
def list_services_by_namespace(call: Call, request: types.ListServicesByNamespaceRequestTypeDef) -> Output:
    """The ARNs of the services that are in a namespace by Service Connect, of all clusters."""
    space = cloud_map.namespace(call, request["namespace"])
    arns = [each.arn for each in cloud_map.members(call.tx, space.arn)]
    return pages.answer("serviceArns", arns, {"maxResults": _DEFAULT_PAGE, **request})


def _listed(call: Call, request: Any, cluster: Cluster) -> Sequence[str]:
    found = []
    for service in call.tx.find(SERVICES, "cluster", cluster.arn):
        revision = call.tx.get(SERVICE_REVISIONS, service.revision_arn)
        launch_type = revision.launch_type if revision else "EC2"
        if service.status == INACTIVE or request.get("launchType") not in (None, launch_type):
            continue
        if request.get("schedulingStrategy") in (None, service.scheduling_strategy):
            found.append(service.arn)
    return found
