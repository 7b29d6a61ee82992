"""What the task actors share: the runtime, the signed client, state, and the other rooms of the agent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dryport.agent.identity import Identity
from dryport.agent.runtime import Runtime, RuntimeFailure
from dryport.agent.settings import Settings
from dryport.agent.state import State
from dryport.client import Client

if TYPE_CHECKING:
    from dryport.agent.connect.proxies import Proxies
    from dryport.agent.engine.images import Images
    from dryport.agent.engine.network import Network
    from dryport.agent.engine.ports import Ports
    from dryport.agent.logs.service import Logs
    from dryport.agent.metadata.server import Metadata

R = TypeVar("R")
log = logging.getLogger("dryport.agent")
_FIRST_RETRY, _LAST_RETRY = 0.2, 5.0  # seconds


@dataclass(kw_only=True)
class Host:
    """The agent's own host, as its tasks see it."""

    settings: Settings
    state: State
    runtime: Runtime
    client: Client
    identity: Identity
    images: Images
    network: Network
    logs: Logs
    metadata: Metadata
    ports: Ports
    proxies: Proxies
    health_changed: Callable[[], None]

    async def patiently(self, work: Callable[[], Awaitable[R]]) -> R:
        """Do something with the runtime; where that fails because its daemon is away, wait for it and do it again.

        Raises RuntimeFailure where the daemon is there and refuses.
        """
        while True:
            try:
                return await work()
            except RuntimeFailure as failure:
                if await self.reachable():
                    raise
                log.warning("the %s daemon is away (%s); waiting for it", self.runtime.name, failure.message)
                await self.until_reachable()

    async def reachable(self) -> bool:
        """Whether the runtime's daemon answers."""
        try:
            await self.runtime.ping()
        except RuntimeFailure:
            return False
        return True

    async def until_reachable(self) -> None:
        """Wait until the runtime's daemon answers."""
        delay = _FIRST_RETRY
        while not await self.reachable():
            await asyncio.sleep(delay)
            delay = min(_LAST_RETRY, delay * 2)
