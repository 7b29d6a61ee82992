"""What requests say of placement: constraints and strategies checked, and made ready for the engine.

Sources: "PlacementConstraint", "PlacementStrategy", Amazon ECS API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dryport.ecs import attributes
from dryport.ecs.boards import needs_of
from dryport.ecs.launching import network
from dryport.ecs.launching.launch import ARCHITECTURES, Launch
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json
from dryport.ecs.placement.model import CPU, MEMORY, Request, Strategy
from dryport.ecs.placement.query import Query, QueryError, parse
from dryport.gateway.service import Call

MAX_CONSTRAINTS = 10  # the task definition's included
_MAX_STRATEGIES = 5
_BINPACK_FIELDS = {"cpu": CPU, "memory": MEMORY}


def request_of(
    call: Call, launch: Launch, constraints: Sequence[Query | None] = (), strategies: Sequence[Strategy] = ()
) -> Request:
    """A task of a launch as the engine is asked for it; ``constraints`` are the request's own."""
    body = launch.definition.body
    required: list[tuple[str, tuple[str, ...]]] = [
        (each["name"], (each["value"],) if each.get("value") else ()) for each in body.get("requiresAttributes", ())
    ]
    if launch.network:
        # The interface is in one of these subnets, and an instance has those of its own zone and VPC only.
        subnets = network.subnets(call, launch.network)
        required.append((attributes.ZONE, tuple({subnet.availability_zone: None for subnet in subnets})))
        required.append((attributes.VPC, tuple({subnet.vpc_id: None for subnet in subnets})))
    platform = body.get("runtimePlatform", {})
    if "cpuArchitecture" in platform:
        required.append((attributes.ARCHITECTURE, (ARCHITECTURES[platform["cpuArchitecture"]],)))
    return Request(
        group=launch.group,
        needs=needs_of(launch.needs),
        launch_type=launch.launch_type,
        attributes=tuple(required),
        constraints=(*(query(each["expression"]) for each in body["placementConstraints"]), *constraints),
        strategies=tuple(strategies),
    )


def constraints(given: Sequence[Json], definition: Json) -> list[Query | None]:
    """The constraints of a request besides those of the task definition's body. Raises ServiceError."""
    if len(given) + len(definition["placementConstraints"]) > MAX_CONSTRAINTS:
        raise invalid(f"Maximum number of constraints is {MAX_CONSTRAINTS}.")
    return [_constraint(each) for each in given]


def strategies(given: Sequence[Json]) -> list[Strategy]:
    """The strategies of a request. Raises ServiceError."""
    if len(given) > _MAX_STRATEGIES:
        raise invalid(f"Maximum number of placement strategies is {_MAX_STRATEGIES}.")
    return [_strategy(each) for each in given]


def refuse_on_fargate(request: Any) -> None:
    """Refuse what does not go with Fargate."""
    if request.get("placementConstraints"):
        raise invalid("Placement constraints are not supported with FARGATE launch type.")
    if request.get("placementStrategy"):
        raise invalid("Placement strategies are not supported with FARGATE launch type.")


def query(expression: str) -> Query:
    """An expression's query. Raises ServiceError, with the position of what is wrong."""
    try:
        return parse(expression)
    except QueryError as error:
        raise invalid(f"Invalid expression '{expression}': {error}.") from None


def _constraint(given: Json) -> Query | None:
    kind, expression = given.get("type"), given.get("expression")
    if kind == "distinctInstance":
        if expression is not None:
            raise invalid("distinctInstance expression should not be specified.")
        return None
    if kind != "memberOf":
        raise invalid(f"constraint.type '{kind}' is not supported." if kind else "constraint.type should be specified.")
    if not expression:
        raise invalid("memberOf expression should be specified.")
    return query(expression)


def _strategy(given: Json) -> Strategy:
    kind, field = given.get("type"), given.get("field") or ""
    if kind == "random":
        return Strategy("random")
    if kind == "binpack":
        if field.lower() not in _BINPACK_FIELDS:
            raise invalid(f"The field of a binpack strategy should be one of [cpu,memory], not '{field}'.")
        return Strategy("binpack", _BINPACK_FIELDS[field.lower()])
    if kind != "spread":
        raise invalid(f"strategy.type '{kind}' is not supported." if kind else "strategy.type should be specified.")
    if field in ("instanceId", "host"):
        return Strategy("spread", "instanceId")
    if not field.startswith("attribute:") or field == "attribute:":
        raise invalid(f"The field of a spread strategy should be instanceId, host or attribute:NAME, not '{field}'.")
    return Strategy("spread", field)
