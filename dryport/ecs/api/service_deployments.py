"""Service deployments and service revisions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ecs import lookup
from dryport.ecs.api import SERVICE, pages, service_shapes
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json
from dryport.ecs.services import history, rollout, shifting, stages
from dryport.ecs.services.model import SERVICE_DEPLOYMENTS, SERVICE_REVISIONS, SERVICES, ServiceDeployment
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MOST_DESCRIBED = 20
_HOOK_ID = re.compile(r"ecs-[a-z]+-[A-Za-z0-9_-]+")


@SERVICE.operation("ListServiceDeployments")
def list_service_deployments(call: Call, request: types.ListServiceDeploymentsRequestTypeDef) -> Output:
    """A service's deployments, the latest first."""
    cluster = lookup.cluster(call, request.get("cluster"))
    service = lookup.service(call, cluster, request["service"])
    if service is None:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    found = [each for each in call.tx.find(SERVICE_DEPLOYMENTS, "service", service.arn) if _asked_for(request, each)]
    by_arn = {each.arn: each for each in sorted(found, key=lambda each: each.created_at, reverse=True)}
    chosen, token = pages.page(list(by_arn), request)
    answer: Json = {"serviceDeployments": [service_shapes.brief(by_arn[arn]) for arn in chosen]}
    if token is not None:
        answer["nextToken"] = token
    return answer


def _asked_for(request: Any, each: ServiceDeployment) -> bool:
    created = request.get("createdAt", {})
    if request.get("status") and each.status not in request["status"]:
        return False
    return bool(created.get("after", 0.0) <= each.created_at <= created.get("before", each.created_at))


@SERVICE.operation("DescribeServiceDeployments")
def describe_service_deployments(call: Call, request: types.DescribeServiceDeploymentsRequestTypeDef) -> Output:
    """Describe up to 20 service deployments; those that are not there are failures."""
    found, missing = [], []
    for arn in _few(request["serviceDeploymentArns"]):
        deployment = call.tx.get(SERVICE_DEPLOYMENTS, arn)
        if deployment is None or (deployment.account, deployment.region) != (call.account, call.region):
            missing.append(arn)
        else:
            found.append(service_shapes.service_deployment(deployment))
    return {"serviceDeployments": found, "failures": service_shapes.failures(missing)}


@SERVICE.operation("DescribeServiceRevisions")
def describe_service_revisions(call: Call, request: types.DescribeServiceRevisionsRequestTypeDef) -> Output:
    """Describe up to 20 service revisions; those that are not there are failures."""
    found, missing = [], []
    for arn in _few(request["serviceRevisionArns"]):
        revision = call.tx.get(SERVICE_REVISIONS, arn)
        if revision is None or (revision.account, revision.region) != (call.account, call.region):
            missing.append(arn)
        else:
            found.append(service_shapes.revision(call.tx, revision))
    return {"serviceRevisions": found, "failures": service_shapes.failures(missing)}


@SERVICE.operation("StopServiceDeployment")
def stop_service_deployment(call: Call, request: types.StopServiceDeploymentRequestTypeDef) -> Output:
    """Stop a deployment under way: go back to where the service came from, or (ABORT) leave it as it is."""
    deployment = call.tx.get(SERVICE_DEPLOYMENTS, request["serviceDeploymentArn"])
    if deployment is None or (deployment.account, deployment.region) != (call.account, call.region):
        raise ServiceError("ServiceDeploymentNotFoundException", "Service deployment not found.")
    service = call.tx.get(SERVICES, deployment.service_arn)
    under_way = service is not None and service.deployments and service.primary.id == deployment.deployment_id
    if service is None or not under_way or service.primary.rollout_state != "IN_PROGRESS":
        raise ServiceError(
            "ConflictException", "The service deployment cannot be stopped: it is no longer in progress."
        )
    back = request.get("stopType", "ROLLBACK") == "ROLLBACK"
    if back and shifting.rollback_target(call.tx, service, call.random, call.now) is None:
        raise ServiceError("ConflictException", "The service has no completed deployment to roll back to.")
    # Traffic is not left between two revisions.
    back = back or service.primary.progress is not None
    service = shifting.end(call.tx, service, rollout.STOPPED_BY_USER, call.now, call.random, back=back)
    call.tx.put(SERVICES, service)
    history.keep(call.tx, service, service_shapes.view_of(call.tx, service), call.now)
    return {"serviceDeploymentArn": deployment.arn}


@SERVICE.operation("ContinueServiceDeployment")
def continue_service_deployment(call: Call, request: types.ContinueServiceDeploymentRequestTypeDef) -> Output:
    """Answer a pause hook that a deployment waits for: go on, or go back."""
    if not _HOOK_ID.fullmatch(request["hookId"]):
        raise invalid("Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}")
    known = call.tx.get(SERVICE_DEPLOYMENTS, request["serviceDeploymentArn"])
    if known is None or (known.account, known.region) != (call.account, call.region):
        raise ServiceError("ServiceDeploymentNotFoundException", "The service deployment does not exist.")
    if known.status not in ("PENDING", "IN_PROGRESS"):
        raise invalid("Continuing a service deployment is not allowed for service deployment in terminal states.")
    service = call.tx.get(SERVICES, known.service_arn)
    progress = service.primary.progress if service is not None and service.deployments else None
    waiting = (
        [each.id for each in stages.current(progress) if each.status == stages.AWAITING_ACTION] if progress else []
    )
    mine = service is not None and service.deployments and service.primary.id == known.deployment_id
    if service is None or progress is None or not mine or request["hookId"] not in waiting:
        raise invalid("Provided hookId is either completed, unavailable, or not associated with the given Resource ARN")
    answer = stages.SUCCEEDED if request.get("action", "CONTINUE") == "CONTINUE" else stages.FAILED
    answered = [replace(each, status=answer) if each.id == request["hookId"] else each for each in progress.hooks]
    primary = replace(service.primary, progress=replace(progress, hooks=answered), updated_at=call.now)
    call.tx.put(SERVICES, replace(service, deployments=[primary, *service.deployments[1:]]))
    return {"serviceDeploymentArn": known.arn}


def _few(arns: list[str] | Any) -> list[str]:
    if not arns or len(arns) > _MOST_DESCRIBED:
        raise invalid(f"Between 1 and {_MOST_DESCRIBED} ARNs can be described at once.")
    return list(dict.fromkeys(arns))
