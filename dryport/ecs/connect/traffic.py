"""Who of a service's tasks gets how much of its traffic, while a deployment shifts it. Pure.

Source: "Service Connect resources for Amazon ECS blue/green, linear, and canary deployments", developer guide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dryport.ecs.services.model import COMPLETED, Service

_MOST = 256  # the heaviest weight that HAProxy takes


class Place(NamedTuple):
    """An address and a port, and the id of the deployment whose task is there (``ecs-svc/…`` without its kind)."""

    address: str
    port: int
    deployment: str


def shares(service: Service | None, *, test: bool) -> Mapping[str, float] | None:
    """Percents of the traffic, or of the test traffic, by deployments' ids; ``None`` where all tasks are alike."""
    if service is None or not service.deployments or service.primary.rollout_state == COMPLETED:
        return None
    primary = service.primary
    progress = primary.progress
    if progress is None or not (progress.blue or progress.back is not None):
        return None  # nobody else has any
    mine = progress.test if test and progress.test else progress.production
    return {_short(primary.id): mine, _short(progress.blue): 100.0 - mine}


def weighed(places: Sequence[Place], shared: Mapping[str, float] | None) -> list[list[str | int]]:
    """An address, a port and a weight of each place that gets something."""
    if shared is None:
        return [[each.address, each.port, 1] for each in places]
    counts = Counter(each.deployment for each in places)
    each_one = {name: shared.get(name, 0.0) / count for name, count in counts.items()}
    wanted = [each for each in places if each_one[each.deployment] > 0]
    heaviest = max((each_one[each.deployment] for each in wanted), default=0.0)
    if all(each_one[each.deployment] == heaviest for each in wanted):
        return [[each.address, each.port, 1] for each in wanted]
    return [[each.address, each.port, max(1, round(_MOST * each_one[each.deployment] / heaviest))] for each in wanted]


def _short(deployment_id: str) -> str:
    return deployment_id.rpartition("/")[2]
