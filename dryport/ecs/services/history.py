"""Service deployments as they are remembered, and what a rollback goes back to."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from dryport.ecs.model import Json
from dryport.ecs.services import alarms, breaker, rollout
from dryport.ecs.services.model import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    SERVICE_DEPLOYMENTS,
    SERVICE_REVISIONS,
    Deployment,
    Progress,
    Service,
    ServiceDeployment,
)
from dryport.ecs.services.views import View
from dryport.store import Transaction


def begin(tx: Transaction, service: Service, deployment: Deployment, sources: list[Json], now: float) -> None:
    """Remember that a deployment begins; ``sources`` are the revisions that are there, as AWS's summaries."""
    tx.put(
        SERVICE_DEPLOYMENTS,
        ServiceDeployment(
            arn=deployment.service_deployment_arn,
            service_arn=service.arn,
            cluster_arn=service.cluster_arn,
            account=service.account,
            region=service.region,
            deployment_id=deployment.id,
            target_revision_arn=deployment.revision_arn,
            source_revisions=sources,
            requested=service.desired_count,
            configuration=service.deployment_configuration,
            breaker=_breaker(service, deployment),
            alarms=alarms.shape(service, deployment),
            created_at=now,
            updated_at=now,
            started_at=now,
        ),
    )


def keep(tx: Transaction, service: Service, view: View, now: float) -> None:
    """Bring what is remembered of a service's deployments up to date."""
    for known in tx.find(SERVICE_DEPLOYMENTS, "open", service.arn):
        deployment = next((each for each in service.deployments if each.id == known.deployment_id), None)
        changed = known
        if deployment is not None:
            running, pending = view.shown(deployment.id)
            changed = replace(
                known,
                running=running,
                pending=pending,
                requested=deployment.desired_count,
                breaker=_breaker(service, deployment),
                alarms=alarms.shape(service, deployment),
            )
            if deployment.progress is not None:
                changed = _shifting(changed, deployment.progress, service)
        changed = _ended(service, deployment, _undone(service, changed), now)
        if changed != known:
            tx.put(SERVICE_DEPLOYMENTS, replace(changed, updated_at=now))


def _undone(service: Service, known: ServiceDeployment) -> ServiceDeployment:
    """With the hooks that run while a deployment is left again: blue's progress has them."""
    progress = service.primary.progress if service.deployments else None
    if progress is None or progress.back is None or progress.back.service_deployment_arn != known.arn:
        return known
    hooks = {each.id: each for each in (*known.hooks, *progress.hooks)}
    return replace(known, hooks=list(hooks.values()))


def _shifting(known: ServiceDeployment, progress: Progress, service: Service) -> ServiceDeployment:
    """What is remembered of a deployment that shifts traffic, with how far it has come."""
    if progress.back is not None:
        return known  # blue's own was over before
    if known.status not in ("PENDING", "IN_PROGRESS") and known.stage:
        return replace(known, production=progress.production, test=progress.test, hooks=progress.hooks)
    blue = next((each.revision_arn for each in service.deployments if each.id == progress.blue), "")
    return replace(
        known,
        balanced=progress.settle > 0,
        blue_revision_arn=blue or known.blue_revision_arn,
        stage=progress.stage,
        production=progress.production,
        test=progress.test,
        hooks=progress.hooks,
    )


def _ended(service: Service, deployment: Deployment | None, known: ServiceDeployment, now: float) -> ServiceDeployment:
    over = {"finished_at": now, "stopped_at": known.stopped_at or now}
    primary = service.deployments[0] if service.deployments else None
    if primary is None:
        return replace(known, status="STOPPED", status_reason="The service was deleted.", **over)
    if known.status == "ROLLBACK_IN_PROGRESS":
        state = {COMPLETED: "ROLLBACK_SUCCESSFUL", FAILED: "ROLLBACK_FAILED"}.get(primary.rollout_state)
        if state is None and primary.revision_arn != known.rollback["serviceRevisionArn"]:
            state = "ROLLBACK_FAILED"  # another deployment came in between
        return known if state is None else replace(known, status=state, finished_at=now)
    if deployment is not None and deployment.rollout_state == COMPLETED:
        return replace(known, status="SUCCESSFUL", finished_at=now)
    if deployment is not None and deployment.rollout_state == FAILED:
        reason = deployment.rollout_reason
        if primary.id == deployment.id:
            return replace(known, status="STOPPED", status_reason=reason, **over)
        rollback = {"reason": reason, "startedAt": now, "serviceRevisionArn": primary.revision_arn}
        stopped = known.stopped_at or now
        return replace(
            known, status="ROLLBACK_IN_PROGRESS", status_reason=reason, stopped_at=stopped, rollback=rollback
        )
    if primary.id != known.deployment_id:
        return replace(known, status="STOPPED", status_reason="A later deployment took its place.", **over)
    return known


def _breaker(service: Service, deployment: Deployment) -> Json:
    enabled = service.deployment_configuration.get("deploymentCircuitBreaker", {}).get("enable", False)
    state = "DISABLED"
    if enabled:
        state = {IN_PROGRESS: "MONITORING", FAILED: "TRIGGERED"}.get(deployment.rollout_state, "MONITORING_COMPLETE")
    return {
        "status": state,
        "failureCount": deployment.breaker_failures,
        "threshold": breaker.threshold(service.desired_count, service.deployment_configuration),
    }


def rollback_target(tx: Transaction, service: Service, random: Random, now: float) -> Deployment | None:
    """The deployment that a rollback goes to: the completed one, if it is still there, or a new one of its revision."""
    completed = service.completed_revision_arn
    if not completed or completed == service.primary.revision_arn:
        return None
    for each in service.deployments[1:]:
        if each.revision_arn == completed:
            return each
    revision = tx.get(SERVICE_REVISIONS, completed)
    if revision is None:
        return None
    return rollout.deployment_of(replace(service, revision_arn=completed), revision.task_definition_arn, random, now)


def sources(service: Service, view: View) -> list[Json]:
    """The revisions that a service has tasks of, as AWS's ``ServiceRevisionSummary``."""
    return [summary(each, view) for each in service.deployments]


def summary(deployment: Deployment, view: View) -> Json:
    """AWS's ``ServiceRevisionSummary`` of a deployment's revision."""
    running, pending = view.shown(deployment.id)
    return {
        "arn": deployment.revision_arn,
        "requestedTaskCount": deployment.desired_count,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    }


def forget(tx: Transaction, service: Service) -> None:
    """Delete what is remembered of a service that is gone."""
    for key in tx.keys(SERVICE_REVISIONS, "service", service.arn):
        tx.delete(SERVICE_REVISIONS, key)
    for key in tx.keys(SERVICE_DEPLOYMENTS, "service", service.arn):
        tx.delete(SERVICE_DEPLOYMENTS, key)
