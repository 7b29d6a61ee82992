"""Services whose deployments somebody else controls: what they may and may not have, as CreateService and the others
have it.

Sources: "Deploy Amazon ECS services using a third-party controller", developer guide; CreateService and UpdateService,
API reference.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.ecs.api import service_requests
from dryport.ecs.launching import placement
from dryport.ecs.lookup import invalid
from dryport.ecs.services import task_sets
from dryport.ecs.services.model import EXTERNAL, Service

_REPLICA = "REPLICA"
# What task sets say, with what ECS says where a service does.
_OF_TASK_SETS = {
    "taskDefinition": "TaskDefinition must be blank.",
    "launchType": "LaunchType must be blank.",
    "platformVersion": "PlatformVersion must be blank.",
    "networkConfiguration": "NetworkConfiguration must be null.",
    "capacityProviderStrategy": "CapacityProviderStrategy must be empty or null.",
    "loadBalancers": "LoadBalancers must be empty or null.",
    "serviceRegistries": "ServiceRegistries must be empty or null.",
    "serviceConnectConfiguration": "Service Connect is only supported with the ECS deployment controller.",
    "volumeConfigurations": "VolumeConfigurations must be empty or null.",
}
_EMPTY = ("capacityProviderStrategy", "loadBalancers", "serviceRegistries", "volumeConfigurations")
_NOT_UPDATED = {
    "taskDefinition": "task definition",
    "platformVersion": "platform version",
    "networkConfiguration": "network parameters",
    "capacityProviderStrategy": "capacity provider strategy",
    "loadBalancers": "load balancers",
    "serviceRegistries": "service registries",
    "serviceConnectConfiguration": "Service Connect configuration",
    "volumeConfigurations": "volume configurations",
    "deploymentConfiguration": "deployment configuration",
}


def check(request: Any) -> None:
    """Refuse a request of CreateService that has what only task sets have."""
    for member, refusal in _OF_TASK_SETS.items():
        if request.get(member) if member in _EMPTY else member in request:
            raise invalid(refusal)
    if request.get("role"):
        raise invalid("A role was passed, but no load balancers were present.")
    if request.get("schedulingStrategy", _REPLICA) != _REPLICA:
        raise invalid(f"The daemon scheduling strategy is not supported with the {EXTERNAL} deployment controller.")
    configuration = request.get("deploymentConfiguration", {})
    if configuration.get("deploymentCircuitBreaker", {}).get("enable"):
        raise invalid("DeploymentCircuitBreaker feature can be configured only with ECS deployment controller.")
    if configuration.get("strategy", "ROLLING") != "ROLLING":
        raise invalid(f"Deployment strategies other than ROLLING are not supported with the {EXTERNAL} controller.")
    if configuration.get("alarms", {}).get("enable"):
        raise invalid("Deployment alarms feature can be configured only with ECS deployment controller.")
    if configuration.get("earlySuccessCriteria", {}).get("enable"):
        raise invalid("Early success criteria can be configured only with ECS deployment controller.")
    _check_placement(request)


def _check_placement(request: Any) -> None:
    if request.get("availabilityZoneRebalancing") == "ENABLED":
        raise invalid(f"Availability Zone rebalancing is not supported with the {EXTERNAL} deployment controller.")
    placement.constraints(request.get("placementConstraints", ()), {"placementConstraints": ()})
    placement.strategies(request.get("placementStrategy", ()))


def updated(request: Any, service: Service) -> Service:
    """A service as UpdateService has it. Raises ServiceError where the request has what a new task set is made for."""
    for member, name in _NOT_UPDATED.items():
        if request.get(member) if member in _EMPTY else member in request:
            raise invalid(
                f"Unable to update {name} on services with a {EXTERNAL} deployment controller. Create a task set."
            )
    if request.get("forceNewDeployment"):
        raise invalid(
            f"Cannot force a new deployment on services with a {EXTERNAL} deployment controller. Create a task set."
        )
    _check_placement(request)
    desired = service_requests.desired_count(request, _REPLICA, service.desired_count)
    return replace(
        service,
        desired_count=desired,
        steady_at=service.steady_at if desired == service.desired_count else None,
        placement_constraints=list(request.get("placementConstraints", service.placement_constraints)),
        placement_strategy=list(request.get("placementStrategy", service.placement_strategy)),
        grace_seconds=service_requests.grace(request, service.grace_seconds),
        propagate_tags=request.get("propagateTags", service.propagate_tags),
        managed_tags=bool(request.get("enableECSManagedTags", service.managed_tags)),
    )


def deleted(service: Service, now: float, *, force: bool) -> Service:
    """A service whose task sets are all to go. Raises ServiceError where there are any, unless by force."""
    if service.deployments and not force:
        raise invalid("The service cannot be stopped while deployments are active.")
    return task_sets.end(service, now)
