"""What CreateService and UpdateService say, checked and made ready to be stored."""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from dryport.ecs.api import clusters, strategies
from dryport.ecs.connect import cloud_map, configuration
from dryport.ecs.launching import launch, placement, volumes
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Cluster, Json, TaskDefinition
from dryport.ecs.services import balancers, registries, rollout, stages, zones
from dryport.ecs.services.model import ECS, EXTERNAL, Service, ServiceRevision
from dryport.gateway.service import Call

UNSUPPORTED = (
    "enableExecuteCommand",
    *configuration.UNSUPPORTED,
    *volumes.UNSUPPORTED,
    "vpcLatticeConfigurations",
    "gatewayConnectors",
    "monitoring",
)
_LAUNCHED = ("networkConfiguration", "platformVersion", "volumeConfigurations")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MOST_TASKS = 5000  # "Tasks per service", Amazon ECS service quotas
_MOST_GRACE = 2**31 - 1
_OPTIONAL = ("alarms", "earlySuccessCriteria")  # members of a deployment configuration that ECS has no default for
_PERCENTS = {"REPLICA": (100, 200), "DAEMON": (0, 100)}


def name(given: str) -> str:
    """A service's name. Raises ServiceError."""
    if not _NAME.fullmatch(given):
        raise invalid("Service name must be between 1 and 255 characters: letters, numbers, underscores, hyphens.")
    return given


def desired_count(request: Any, strategy: str, before: int | None = None) -> int:
    """How many tasks are wanted; ``before`` of a service that is there. Raises ServiceError."""
    given = request.get("desiredCount")
    if strategy == "DAEMON":
        if given is not None:
            raise invalid(
                "The daemon scheduling strategy does not support a desired count for services. Remove the desired "
                "count value and try again"
            )
        return before or 0
    if given is None:
        if before is None:
            raise invalid("Desired count must be specified for services of the REPLICA scheduling strategy.")
        return before
    if not 0 <= given <= _MOST_TASKS:
        raise invalid(f"desiredCount must be between 0 and {_MOST_TASKS}.")
    return int(given)


def deployment_configuration(given: Any, strategy: str, before: Json | None = None) -> Json:
    """The deployment configuration with what ECS fills in. Raises ServiceError."""
    minimum, maximum = _PERCENTS[strategy]
    merged: Json = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": maximum,
        "minimumHealthyPercent": minimum,
    }
    for known in (before or {}, given):
        merged |= {member: known[member] for member in (*merged, *_OPTIONAL) if member in known}
    merged |= strategies.configuration(given, before or {}, strategy)
    if given.get("alarms", {}).get("enable") and not given["alarms"].get("alarmNames"):
        raise invalid("alarmNames cannot be empty where deployment alarms are enabled.")
    least, most = merged["minimumHealthyPercent"], merged["maximumPercent"]
    if least < 0 or most < 0:
        raise invalid("minimumHealthyPercent and maximumPercent must not be negative.")
    if strategy == "DAEMON" and most != 100:
        raise invalid("The daemon scheduling strategy supports a maximumPercent of 100 only.")
    if least > 100:
        raise invalid("minimumHealthyPercent must be between 0 and 100.")
    if most < 100 or most > 200:
        raise invalid("maximumPercent must be between 100 and 200.")
    if strategy == "REPLICA" and least == most == 100:
        raise invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
    _check_ends(merged)
    return merged


def _check_ends(configuration: Json) -> None:
    """When a deployment has failed, or is done early. Raises ServiceError."""
    threshold = configuration["deploymentCircuitBreaker"].get("thresholdConfiguration")
    if threshold is not None and threshold["value"] < 1:
        raise invalid("The value of the thresholdConfiguration must be 1 or more.")
    early = configuration.get("earlySuccessCriteria", {})
    if not early.get("enable"):
        return
    if configuration["strategy"] != stages.ROLLING:
        raise invalid("earlySuccessCriteria can only be used with the ROLLING deployment strategy.")
    for member in ("healthyPercent", "sourceServiceRevisionCleanup"):
        if member not in early:
            raise invalid(f"{member} must be specified when earlySuccessCriteria are enabled.")
    least = configuration["minimumHealthyPercent"]
    if not least <= early["healthyPercent"] <= 100:
        raise invalid(f"healthyPercent must be between the minimumHealthyPercent ({least}) and 100.")


def controller(request: Any, before: str = ECS) -> str:
    """Who deploys a service: ECS, or somebody else by task sets. Raises ServiceError."""
    kind: str = request.get("deploymentController", {}).get("type", before)
    if kind not in (ECS, EXTERNAL):
        raise invalid(f"Dryport does not have the deployment controller {kind} yet.")
    return kind


