"""What placement knows of a cluster, and what it is asked for. Pure data.

CPU is in units (1024 a vCPU), memory in MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from dryport.ecs.placement.query import Query

CPU, MEMORY, GPU, ENI = "CPU", "MEMORY", "GPU", "ENI"
PORTS = "PORTS"  # host ports that tasks may still name
DYNAMIC_TCP, DYNAMIC_UDP = "DYNAMIC_TCP", "DYNAMIC_UDP"  # host ports that may still be given to whoever names none
RESOURCES = (CPU, MEMORY, GPU, ENI, PORTS, DYNAMIC_TCP, DYNAMIC_UDP)

MAX_RESERVED_PORTS = 100  # a container instance's, its own included; "PortMapping" in the API reference
DYNAMIC_PORTS = range(32768, 61000)  # Linux's ephemeral ports, out of which Docker gives them

Protocol = Literal["tcp", "udp"]
Port = tuple[Protocol, int]


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A container instance, without what its tasks take. ``ports`` are those that it keeps for itself."""

    arn: str
    launch_type: str = "EC2"  # EC2, EXTERNAL
    ec2_instance_id: str | None = None
    status: str = "ACTIVE"
    agent_connected: bool = True
    agent_version: str = ""
    registered_at: float = 0.0
    attributes: Mapping[str, str] = {}  # one without a value has ""
    cpu: int = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()
    interfaces: int = 0  # that tasks can have
    ports: frozenset[Port] = frozenset()


class Needs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a task takes of its instance. ``dynamic_tcp`` and ``dynamic_udp`` count host ports that it does not name."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    interfaces: int = 0
    ports: frozenset[Port] = frozenset()
    dynamic_tcp: int = 0
    dynamic_udp: int = 0


class Occupant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task that has not stopped, where it is.

    ``ports`` are all that it holds: what it named and what it was given. ``wanted``: it is to run, not to stop.
    """

    arn: str
    instance_arn: str
    group: str
    needs: Needs
    ports: frozenset[Port] = frozenset()
    gpus: tuple[str, ...] = ()
    wanted: bool = True
    running: bool = False


class Strategy(msgspec.Struct, frozen=True):
    """``field`` is ``CPU`` or ``MEMORY`` of binpack, ``instanceId`` or ``attribute:NAME`` of spread."""

    type: Literal["binpack", "spread", "random"]
    field: str = ""


SERVICE_DEFAULT = (Strategy("spread", "attribute:ecs.availability-zone"),)


class Request(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A task to place.

    ``attributes`` are required: names, with the values of which it has to be one where that matters. ``constraints``
    bind, in their order; ``None`` among them is ``distinctInstance``.
    """

    group: str
    needs: Needs
    launch_type: str = "EC2"
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    constraints: tuple[Query | None, ...] = ()
    strategies: tuple[Strategy, ...] = ()
