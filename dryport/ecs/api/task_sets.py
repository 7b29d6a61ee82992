"""Task sets: create, update, delete, describe; which one of a service's is the primary one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ecs import lookup, tags
from dryport.ecs.api import SERVICE, service_requests, service_shapes
from dryport.ecs.launching import launch
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Cluster, Json
from dryport.ecs.services import rollout, task_sets
from dryport.ecs.services.model import (
    ACTIVE,
    DRAINING,
    INACTIVE,
    PRIMARY,
    SERVICE_REVISIONS,
    SERVICES,
    STABILIZING,
    TASK_SETS,
    Deployment,
    Service,
    ServiceRevision,
    TaskSet,
)
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_NOT_EXTERNAL = (
    "Amazon ECS only supports task set management on services configured to use external deployment controllers."
)
_TOO_MANY = (
    f"{task_sets.MOST} deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum "
    "limit."
)


@SERVICE.operation("CreateTaskSet", unsupported=("loadBalancers.advancedConfiguration",))
def create_task_set(call: Call, request: types.CreateTaskSetRequestTypeDef) -> Output:
    """Have a share of a service's tasks be of a task definition, in a network, behind load balancers."""
    cluster = lookup.cluster(call, request["cluster"])
    service = lookup.active_service(call, cluster, request["service"])
    _check_controller(service)
    digest = hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()
    existing = _made_before(call, service, request.get("clientToken"), digest)
    if existing is not None:
        return _answer(call, service, existing)
    if len(service.deployments) >= task_sets.MOST:
        raise invalid(_TOO_MANY)
    scale, given_tags = _scale(request.get("scale", {})), tags.given(request)
    revision = _revision(call, request, service, cluster)
    deployment = Deployment(
        id=f"ecs-svc/{rollout.number(call.random)}",
        revision_arn=revision.arn,
        service_deployment_arn="",
        task_definition_arn=revision.task_definition_arn,
        status=ACTIVE,
        created_at=call.now,
        updated_at=call.now,
    )
    made = TaskSet(
        arn=task_sets.arn_of(service, deployment.id),
        id=deployment.id,
        service_arn=service.arn,
        cluster_arn=cluster.arn,
        account=service.account,
        region=service.region,
        scale=scale,
        external_id=request.get("externalId"),
        tags=given_tags,
        stability_at=call.now,
        client_token=request.get("clientToken"),
        request_digest=digest,
    )
    call.tx.put(SERVICE_REVISIONS, revision)
    call.tx.put(TASK_SETS, made)
    service = task_sets.change(service, deployment)
    call.tx.put(SERVICES, service)
    return _answer(call, service, made)


def _made_before(call: Call, service: Service, token: str | None, digest: str) -> TaskSet | None:
    """The task set that the same request made. Raises ServiceError where another one used its token."""
    for each in call.tx.find(TASK_SETS, "service", service.arn) if token else ():
        if each.client_token == token:
            if each.request_digest == digest:
                return each
            raise invalid("Creation of task set was not idempotent.")
    return None


def _revision(call: Call, request: Any, service: Service, cluster: Cluster) -> ServiceRevision:
    """What the task set's tasks are. Raises ServiceError."""
    balancers = request.get("loadBalancers", ())
    if any(each.get("loadBalancerName") for each in balancers):
        raise invalid("Classic Load Balancers are not supported with external deployment controllers.")
    if len(balancers) > 1:
        raise invalid("Multiple target groups are not supported with external deployment controllers.")
    definition = launch.runnable_definition(call, request["taskDefinition"])
    where = service_requests.capacity(request, cluster)
    return service_requests.revision(call, request, service, cluster, definition, where)


@SERVICE.operation("UpdateTaskSet")
def update_task_set(call: Call, request: types.UpdateTaskSetRequestTypeDef) -> Output:
    """Have a task set have another share of its service's tasks."""
    service, deployment, row = _found(call, request, request["taskSet"])
    if deployment.status == DRAINING:
        raise invalid("The task set cannot be updated while it is DRAINING.")
    row = replace(row, scale=_scale(request["scale"]), stability=STABILIZING, stability_at=call.now)
    service = task_sets.change(service, replace(deployment, updated_at=call.now))
    call.tx.put(TASK_SETS, row)
    call.tx.put(SERVICES, service)
    return _answer(call, service, row)


