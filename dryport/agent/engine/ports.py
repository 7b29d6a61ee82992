"""Host ports that the agent chooses itself: contiguous ones for ranges, and all where the settings name a range.

Every other dynamic port is left to Docker, which takes it and tells in one step. Source: "PortMapping", Amazon ECS API
reference (``containerPortRange``), and ``ECS_DYNAMIC_HOST_PORT_RANGE``.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dryport.agent.payload import Container
from dryport.agent.runtime import ContainerSpec, RuntimeFailure

_KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
Port = tuple[str, int]


class Ports:
    """Gives ports out and remembers whose they are until they are released. ``free`` says whether one can be bound."""

    def __init__(self, chosen: tuple[int, int] | None, free: Callable[[str, int], bool] | None = None) -> None:
        """``chosen``: the range that the settings name, ``None`` where the kernel's serves."""
        self._chosen = chosen
        self._free = free or can_bind
        self._taken: dict[str, set[Port]] = defaultdict(set)  # by container
        self._next = 0

    def assign(self, spec: ContainerSpec) -> ContainerSpec:
        """The specification with host ports where the agent chooses them.

        Raises RuntimeFailure where there are not so many in a row.
        """
        made = []
        for mapping in spec.published_ports:
            protocol = str(mapping.get("protocol") or "tcp")
            if text := mapping.get("containerPortRange"):
                count = len(span(str(text)))
                first = self._take(spec.id, protocol, count)
                mapping = mapping | {"hostPortRange": f"{first}-{first + count - 1}"}
            elif self._chosen is not None and not mapping.get("hostPort"):
                mapping = mapping | {"hostPort": self._take(spec.id, protocol, 1)}
            made.append(mapping)
        return replace(spec, published_ports=made)

    def release(self, containers: Iterable[str]) -> None:
        """These containers no longer run."""
        for container in containers:
            self._taken.pop(container, None)

    def _take(self, container: str, protocol: str, count: int) -> int:
        first, last = self._chosen or kernels_range()
        size = last - first + 1
        if not self._next:
            # Others on the machine may choose too: do not all begin at the same port.
            self._next = random.randint(first, last)
        taken = {port for ports in self._taken.values() for port in ports}
        run = 0
        for offset in range(size + count):
            port = first + (self._next - first + offset) % size
            run = 0 if port == first else run  # what wraps around is not contiguous
            usable = (protocol, port) not in taken and self._free(protocol, port)
            run = run + 1 if usable else 0
            if run == count:
                begin = port - count + 1
                self._taken[container].update((protocol, each) for each in range(begin, port + 1))
                self._next = port + 1 if port < last else first
                return begin
        raise RuntimeFailure(
            "CannotCreateContainerError", f"{count} contiguous host ports are unavailable between {first} and {last}"
        )


def span(text: str) -> range:
    """The ports of ``first-last``."""
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1)


def kernels_range() -> tuple[int, int]:
    """The ephemeral ports of this network namespace, 32768 to 60999 unless somebody has changed it."""
    first, last = _KERNELS.read_text().split()
    return int(first), int(last)


def can_bind(protocol: str, port: int) -> bool:
    """Whether nobody on this host has the port."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, _KINDS[protocol]) as probe:
        probe.bind(("0.0.0.0", port))
        return True
    return False


def grouped(container: Container, bindings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A container's network bindings as ECS tells them: those of a range are one."""
    spans = [
        (mapping.protocol or "tcp", span(mapping.container_port_range), mapping.container_port_range)
        for mapping in container.port_mappings or ()
        if mapping.container_port_range
    ]
    made: list[dict[str, Any]] = []
    ranges: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for binding in bindings:
        protocol, port = binding["protocol"], binding["containerPort"]
        name = next((text for kind, ports, text in spans if kind == protocol and port in ports), None)
        if name is None:
            made.append(dict(binding))
        else:
            ranges[(binding["bindIP"], name, protocol)].append(binding["hostPort"])
    for (address, name, protocol), hosts in ranges.items():
        made.append(
            {
                "bindIP": address,
                "containerPortRange": name,
                "hostPortRange": f"{min(hosts)}-{max(hosts)}",
                "protocol": protocol,
            }
        )
    return made
