"""Capacity provider strategies: how many tasks of a launch each provider gets.

Source: "Amazon ECS capacity provider strategy considerations", developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence

from dryport.ecs.model import Json


def distribute(count: int, strategy: Sequence[Json]) -> list[str]:
    """The provider of each of ``count`` tasks: bases first, then by weight. Nobody has weight: bases only.

    A later task of a launch never changes what earlier ones got.
    """
    chosen: list[str] = []
    for item in strategy:
        chosen += [item["capacityProvider"]] * min(item.get("base", 0), count - len(chosen))
    weighted = {item["capacityProvider"]: item["weight"] for item in strategy if item.get("weight", 0) > 0}
    given = dict.fromkeys(weighted, 0)
    while weighted and len(chosen) < count:
        # Who would be the furthest below its share; of equals the first in the strategy.
        name = min(weighted, key=lambda each: (given[each] + 1) / weighted[each])
        given[name] += 1
        chosen.append(name)
    return chosen
