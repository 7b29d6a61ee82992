"""What becomes of a service's deployments. Pure: a service in, a service out."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from dryport.aws import arn
from dryport.aws.identifiers import hexadecimal
from dryport.ecs.services import events
from dryport.ecs.services.model import ACTIVE, COMPLETED, FAILED, IN_PROGRESS, PRIMARY, Deployment, Service

FAILED_TO_START = "tasks failed to start"
UNHEALTHY = "tasks failed container health checks"
UNHEALTHY_BY_ELB = "tasks failed ELB health checks"
STOPPED_BY_USER = "stopped by user"
ALARM = "alarm detected"
HOOKS_FAILED = "hook execution failure(s) detected"
INVALID_NETWORKING = "invalid networking configuration"


def number(random: Random) -> str:
    """The 19 digits that revisions and deployments are told apart by."""
    return f"{random.randrange(10**18, 10**19)}"


def resource_arn(service: Service, kind: str, identifier: str) -> str:
    """The ARN of a revision or deployment of a service."""
    cluster = service.cluster_arn.rpartition("/")[2]
    return arn.make("ecs", service.region, service.account, f"{kind}/{cluster}/{service.name}/{identifier}")


def deployment_of(service: Service, task_definition_arn: str, random: Random, now: float) -> Deployment:
    """A new deployment of the service's present revision."""
    identifier = f"ecs-svc/{number(random)}"
    return Deployment(
        id=identifier,
        revision_arn=service.revision_arn,
        service_deployment_arn=resource_arn(service, "service-deployment", hexadecimal(random, 22)),
        task_definition_arn=task_definition_arn,
        desired_count=service.desired_count,
        rollout_reason=f"ECS deployment {identifier} in progress.",
        created_at=now,
        updated_at=now,
    )


def begin(service: Service, deployment: Deployment) -> Service:
    """Have a deployment in front; earlier ones are on their way out."""
    earlier = [replace(each, status=ACTIVE) for each in service.deployments if each.id != deployment.id]
    return replace(service, deployments=[deployment, *earlier], steady_at=None)


def scale(service: Service, desired: int, now: float) -> Service:
    """Want another number of tasks."""
    primary = replace(service.primary, desired_count=desired, updated_at=now)
    changed = desired != service.desired_count
    return replace(
        service,
        desired_count=desired,
        deployments=[primary, *service.deployments[1:]],
        steady_at=None if changed else service.steady_at,
    )


def complete(service: Service, now: float, random: Random) -> Service:
    """The primary deployment is where it was going; earlier ones have no tasks left, or lose them now."""
    primary = replace(
        service.primary,
        rollout_state=COMPLETED,
        rollout_reason=f"ECS deployment {service.primary.id} completed.",
        updated_at=now,
    )
    earlier = service.deployments[1:] if primary.cleaning else []
    service = replace(service, deployments=[primary, *earlier], completed_revision_arn=primary.revision_arn)
    return events.say(service, events.completed(primary.id), now, random)


def fail(service: Service, why: str, now: float, random: Random, *, breaker: bool = True, reason: str = "") -> Service:
    """The primary deployment has failed: no more tasks are started for it. ``reason`` is what its state says, where
    it is not made of ``why``."""
    who = "ECS deployment circuit breaker" if breaker else "ECS deployment"
    reason = reason or f"{who}: {why}."
    primary = replace(service.primary, rollout_state=FAILED, rollout_reason=reason, updated_at=now)
    service = replace(service, deployments=[primary, *service.deployments[1:]])
    return events.say(service, events.failed(primary.id, why), now, random)


def roll_back(service: Service, target: Deployment, now: float, random: Random, *, breaker: bool = True) -> Service:
    """Go back to the deployment ``target``: one that is still there, or a new one of the completed revision."""
    who = "ECS deployment circuit breaker" if breaker else "ECS deployment"
    target = replace(
        target,
        status=PRIMARY,
        desired_count=service.desired_count,
        cleaning=False,
        rollout_state=IN_PROGRESS,
        rollout_reason=f"{who}: rolling back to deploymentId {target.id}.",
        alarms=None,  # going back is not watched
        updated_at=now,
    )
    failed = replace(service.primary, status=ACTIVE, desired_count=0)
    earlier = [failed, *(each for each in service.deployments[1:] if each.id != target.id)]
    service = replace(service, revision_arn=target.revision_arn, deployments=[target, *earlier], steady_at=None)
    return events.say(service, events.rolling_back(target.id), now, random)
