"""What the control plane hands to each service: the store, time, randomness, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from dryport.control.clock import Clock
from dryport.control.config import Config
from dryport.gateway.http import RawHandler, SocketHandler
from dryport.gateway.service import Auditor, Service
from dryport.store import Store

MakeService = Callable[[], Service]


class Loop(Protocol):
    """Anything that runs for as long as the control plane does."""

    async def run(self) -> None:
        """Run until cancelled."""
        ...


@dataclass(frozen=True)
class Context:
    """Passed in wherever there are effects, so that a simulation can pass others."""

    store: Store
    clock: Clock
    random: Random  # a cryptographic source outside the simulation
    config: Config


@dataclass(frozen=True)
class Room:
    """A service as the control plane sees it; each service's package exports ``room``.

    ``services`` has what makes each service, by botocore's name for it: called once somebody asks for that service,
    and only then are its handlers imported. ``routes`` and ``sockets`` are raw HTTP and websockets by path prefix
    (``/v2/``). ``auditor`` is told of every call to a service.
    """

    services: Mapping[str, MakeService] = field(default_factory=dict)
    loops: Sequence[Loop] = ()
    routes: dict[str, RawHandler] = field(default_factory=dict)
    sockets: dict[str, SocketHandler] = field(default_factory=dict)
    auditor: Auditor | None = None


RoomMaker = Callable[[Context], Room]
