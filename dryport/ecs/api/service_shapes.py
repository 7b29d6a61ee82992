"""Services, their revisions and deployments as AWS's shapes."""

from __future__ import annotations

from collections.abc import Sequence

from dryport.ecs.api.shapes import time
from dryport.ecs.model import TASK_DEFINITIONS, TASKS, Json
from dryport.ecs.services import history, task_sets
from dryport.ecs.services.launching import launch_type_of
from dryport.ecs.services.model import (
    SERVICE_REVISIONS,
    TASK_SETS,
    Deployment,
    Hook,
    Service,
    ServiceDeployment,
    ServiceRevision,
    TaskSet,
    tasks_key,
)
from dryport.ecs.services.shifting import serving
from dryport.ecs.services.views import View
from dryport.store import Reader

LATEST = "LATEST"


def service(reader: Reader, service: Service, *, tags: bool = False) -> Json:
    """AWS's ``Service`` with its present counts."""
    revision = reader.get(SERVICE_REVISIONS, service.revision_arn)
    view = view_of(reader, service)
    counts = [view.shown(each) for each in view.deployments()]
    shape: Json = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "loadBalancers": revision.load_balancers if revision else [],
        "serviceRegistries": revision.service_registries if revision else [],
        "status": service.status,
        "desiredCount": service.desired_count,
        "runningCount": sum(running for running, _ in counts),
        "pendingCount": sum(pending for _, pending in counts),
        "deploymentConfiguration": service.deployment_configuration,
        "deployments": [],
        "roleArn": service.role_arn,
        "events": service.events,
        "createdAt": time(service.created_at),
        "placementConstraints": service.placement_constraints,
        "placementStrategy": service.placement_strategy,
        "healthCheckGracePeriodSeconds": service.grace_seconds,
        "schedulingStrategy": service.scheduling_strategy,
        "deploymentController": {"type": service.controller},
        "createdBy": service.created_by,
        "enableECSManagedTags": service.managed_tags,
        "propagateTags": service.propagate_tags,
        "enableExecuteCommand": False,
        "availabilityZoneRebalancing": service.zone_rebalancing,
        **(_launched(reader, revision) if revision is not None else {"launchType": "EC2"}),
    }
    if task_sets.controlled_elsewhere(service):
        shape["taskSets"] = _task_sets(reader, service, view)
    elif service.deployments:
        shape["deployments"] = [_deployment(reader, each, view) for each in service.deployments]
        shape["currentServiceDeployment"] = service.primary.service_deployment_arn
        shape["currentServiceRevisions"] = [history.summary(each, view) for each in service.deployments]
    if tags:
        shape["tags"] = service.tags
    return shape


def _launched(reader: Reader, revision: ServiceRevision) -> Json:
    return {"taskDefinition": revision.task_definition_arn, **_launching(reader, revision)}


def view_of(reader: Reader, service: Service) -> View:
    """A service's tasks."""
    found = reader.find(TASKS, "service", tasks_key(service))
    return View([task for task in found if task.last_status != "STOPPED"], reader)


def revision(reader: Reader, revision: ServiceRevision) -> Json:
    """AWS's ``ServiceRevision``."""
    definition = reader.get(TASK_DEFINITIONS, revision.task_definition_arn)
    containers = definition.body["containerDefinitions"] if definition is not None else ()
    return {
        "serviceRevisionArn": revision.arn,
        "serviceArn": revision.service_arn,
        "clusterArn": revision.cluster_arn,
        "taskDefinition": revision.task_definition_arn,
        "containerImages": [{"containerName": each["name"], "image": each["image"]} for each in containers],
        "guardDutyEnabled": False,
        "loadBalancers": revision.load_balancers,
        "serviceRegistries": revision.service_registries,
        "createdAt": time(revision.created_at),
        **_launching(reader, revision),
        **_volumes(revision),
        **_connect(revision),
        **_resolved(revision),
    }


def _resolved(revision: ServiceRevision) -> Json:
    """AWS's ``ResolvedConfiguration`` of a revision whose target groups take turns."""
    found = []
    for each in serving(revision):
        rule = each.get("advancedConfiguration", {}).get("productionListenerRule")
        if rule:
            found.append({"targetGroupArn": each["targetGroupArn"], "productionListenerRule": rule})
    return {"resolvedConfiguration": {"loadBalancers": found}} if found else {}


def service_deployment(each: ServiceDeployment) -> Json:
    """AWS's ``ServiceDeployment``."""
    shape: Json = {
        "serviceDeploymentArn": each.arn,
        "serviceArn": each.service_arn,
        "clusterArn": each.cluster_arn,
        "updatedAt": time(each.updated_at),
        "sourceServiceRevisions": each.source_revisions,
        "targetServiceRevision": {
            "arn": each.target_revision_arn,
            "requestedTaskCount": each.requested,
            "runningTaskCount": each.running,
            "pendingTaskCount": each.pending,
        },
        "status": each.status,
        "deploymentConfiguration": each.configuration,
        "deploymentCircuitBreaker": each.breaker,
        "alarms": each.alarms or {"status": "DISABLED"},
        **_times(each),
    }
    if each.stage:
        shape |= _shifting(each, shape)
    if each.status_reason:
        shape["statusReason"] = each.status_reason
    if each.rollback:
        shape["rollback"] = {**each.rollback, "startedAt": time(each.rollback["startedAt"])}
    return shape


