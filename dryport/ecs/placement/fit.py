"""The instances that have room for a task: CPU, memory and host ports.

Constraints and strategies come with the placement engine; this is its first step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dryport.ecs.controllers import resources
from dryport.ecs.model import ContainerInstance, Json, Task


class Candidate(NamedTuple):
    """An instance and the tasks that it holds now (those that have not stopped)."""

    instance: ContainerInstance
    tasks: Sequence[Task]


def obstacle(needs: Json, candidate: Candidate) -> str | None:
    """Why a task cannot go on an instance, as ECS's failures say it; ``None`` where it can.

    ``needs`` is what the task takes, as ``resources.needs`` says it.
    """
    if candidate.instance.status != "ACTIVE":
        return "INACTIVE"
    if not candidate.instance.agent_connected:
        return "AGENT"
    return resources.shortfall(resources.remaining(candidate.instance.registered_resources, candidate.tasks), needs)


def choose_instance(needs: Json, candidates: Iterable[Candidate]) -> ContainerInstance | None:
    """The instance with the fewest tasks of those that the task fits on; ``None`` where it fits nowhere."""
    fitting = [candidate for candidate in candidates if obstacle(needs, candidate) is None]
    if not fitting:
        return None
    return min(fitting, key=lambda candidate: len(candidate.tasks)).instance
