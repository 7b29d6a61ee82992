"""Whether a service's tasks are evenly spread over its availability zones, and what to do about it. Pure.

Source: "Balancing an Amazon ECS service across Availability Zones", developer guide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from dryport.ecs.model import Json
from dryport.ecs.services.rolling import Counts, most

SPREAD: Json = {"type": "spread", "field": "attribute:ecs.availability-zone"}


class Balance(msgspec.Struct, frozen=True):
    """A step: a zone to start one task in, or to stop one task in; neither: wait. ``over``: the zones are even."""

    start: str | None = None
    stop: str | None = None
    over: bool = False


def count(zones: Collection[str], of_tasks: Iterable[str | None]) -> dict[str, int]:
    """The tasks in each zone, in the zones' order of names; a zone that is none of ``zones`` counts too."""
    found = dict.fromkeys(sorted(zones), 0)
    for zone in of_tasks:
        if zone is not None:
            found[zone] = found.get(zone, 0) + 1
    return found


def uneven(tasks: Mapping[str, int]) -> bool:
    """Whether a zone has at least two tasks more than another."""
    return bool(tasks) and max(tasks.values()) - min(tasks.values()) > 1


def step(desired: int, maximum_percent: int, primary: Counts, tasks: Mapping[str, int]) -> Balance | None:
    """The next step of a service that is being balanced; ``None`` where something else has to be done first.

    One task at a time comes where there are the fewest, and one goes where there are the most once it is healthy.
    """
    extra = primary.pending + primary.healthy - desired
    if primary.unhealthy or extra < 0 or extra > 1:
        return None
    if extra == 1:
        if primary.pending:
            return Balance()
        return Balance(stop=max(tasks, key=lambda zone: tasks[zone]))
    if primary.pending:
        return None
    if not uneven(tasks):
        return Balance(over=True)
    if most(desired, maximum_percent) <= desired:
        return None
    return Balance(start=min(tasks, key=lambda zone: tasks[zone]))
