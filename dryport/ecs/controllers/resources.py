"""What tasks take of container instances. Pure.

A task's ``resources``: ``cpu`` (units), ``memory`` (MiB), ``ports`` and ``ports_udp`` (host ports that it names).
Source: "Amazon ECS container instances", "Resource" in the API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dryport.ecs.acs.payload import cpu_units, memory_mib
from dryport.ecs.model import Json, Task, TaskDefinition


def needs(definition: TaskDefinition, overrides: Mapping[str, Any]) -> Json:
    """What a task of this definition takes: the task's own size, or the sum of its containers'."""
    body = definition.body
    containers = [_overridden(each, overrides) for each in body["containerDefinitions"]]
    cpu = cpu_units(overrides.get("cpu") or body.get("cpu"))
    memory = memory_mib(overrides.get("memory") or body.get("memory"))
    ports: Json = {"tcp": [], "udp": []}
    if (body.get("networkMode") or "bridge") != "awsvpc":
        for container in containers:
            for mapping in container.get("portMappings") or ():
                port = mapping.get("hostPort") or (
                    mapping.get("containerPort") if body.get("networkMode") == "host" else 0
                )
                if port:
                    ports[mapping.get("protocol") or "tcp"].append(port)
    return {
        "cpu": cpu or sum(each.get("cpu") or 0 for each in containers),
        "memory": memory or sum(each.get("memoryReservation") or each.get("memory") or 0 for each in containers),
        "ports": ports["tcp"],
        "ports_udp": ports["udp"],
    }


def remaining(registered: Iterable[Mapping[str, Any]], tasks: Sequence[Task]) -> list[Json]:
    """An instance's resources less what its tasks take; for ports, those that are taken."""
    left = []
    for resource in registered:
        name = resource["name"]
        if name in ("CPU", "MEMORY"):
            used = sum(task.resources.get(name.lower(), 0) for task in tasks)
            left.append({**resource, "integerValue": resource.get("integerValue", 0) - used})
        elif name in ("PORTS", "PORTS_UDP"):
            protocol = "udp" if name == "PORTS_UDP" else "tcp"
            taken = dict.fromkeys(resource.get("stringSetValue") or ())
            taken.update(dict.fromkeys(str(port) for task in tasks for port in _ports(task, protocol)))
            left.append({**resource, "stringSetValue": list(taken)})
        else:
            left.append(dict(resource))
    return left


def shortfall(left: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str | None:
    """Why what is left of an instance does not do for a task (``RESOURCE:CPU``), ``None`` where it does."""
    by_name = {resource["name"]: resource for resource in left}
    for name in ("CPU", "MEMORY"):
        if by_name.get(name, {}).get("integerValue", 0) < wanted[name.lower()]:
            return f"RESOURCE:{name}"
    for name in ("PORTS", "PORTS_UDP"):
        taken = set(by_name.get(name, {}).get("stringSetValue") or ())
        if any(str(port) in taken for port in wanted[name.lower()]):
            return "RESOURCE:PORTS"
    return None


def _overridden(container: Mapping[str, Any], overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    own = [each for each in overrides.get("containerOverrides") or () if each.get("name") == container["name"]]
    members = ("cpu", "memory", "memoryReservation")
    return {**container, **{name: each[name] for each in own for name in members if each.get(name)}}


def _ports(task: Task, protocol: str) -> list[int]:
    named = task.resources.get("ports_udp" if protocol == "udp" else "ports", [])
    bound = [
        binding["hostPort"]
        for container in task.containers
        for binding in container.network_bindings
        if container.last_status != "STOPPED" and binding.get("protocol", "tcp") == protocol and "hostPort" in binding
    ]
    return [*named, *bound]
