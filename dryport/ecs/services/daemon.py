"""Which instances a daemon service starts a task on, and which of its tasks stop. Pure.

Source: "Amazon ECS services", DAEMON, developer guide: one task on each instance that meets the constraints; the
minimum healthy percent (0 by default) bounds how many are replaced at once, the maximum is always 100.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from dryport.ecs.services.rolling import least


class DaemonPlan(msgspec.Struct, frozen=True):
    """``start`` are slots of instances, ``stop`` ARNs of tasks."""

    start: list[int]
    stop: list[str]


def decide(
    wanted: Collection[int],
    minimum_percent: int,
    current: Mapping[int, Sequence[str]],
    earlier: Mapping[int, Sequence[str]],
    healthy: Callable[[str], bool],
) -> DaemonPlan:
    """``current`` and ``earlier`` are tasks of the primary and of earlier deployments, by slot (-1: nowhere)."""
    belongs = set(wanted)
    stop = [arn for slot, arns in current.items() for arn in (arns if slot not in belongs else arns[1:])]
    stop += [arn for slot, arns in earlier.items() if slot not in belongs for arn in arns]
    # An instance has either the old task or the new one: the maximum is 100 percent.
    old = {slot: arns for slot, arns in earlier.items() if slot in belongs}
    well = sum(any(healthy(arn) for arn in (*current.get(slot, ()), *old.get(slot, ()))) for slot in belongs)
    spare = max(0, well - least(len(belongs), minimum_percent))
    for slot, arns in old.items():
        if slot in current or not any(healthy(arn) for arn in arns):
            stop += arns
        elif spare:
            spare -= 1
            stop += arns
    start = [slot for slot in wanted if slot not in current and slot not in old]
    return DaemonPlan(start, stop)
