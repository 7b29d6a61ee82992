"""RunTask: writes the tasks that are wanted; the controllers make them so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.ecs import lookup
from dryport.ecs.api import SERVICE, clusters, shapes
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.launching import launch, network, placement, volumes
from dryport.ecs.launching.launch import Launch
from dryport.ecs.lookup import invalid
from dryport.ecs.model import IDEMPOTENT_REQUESTS, TASKS, Cluster, IdempotentRequest, Json, Task
from dryport.ecs.placement import capacity, choice
from dryport.ecs.placement.filters import INACTIVE
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MAX_COUNT = 10
_TOKEN_SECONDS = 24 * 3600.0


@SERVICE.operation("RunTask", unsupported=(*launch.UNSUPPORTED, *volumes.UNSUPPORTED))
def run_task(call: Call, request: types.RunTaskRequestTypeDef) -> Output:
    """Start tasks on Fargate or on the cluster's instances."""
    cluster = lookup.cluster(call, request.get("cluster"))
    known = _known(call, request, cluster)
    if known is not None:
        tasks = [task for key in known.task_arns if (task := call.tx.get(TASKS, key)) is not None]
        return {"tasks": [shapes.new_task(task) for task in tasks], "failures": known.failures}
    count = request.get("count", 1)
    if not 1 <= count <= _MAX_COUNT:
        raise invalid(f"count must be between 1 and {_MAX_COUNT}.")
    definition = launch.runnable_definition(call, request["taskDefinition"])
    launch_type, providers = _capacity(request, cluster, count)
    prepared = launch.prepare(call, request, cluster, definition, launch_type)
    if launch_type == "FARGATE":
        placement.refuse_on_fargate(request)
        tasks, failures = _on_fargate(call, prepared, providers), list[Json]()
    else:
        tasks, failures = _on_instances(call, request, prepared, count)
    _remember(call, request, cluster, tasks, failures)
    return {"tasks": [shapes.new_task(task) for task in tasks], "failures": failures}


def _capacity(request: Any, cluster: Cluster, count: int) -> tuple[str, list[str | None]]:
    """The launch type, and the capacity provider of each task (``None`` where a launch type was asked for)."""
    launch_type, strategy = request.get("launchType"), request.get("capacityProviderStrategy")
    if launch_type is not None and strategy:
        raise invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if launch_type is not None:
        return launch_type, [None] * count
    if strategy:
        strategy = clusters.check_strategy(strategy, cluster.capacity_providers)
    else:
        strategy = cluster.default_capacity_provider_strategy
    if not strategy:
        return "EC2", [None] * count
    # The capacity providers that there are are all Fargate's.
    return "FARGATE", list(capacity.distribute(count, strategy))


def _on_fargate(call: Call, prepared: Launch, providers: Sequence[str | None]) -> list[Task]:
    subnets = network.subnets(call, prepared.network)
    call.random.shuffle(subnets)
    tasks = [
        launch.task(call, prepared, subnet=subnets[number % len(subnets)], provider=provider)
        for number, provider in enumerate(providers)
    ]
    for task in tasks:
        call.tx.put(TASKS, task)
    return tasks


def _on_instances(call: Call, request: Any, prepared: Launch, count: int) -> tuple[list[Task], list[Json]]:
    own = placement.constraints(request.get("placementConstraints", ()), prepared.definition.body)
    strategies = placement.strategies(request.get("placementStrategy", ()))
    wanted = placement.request_of(call, prepared, own, strategies)
    there = board(call.tx.view(BOARDS), prepared.cluster.arn)
    if not there.active & choice.pool(there, wanted):
        raise invalid("No Container Instances were found in your cluster.")
    plan = choice.Plan(there, wanted)
    tasks: list[Task] = []
    while len(tasks) < count:
        slot = plan.choose(call.random)
        if slot is None:
            reasons = choice.reasons(there, wanted)
            return tasks, [{"arn": arn, "reason": why} for arn, why in reasons.items() if why != INACTIVE]
        task = launch.task_on(call, prepared, there.instances[slot].arn, there)
        call.tx.put(TASKS, task)  # and is on the board
        tasks.append(task)
    return tasks, []


def _digest(request: Any) -> str:
    parameters = {member: value for member, value in request.items() if member != "clientToken"}
    return hashlib.sha256(msgspec.json.encode(parameters, order="deterministic")).hexdigest()


def _key(cluster: Cluster, token: str) -> str:
    return f"{cluster.arn}/{token}"


def _known(call: Call, request: Any, cluster: Cluster) -> IdempotentRequest | None:
    token = request.get("clientToken")
    if not token:
        return None
    if len(token) > 64 or not all(33 <= ord(character) <= 126 for character in token):
        raise invalid("clientToken must be at most 64 characters in the range of 33-126.")
    known = call.tx.get(IDEMPOTENT_REQUESTS, _key(cluster, token))
    if known is None or call.now >= known.at + _TOKEN_SECONDS:
        return None
    if known.digest != _digest(request):
        raise ServiceError(
            "ConflictException",
            "The RunTask request could not be processed due to conflicts. The provided clientToken is already in use "
            "with a different RunTask request.",
            resourceIds=known.task_arns,
        )
    return known


def _remember(call: Call, request: Any, cluster: Cluster, tasks: Sequence[Task], failures: list[Json]) -> None:
    token = request.get("clientToken")
    if not token:
        return
    for old in call.tx.all(IDEMPOTENT_REQUESTS):
        # Oldest first.
        if call.now < old.at + _TOKEN_SECONDS:
            break
        call.tx.delete(IDEMPOTENT_REQUESTS, old.key)
    call.tx.put(
        IDEMPOTENT_REQUESTS,
        IdempotentRequest(
            key=_key(cluster, token),
            digest=_digest(request),
            task_arns=[task.arn for task in tasks],
            failures=failures,
            at=call.now,
        ),
    )
