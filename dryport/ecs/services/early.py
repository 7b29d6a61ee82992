"""Early success criteria: when a rolling deployment counts as done before all of its tasks are there. Pure.

Source: "Complete Amazon ECS rolling deployments early with early success criteria", developer guide.
"""

from __future__ import annotations

from msgspec.structs import replace

from dryport.ecs.model import Json
from dryport.ecs.services import rolling
from dryport.ecs.services.model import IN_PROGRESS, Service


def criteria(service: Service) -> Json:
    """AWS's ``DeploymentEarlySuccessCriteria`` for the deployment that is under way, empty where there are none."""
    found: Json = service.deployment_configuration.get("earlySuccessCriteria", {})
    return found if found.get("enable") and service.primary.rollout_state == IN_PROGRESS else {}


def reached(service: Service, primary: rolling.Counts) -> bool:
    """Whether the primary deployment has the tasks that it needs to be done, or has had enough of them."""
    wanted = criteria(service)
    if not wanted:
        return primary.healthy == service.desired_count == primary.all
    enough = rolling.least(service.desired_count, wanted["healthyPercent"])
    return service.primary.cleaning or primary.healthy >= enough


def deferred(service: Service) -> bool:
    """Whether the tasks of earlier deployments go after the deployment is done, and not before."""
    return criteria(service).get("sourceServiceRevisionCleanup") == "DEFERRED"


def clean(service: Service, now: float) -> Service:
    """Have the tasks of earlier deployments go."""
    primary = replace(service.primary, cleaning=True, updated_at=now)
    return replace(service, deployments=[primary, *service.deployments[1:]])
