"""Port mappings: defaults, the rules of each network mode, ports used twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dryport.ecs.model import Json
from dryport.ecs.taskdef.refusal import refusal

_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
_LAST = 65535
_MAX_RANGES = 100


def normalize(container: str, mappings: Iterable[Json], mode: str) -> list[Json]:
    """A container's port mappings with what ECS fills in; ``mode`` is the task's network mode."""
    normal = [_normalize(mapping, mode) for mapping in mappings]
    if normal and mode == "none":
        raise refusal("Port mappings are not supported when networkMode=none.")
    if len(normal) > _MAX_RANGES and sum("containerPortRange" in mapping for mapping in normal) > _MAX_RANGES:
        raise refusal(f"Container '{container}' can not have more than {_MAX_RANGES} port ranges.")
    return normal


def check_task(mappings: Iterable[Json], mode: str) -> None:
    """Refuse ports and names that the containers of one task would share; ``mappings`` are those of all of them."""
    names: set[str] = set()
    spans: list[tuple[int, int]] = []
    host_ports: set[tuple[int, str]] = set()
    for mapping in mappings:
        name = mapping.get("name")
        if name is not None:
            if name in names:
                raise refusal(f"The port mapping name is already used: '{name}'.")
            names.add(name)
        if mode in ("awsvpc", "host"):
            # All of the task's containers are in one network namespace.
            first, last = span(mapping)
            if any(first <= other_last and other_first <= last for other_first, other_last in spans):
                used = mapping.get("containerPortRange", first)
                raise refusal(f"The container port is used multiple times in task: {used}.")
            spans.append((first, last))
        elif mapping.get("hostPort"):
            port = (mapping["hostPort"], mapping["protocol"])
            if port in host_ports:
                raise refusal(f"The host port is used multiple times in task: {port[0]}.")
            host_ports.add(port)


def span(mapping: Json) -> tuple[int, int]:
    """The first and the last container port of a normalized mapping."""
    text = mapping.get("containerPortRange")
    if text is None:
        return mapping["containerPort"], mapping["containerPort"]
    first, last = text.split("-")
    return int(first), int(last)


def host_ports(binding: Mapping[str, Any]) -> range:
    """The host ports of one of a container's network bindings."""
    if text := binding.get("hostPortRange"):
        first, _, last = str(text).partition("-")
        return range(int(first), int(last) + 1)
    return range(binding["hostPort"], binding["hostPort"] + 1) if "hostPort" in binding else range(0)


def _normalize(mapping: Json, mode: str) -> Json:
    normal = dict(mapping)
    normal.setdefault("protocol", "tcp")
    name = mapping.get("name")
    if name is not None and not _NAME.fullmatch(name):
        raise refusal(f"Invalid port mapping name '{name}'.")
    if "containerPortRange" in mapping:
        _check_range(mapping)
        return normal
    port, host = mapping.get("containerPort"), mapping.get("hostPort")
    if port is None or not 1 <= port <= _LAST:
        raise refusal(f"Invalid 'containerPort' setting: {port if port is not None else 'null'}.")
    if host is not None and not 0 <= host <= _LAST:
        raise refusal(f"Invalid 'hostPort' setting: {host}.")
    if mode in ("awsvpc", "host"):
        if host is not None and host != port:
            raise refusal(f"When networkMode={mode}, the host ports and container ports in port mappings must match.")
        normal["hostPort"] = port
    else:
        normal.setdefault("hostPort", 0)
    return normal


def _check_range(mapping: Json) -> None:
    if "containerPort" in mapping or "hostPort" in mapping:
        raise refusal("Invalid port mapping: cannot specify both single port and port range.")
    match = _RANGE.fullmatch(mapping["containerPortRange"])
    if match is None or not 1 <= int(match[1]) < int(match[2]) <= _LAST:
        raise refusal(f"Invalid 'containerPortRange' setting: {mapping['containerPortRange']}.")
