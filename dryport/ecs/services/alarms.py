"""CloudWatch alarms that watch a deployment. Pure but for whom it is asked about alarms.

They are watched from the deployment's first task that runs until its bake time is over: so long that what an alarm
sees then has all happened since the earlier deployments' tasks are gone. Where one is in ALARM as the deployment
begins, none is watched: it may be what mends that. An alarm that is not there (yet) is not in ALARM.

Source: "How CloudWatch alarms detect Amazon ECS deployment failures", developer guide.
"""

from __future__ import annotations

from msgspec.structs import replace

from dryport.cloudwatch import published as cloudwatch
from dryport.ecs.model import Json
from dryport.ecs.services.model import COMPLETED, IN_PROGRESS, AlarmWatch, Deployment, Service
from dryport.store import Reader


def begin(reader: Reader, service: Service, deployment: Deployment) -> Deployment:
    """A new deployment with its alarms, where it has any and none is in ALARM."""
    configured = service.deployment_configuration.get("alarms", {})
    names = configured.get("alarmNames", [])
    if not configured.get("enable") or cloudwatch.alarming(reader, service.account, service.region, names):
        return deployment
    return replace(deployment, alarms=AlarmWatch(names=names, rollback=bool(configured.get("rollback"))))


def watching(service: Service) -> bool:
    """Whether the primary deployment is under way and watched: earlier ones stay until it is over."""
    primary = service.primary
    return primary.alarms is not None and primary.rollout_state == IN_PROGRESS


def triggered(reader: Reader, service: Service) -> list[str]:
    """The alarms that end the primary deployment."""
    watch = service.primary.alarms
    if watch is None or not watching(service) or not service.primary.reached_running:
        return []
    return cloudwatch.alarming(reader, service.account, service.region, watch.names)


def bake(reader: Reader, service: Service, now: float) -> tuple[Service, float]:
    """Seconds that are left of the bake time, which begins with the first call for a deployment.

    Strategies that shift traffic have a bake time of their own, in which blue still serves.
    """
    watch = service.primary.alarms
    if watch is None or not watching(service) or service.primary.progress is not None:
        return service, 0.0
    if not watch.bake_until:
        seconds = cloudwatch.bake_seconds(reader, service.account, service.region, watch.names)
        watch = replace(watch, bake_until=now + seconds)
        primary = replace(service.primary, alarms=watch, updated_at=now)
        service = replace(service, deployments=[primary, *service.deployments[1:]])
    return service, max(0.0, watch.bake_until - now)


def shape(service: Service, deployment: Deployment) -> Json:
    """AWS's ``ServiceDeploymentAlarms``."""
    watch = deployment.alarms
    if watch is None:
        return {"status": "DISABLED"}
    status = {IN_PROGRESS: "MONITORING", COMPLETED: "MONITORING_COMPLETE"}.get(deployment.rollout_state, "TRIGGERED")
    if status == "TRIGGERED" and not watch.triggered:
        status = "MONITORING_COMPLETE"  # something else has ended it
    shown: Json = {"status": status, "alarmNames": watch.names}
    return {**shown, "triggeredAlarmNames": watch.triggered} if watch.triggered else shown
