"""The instances that have room for a task: CPU, memory and host ports.

Constraints and strategies come with the placement engine; this is its first step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dryport.ecs.model import ContainerInstance, Json, Task


class Demand(NamedTuple):
    """What a task takes of an instance: CPU units, MiB, fixed host ports."""

    cpu: int = 0
    memory: int = 0
    ports: tuple[int, ...] = ()
    ports_udp: tuple[int, ...] = ()

    def as_json(self) -> Json:
        """As it is stored with the task."""
        return {"cpu": self.cpu, "memory": self.memory, "ports": list(self.ports), "ports_udp": list(self.ports_udp)}


class Free(NamedTuple):
    """What an instance has left."""

    cpu: int
    memory: int
    used_ports: frozenset[int]
    used_ports_udp: frozenset[int]


class Candidate(NamedTuple):
    """An instance and the tasks that it holds now (those that have not stopped)."""

    instance: ContainerInstance
    tasks: Sequence[Task]


def free(candidate: Candidate) -> Free:
    """What is left of an instance beside its tasks and what it registered as taken."""
    registered = {resource["name"]: resource for resource in candidate.instance.registered_resources}
    taken = [task.resources for task in candidate.tasks]
    return Free(
        cpu=registered.get("CPU", {}).get("integerValue", 0) - sum(each.get("cpu", 0) for each in taken),
        memory=registered.get("MEMORY", {}).get("integerValue", 0) - sum(each.get("memory", 0) for each in taken),
        used_ports=_ports(registered, taken, "PORTS", "ports"),
        used_ports_udp=_ports(registered, taken, "PORTS_UDP", "ports_udp"),
    )


def obstacle(demand: Demand, candidate: Candidate) -> str | None:
    """Why a task cannot go on an instance, as ECS's failures say it; ``None`` where it can."""
    if candidate.instance.status != "ACTIVE":
        return "INACTIVE"
    if not candidate.instance.agent_connected:
        return "AGENT"
    left = free(candidate)
    if demand.cpu > left.cpu:
        return "RESOURCE:CPU"
    if demand.memory > left.memory:
        return "RESOURCE:MEMORY"
    if not left.used_ports.isdisjoint(demand.ports) or not left.used_ports_udp.isdisjoint(demand.ports_udp):
        return "RESOURCE:PORTS"
    return None


def choose_instance(demand: Demand, candidates: Iterable[Candidate]) -> ContainerInstance | None:
    """The instance with the most free memory (then CPU) that the task fits on; ``None`` where it fits nowhere."""
    fitting = [candidate for candidate in candidates if obstacle(demand, candidate) is None]
    if not fitting:
        return None
    return max(fitting, key=lambda candidate: (free(candidate).memory, free(candidate).cpu)).instance


def _ports(registered: dict[str, Json], taken: Sequence[Json], resource: str, member: str) -> frozenset[int]:
    reserved = registered.get(resource, {}).get("stringSetValue", ())
    return frozenset([*map(int, reserved), *(port for each in taken for port in each.get(member, ()))])