def rebalancing(request: Any, service: Service, launch_type: str | None) -> str:
    """Whether the service's zones are kept even: where asked for, or a new service's can be. Raises ServiceError."""
    first = service.placement_strategy[0] if service.placement_strategy else zones.SPREAD
    reasons = {
        "the DAEMON scheduling strategy": service.scheduling_strategy == "DAEMON",
        "the EXTERNAL launch type": launch_type == "EXTERNAL",
        "a maximumPercent of 100": service.deployment_configuration["maximumPercent"] <= 100,
        "a first placement strategy that is not spread by availability zone": first != zones.SPREAD,
    }
    against = next((reason for reason, there in reasons.items() if there), None)
    given = request.get("availabilityZoneRebalancing")
    if given == "ENABLED" and against is not None:
        raise invalid(f"Availability Zone rebalancing is not supported with {against}.")
    wanted: str = given or service.zone_rebalancing or ("ENABLED" if against is None else "DISABLED")
    return wanted if against is None else "DISABLED"


def grace(request: Any, before: int = 0) -> int:
    """Seconds in which the health of a task does not count. Raises ServiceError."""
    given = request.get("healthCheckGracePeriodSeconds", before)
    if not 0 <= given <= _MOST_GRACE:
        raise invalid(f"healthCheckGracePeriodSeconds must be between 0 and {_MOST_GRACE}.")
    return int(given)


def capacity(request: Any, cluster: Cluster) -> tuple[str | None, list[Json]]:
    """The launch type, or the capacity provider strategy where it is one. Raises ServiceError."""
    launch_type, strategy = request.get("launchType"), request.get("capacityProviderStrategy")
    if launch_type is not None and strategy:
        raise invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if launch_type is not None:
        return launch_type, []
    if strategy:
        return None, clusters.check_strategy(strategy, cluster.capacity_providers)
    if cluster.default_capacity_provider_strategy:
        return None, cluster.default_capacity_provider_strategy
    return "EC2", []


def revision(
    call: Call,
    request: Any,
    service: Service,
    cluster: Cluster,
    definition: TaskDefinition,
    where: tuple[str | None, list[Json]],
) -> ServiceRevision:
    """A new revision of a service, which could be launched. Not stored. Raises ServiceError."""
    launch_type, strategy = where
    kind = launch_type or "FARGATE"
    if kind == "FARGATE":
        if service.scheduling_strategy == "DAEMON":
            raise invalid("The daemon scheduling strategy is not supported with the FARGATE launch type.")
        placement.refuse_on_fargate(
            {"placementConstraints": service.placement_constraints, "placementStrategy": service.placement_strategy}
        )
    if service.scheduling_strategy == "DAEMON" and service.placement_strategy:
        raise invalid("The daemon scheduling strategy does not support placement strategies.")
    placement.constraints(service.placement_constraints, definition.body)
    placement.strategies(service.placement_strategy)
    if service.scheduling_strategy == "DAEMON" and request.get("volumeConfigurations"):
        raise invalid("The daemon scheduling strategy does not support volume configurations.")
    load_balancers = balancers.check(call, request.get("loadBalancers", ()), definition, kind, request.get("role", ""))
    strategies.check_balancers(call, service.deployment_configuration["strategy"], load_balancers)
    launched = {name: request[name] for name in _LAUNCHED if name in request}
    prepared = launch.prepare(call, launched, cluster, definition, kind, service.tags)
    return ServiceRevision(
        arn=rollout.resource_arn(service, "service-revision", rollout.number(call.random)),
        service_arn=service.arn,
        cluster_arn=cluster.arn,
        account=service.account,
        region=service.region,
        task_definition_arn=definition.arn,
        launch_type=launch_type,
        capacity_provider_strategy=strategy,
        platform_version=request.get("platformVersion"),
        network_configuration=prepared.network,
        volume_configurations=list(request.get("volumeConfigurations") or ()),
        service_registries=registries.check(call, request.get("serviceRegistries", ()), definition, kind),
        load_balancers=load_balancers,
        created_at=call.now,
    )


def connected(
    call: Call,
    given: Any,
    service: Service,
    cluster: Cluster,
    definition: TaskDefinition,
    revision: ServiceRevision,
) -> tuple[Service, ServiceRevision]:
    """A service and its new revision with a Service Connect configuration, its names claimed. Raises ServiceError."""
    kind = revision.launch_type or "FARGATE"
    shown, space, endpoints = cloud_map.configured(call, given, service, cluster, definition.body, kind)
    resources = cloud_map.claim(call, service, space, endpoints)
    claimed = [*service.connect_services, *cloud_map.ids(resources)]
    return (
        replace(service, connect_namespace=space, connect_services=list(dict.fromkeys(claimed))),
        replace(revision, service_connect=shown, connect_namespace=space, connect_resources=resources),
    )