def _shifting(each: ServiceDeployment, shape: Json) -> Json:
    """How far a deployment has come that shifts traffic. What serves beside it is the blue revision."""
    shown: Json = {"lifecycleStage": each.stage}
    if each.balanced:
        sources = [
            {**one, **_weights(100.0 - each.production, 100.0 - each.test)}
            if one["arn"] == each.blue_revision_arn
            else {**one, **_weights(0.0, 0.0)}
            for one in each.source_revisions
        ]
        shown["sourceServiceRevisions"] = sources
        target = {**shape["targetServiceRevision"], **_weights(each.production, each.test)}
        shown["targetServiceRevision"] = target
    if each.hooks:
        shown["lifecycleHookDetails"] = [_hook(one) for one in each.hooks]
    return shown


def _weights(production: float, test: float) -> Json:
    return {"requestedProductionTrafficWeight": production, "requestedTestTrafficWeight": test}


def _hook(hook: Hook) -> Json:
    """AWS's ``DeploymentLifecycleHookDetail``."""
    shape: Json = {"hookId": hook.id, "targetType": hook.target_type, "status": hook.status}
    if hook.target_arn:
        shape["targetArn"] = hook.target_arn
    return {**shape, "expiresAt": time(hook.expires_at), "timeoutAction": hook.timeout_action}


def brief(each: ServiceDeployment) -> Json:
    """AWS's ``ServiceDeploymentBrief``."""
    shape: Json = {
        "serviceDeploymentArn": each.arn,
        "serviceArn": each.service_arn,
        "clusterArn": each.cluster_arn,
        "targetServiceRevisionArn": each.target_revision_arn,
        "status": each.status,
        **{name: value for name, value in _times(each).items() if name != "stoppedAt"},
    }
    if each.status_reason:
        shape["statusReason"] = each.status_reason
    return shape


def _times(each: ServiceDeployment) -> Json:
    known = {
        "createdAt": each.created_at,
        "startedAt": each.started_at,
        "finishedAt": each.finished_at,
        "stoppedAt": each.stopped_at,
    }
    return {name: time(value) for name, value in known.items() if value is not None}


def _deployment(reader: Reader, each: Deployment, view: View) -> Json:
    running, pending = view.shown(each.id)
    revision = reader.get(SERVICE_REVISIONS, each.revision_arn)
    return {
        "id": each.id,
        "status": each.status,
        "taskDefinition": each.task_definition_arn,
        "desiredCount": each.desired_count,
        "pendingCount": pending,
        "runningCount": running,
        "failedTasks": each.failed_tasks,
        "createdAt": time(each.created_at),
        "updatedAt": time(each.updated_at),
        "rolloutState": each.rollout_state,
        "rolloutStateReason": each.rollout_reason,
        **(
            {**_launching(reader, revision), **_volumes(revision), **_connect(revision, resources=True)}
            if revision is not None
            else {}
        ),
    }


def _launching(reader: Reader, revision: ServiceRevision) -> Json:
    shape: Json = {}
    if revision.launch_type is not None:
        shape["launchType"] = revision.launch_type
    else:
        shape["capacityProviderStrategy"] = revision.capacity_provider_strategy
    if launch_type_of(revision) == "FARGATE":
        shape["platformVersion"] = revision.platform_version or LATEST
        shape["platformFamily"] = "Linux"
    if revision.network_configuration:
        shape["networkConfiguration"] = {"awsvpcConfiguration": revision.network_configuration}
    return shape


def _volumes(revision: ServiceRevision) -> Json:
    return {"volumeConfigurations": revision.volume_configurations} if revision.volume_configurations else {}


def task_set(reader: Reader, deployment: Deployment, row: TaskSet, view: View, *, tags: bool = False) -> Json:
    """AWS's ``TaskSet``. ``view`` has its service's tasks."""
    running, pending = view.shown(deployment.id)
    revision = reader.get(SERVICE_REVISIONS, deployment.revision_arn)
    assert revision is not None  # they go together
    shape: Json = {
        "id": row.id,
        "taskSetArn": row.arn,
        "serviceArn": row.service_arn,
        "clusterArn": row.cluster_arn,
        "status": deployment.status,
        "taskDefinition": revision.task_definition_arn,
        "computedDesiredCount": deployment.desired_count,
        "pendingCount": pending,
        "runningCount": running,
        "createdAt": time(deployment.created_at),
        "updatedAt": time(deployment.updated_at),
        "loadBalancers": revision.load_balancers,
        "serviceRegistries": revision.service_registries,
        "scale": {"value": row.scale, "unit": "PERCENT"},
        "stabilityStatus": row.stability,
        "stabilityStatusAt": time(row.stability_at),
        **_launching(reader, revision),
    }
    if row.external_id is not None:
        shape["externalId"] = row.external_id
    if tags:
        shape["tags"] = row.tags
    return shape


def _task_sets(reader: Reader, service: Service, view: View) -> list[Json]:
    rows = {each.id: each for each in reader.find(TASK_SETS, "service", service.arn)}
    return [task_set(reader, each, rows[each.id], view) for each in service.deployments]


def _connect(revision: ServiceRevision, *, resources: bool = False) -> Json:
    shape: Json = {"serviceConnectConfiguration": revision.service_connect} if revision.service_connect else {}
    if resources and revision.connect_resources:
        shape["serviceConnectResources"] = revision.connect_resources
    return shape


def failures(arns: Sequence[str]) -> list[Json]:
    """AWS's ``Failure`` of what is not there."""
    return [{"arn": arn, "reason": "MISSING"} for arn in arns]
