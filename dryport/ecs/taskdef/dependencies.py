"""``dependsOn``: known containers, fitting conditions, no cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dryport.ecs.model import Json
from dryport.ecs.taskdef.refusal import refusal


def check(containers: Sequence[Json]) -> None:
    """Refuse dependencies that can never be met."""
    if not any("dependsOn" in container or "links" in container for container in containers):
        return
    by_name = {container["name"]: container for container in containers}
    edges: dict[str, list[str]] = {}
    for container in containers:
        for dependency in container.get("dependsOn", ()):
            _check(dependency, by_name)
            edges.setdefault(container["name"], []).append(dependency["containerName"])
        for link in container.get("links", ()):
            target = link.partition(":")[0]
            if target not in by_name or target == container["name"]:
                raise refusal(f"Invalid 'links' setting. Unknown container: '{target}'")
    if edges and has_cycle(edges):
        raise refusal("Container dependsOn contains a cycle.")


def has_cycle(edges: Mapping[str, Sequence[str]]) -> bool:
    """Whether a directed graph, as names and the names they lead to, has a cycle."""
    waiting = {name: set(targets) for name, targets in edges.items()}
    while waiting:
        free = [name for name, targets in waiting.items() if targets.isdisjoint(waiting)]
        if not free:
            return True
        for name in free:
            del waiting[name]
    return False


def _check(dependency: Json, by_name: Mapping[str, Json]) -> None:
    target = by_name.get(dependency["containerName"])
    if target is None:
        raise refusal(f"Cannot depend on container + '{dependency['containerName']}' because it does not exist")
    condition = dependency["condition"]
    if condition in ("SUCCESS", "COMPLETE") and target["essential"]:
        raise refusal("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
    if condition == "HEALTHY" and "healthCheck" not in target:
        raise refusal("A dependency container with HEALTHY condition must have health check configured")
