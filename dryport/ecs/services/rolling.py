"""How many tasks a service starts and stops now. Pure.

Bounds hold whatever happens: by its own decisions a service never has fewer healthy tasks than its minimum, nor more
tasks than its maximum.
Sources: "Deploy Amazon ECS services by replacing tasks", developer guide; "DeploymentConfiguration", API reference.
"""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """A deployment's tasks that are to run. ``protected`` are those of the running ones that must not be stopped."""

    pending: int = 0
    healthy: int = 0  # they run, and nothing says that they are not well
    unhealthy: int = 0
    protected: int = 0

    @property
    def all(self) -> int:
        return self.pending + self.healthy + self.unhealthy


class Stops(msgspec.Struct, frozen=True):
    """How many of a deployment's tasks are to stop."""

    pending: int = 0
    healthy: int = 0
    unhealthy: int = 0


class Plan(msgspec.Struct, frozen=True):
    """``stuck``: the bounds leave no way to go on."""

    start: int
    primary: Stops
    others: dict[str, Stops]
    stuck: bool = False


def least(desired: int, minimum_percent: int) -> int:
    """The fewest tasks that have to be healthy, rounded up."""
    return -(-desired * minimum_percent // 100)


def most(desired: int, maximum_percent: int) -> int:
    """The most tasks that may be there, rounded down."""
    return desired * maximum_percent // 100


def decide(
    desired: int, bounds: tuple[int, int], primary: Counts, others: dict[str, Counts], *, early: bool = False
) -> Plan:
    """The next step. ``bounds`` are the minimum and maximum percent; ``others`` are earlier deployments, by id.

    Old tasks make way once new ones are healthy; before that where new ones have no other room and the minimum allows
    it, or where enough of the new ones are there for the deployment to count as done (``early``).
    """
    floor, ceiling = least(desired, bounds[0]), most(desired, bounds[1])
    total = primary.all + sum(each.all for each in others.values())
    healthy = primary.healthy + sum(each.healthy for each in others.values())

    missing = max(0, desired - primary.pending - primary.healthy)
    start = max(0, min(missing, ceiling - total))
    short = missing - start

    gone: dict[str, Stops] = {}
    may_stop = max(0, healthy - floor)
    wanted = healthy if early else max(healthy - desired, min(short, may_stop), 0)
    for name, each in others.items():
        # What is not up yet, or not well, is of no use any more.
        running = min(each.healthy - each.protected, wanted, may_stop)
        gone[name] = Stops(pending=each.pending, healthy=max(0, running), unhealthy=each.unhealthy)
        wanted -= gone[name].healthy
        may_stop -= gone[name].healthy
    own = _of_primary(desired, primary, healthy, short)
    moves = bool(start or any(each != Stops() for each in (own, *gone.values())))
    waits = primary.pending > 0
    protected = any(each.protected for each in others.values())
    return Plan(start, own, gone, stuck=bool(short) and not moves and not waits and not protected)


def _of_primary(desired: int, primary: Counts, healthy: int, short: int) -> Stops:
    surplus = max(0, primary.pending + primary.healthy - desired)
    pending = min(primary.pending, surplus)
    running = max(0, min(surplus - pending, primary.healthy - primary.protected))
    # One that is not well goes once others are in its place, or where there is no room to put one beside it.
    replaced = max(0, healthy - desired + primary.unhealthy) if healthy >= desired else short
    return Stops(pending=pending, healthy=running, unhealthy=min(primary.unhealthy, replaced))