@SERVICE.operation("UpdateServicePrimaryTaskSet")
def update_service_primary_task_set(call: Call, request: types.UpdateServicePrimaryTaskSetRequestTypeDef) -> Output:
    """Have a task set be the one that a service is said to run."""
    service, deployment, row = _found(call, request, request["primaryTaskSet"])
    if deployment.status == DRAINING:
        raise invalid("The task set cannot be the primary task set while it is DRAINING.")
    service = task_sets.promote(service, deployment, call.now)
    call.tx.put(SERVICES, service)
    return _answer(call, service, row)


@SERVICE.operation("DeleteTaskSet")
def delete_task_set(call: Call, request: types.DeleteTaskSetRequestTypeDef) -> Output:
    """Have a task set's tasks stopped and it gone; by force also the primary one, and whatever it is scaled to."""
    service, deployment, row = _found(call, request, request["taskSet"])
    if deployment.status != DRAINING:
        if deployment.status == PRIMARY and not request.get("force"):
            raise invalid("The primary task set cannot be deleted. Use the force parameter to delete it.")
        if row.scale > 0 and not request.get("force"):
            raise invalid("The task set cannot be deleted while it is scaled above 0.")
        service = task_sets.leave(service, deployment, call.now)
        row = replace(row, scale=0.0, stability=STABILIZING, stability_at=call.now)
        call.tx.put(TASK_SETS, row)
        call.tx.put(SERVICES, service)
    return _answer(call, service, row)


@SERVICE.operation("DescribeTaskSets")
def describe_task_sets(call: Call, request: types.DescribeTaskSetsRequestTypeDef) -> Output:
    """A service's task sets, or those that are named; those that are not there are failures."""
    cluster = lookup.cluster(call, request["cluster"])
    service = lookup.service(call, cluster, request["service"])
    if service is None:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    if service.status == INACTIVE:
        raise ServiceError("ServiceNotActiveException", "Service was not ACTIVE.")
    _check_controller(service)
    rows = {each.arn: each for each in call.tx.find(TASK_SETS, "service", service.arn)}
    by_arn = {task_sets.arn_of(service, each.id): each for each in service.deployments}
    wanted = list(dict.fromkeys(_arn(service, each) for each in request.get("taskSets", ()))) or list(by_arn)
    view, tagged = service_shapes.view_of(call.tx, service), "TAGS" in request.get("include", ())
    shapes = [
        service_shapes.task_set(call.tx, by_arn[arn], rows[arn], view, tags=tagged) for arn in wanted if arn in by_arn
    ]
    return {"taskSets": shapes, "failures": service_shapes.failures([arn for arn in wanted if arn not in by_arn])}


# Small things


def _check_controller(service: Service) -> None:
    if not task_sets.controlled_elsewhere(service):
        raise invalid(_NOT_EXTERNAL)


def _arn(service: Service, identifier: str) -> str:
    return identifier if identifier.startswith("arn:") else task_sets.arn_of(service, identifier)


def _found(call: Call, request: Any, identifier: str) -> tuple[Service, Deployment, TaskSet]:
    """A task set that a request names, and its service, which is active. Raises ServiceError."""
    service = lookup.active_service(call, lookup.cluster(call, request["cluster"]), request["service"])
    _check_controller(service)
    row = call.tx.get(TASK_SETS, _arn(service, identifier))
    if row is None or row.service_arn != service.arn:
        raise ServiceError("TaskSetNotFoundException", "The specified task set does not exist.")
    return service, next(each for each in service.deployments if each.id == row.id), row


def _scale(given: Any) -> float:
    """Percent, as AWS's ``Scale`` says it; none without one. Raises ServiceError."""
    value = float(given.get("value", 0.0))
    if not 0 <= value <= 100:
        raise invalid("The scale of a task set must be between 0 and 100 percent.")
    return value


def _answer(call: Call, service: Service, row: TaskSet) -> Json:
    deployment = next(each for each in service.deployments if each.id == row.id)
    view = service_shapes.view_of(call.tx, service)
    return {"taskSet": service_shapes.task_set(call.tx, deployment, row, view, tags=True)}
