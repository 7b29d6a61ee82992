"""What tasks take of container instances. Pure.

A task's ``resources``: ``cpu`` (units), ``memory`` (MiB), ``ports`` and ``ports_udp`` (host ports that it names), and
where there are any ``dynamic`` and ``dynamic_udp`` (how many it does not name), ``gpus`` (how many, by container) and
``interfaces``.
Source: "Amazon ECS container instances", "Resource" in the API reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dryport.ecs.acs.payload import cpu_units, memory_mib
from dryport.ecs.model import Json, Task, TaskDefinition
from dryport.ecs.taskdef import gpus
from dryport.ecs.taskdef.ports import host_ports, span


def needs(definition: TaskDefinition, overrides: Mapping[str, Any]) -> Json:
    """What a task of this definition takes: the task's own size, or the sum of its containers'."""
    body = definition.body
    containers = [_overridden(each, overrides) for each in body["containerDefinitions"]]
    cpu = cpu_units(overrides.get("cpu") or body.get("cpu"))
    memory = memory_mib(overrides.get("memory") or body.get("memory"))
    mode = body.get("networkMode") or "bridge"
    named: dict[str, list[int]] = {"tcp": [], "udp": []}
    dynamic = {"tcp": 0, "udp": 0}
    for mapping in (mapping for each in containers for mapping in each.get("portMappings") or ()):
        protocol = mapping.get("protocol") or "tcp"
        if mode == "host":
            first, last = span(mapping)
            named[protocol] += range(first, last + 1)
        elif mode == "bridge" and mapping.get("hostPort"):
            named[protocol].append(mapping["hostPort"])
        elif mode == "bridge":
            first, last = span(mapping)
            dynamic[protocol] += last + 1 - first
    more = {
        "dynamic": dynamic["tcp"],
        "dynamic_udp": dynamic["udp"],
        "gpus": {each["name"]: count for each in containers if (count := gpus.count(each))},
        "interfaces": 1 if mode == "awsvpc" else 0,
    }
    return {
        "cpu": cpu or sum(each.get("cpu") or 0 for each in containers),
        "memory": memory or sum(each.get("memoryReservation") or each.get("memory") or 0 for each in containers),
        "ports": named["tcp"],
        "ports_udp": named["udp"],
        **{name: value for name, value in more.items() if value},
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
        elif name == "GPU":
            given = {gpu for task in tasks for container in task.containers for gpu in container.gpu_ids}
            there = resource.get("stringSetValue") or ()
            left.append({**resource, "stringSetValue": [gpu for gpu in there if gpu not in given]})
        else:
            left.append(dict(resource))
    return left


def _overridden(container: Mapping[str, Any], overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    own = [each for each in overrides.get("containerOverrides") or () if each.get("name") == container["name"]]
    members = ("cpu", "memory", "memoryReservation", "resourceRequirements")
    return {**container, **{name: each[name] for each in own for name in members if each.get(name)}}


def _ports(task: Task, protocol: str) -> list[int]:
    named = task.resources.get("ports_udp" if protocol == "udp" else "ports", [])
    bound = [
        port
        for container in task.containers
        for binding in container.network_bindings
        if container.last_status != "STOPPED" and binding.get("protocol", "tcp") == protocol
        for port in host_ports(binding)
    ]
    return [*named, *bound]
