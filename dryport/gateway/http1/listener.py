"""Listens on addresses, and sees to it that no connection takes longer than it may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from dryport.gateway.http1.connection import Connection, Respond, Serve

_BACKLOG = 1024
_SWEEP_SECONDS = 1.0
_DRAIN_STEP_SECONDS = 0.01


class Listener:
    """A server for as long as ``serve`` runs."""

    def __init__(self, respond: Respond, upgrade: Serve) -> None:
        self._respond = respond
        self._upgrade = upgrade
        self._connections: set[Connection] = set()

    async def serve(self, addresses: Sequence[str], port: int, drain: float) -> None:
        """Serve until cancelled; then finish what is under way, for ``drain`` seconds at most.

        Raises OSError where an address cannot be listened on.
        """
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            return Connection(self._respond, self._upgrade, self._connections)

        servers: list[asyncio.Server] = []
        try:
            for address in addresses:
                servers.append(await loop.create_server(connect, address, port, backlog=_BACKLOG))
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                self._sweep()
        finally:
            for server in servers:
                server.close()
            await self._drain(drain)

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.expire()

    async def _drain(self, seconds: float) -> None:
        for connection in list(self._connections):
            connection.shut()
        await asyncio.sleep(0)  # what was just written goes out
        end = time.monotonic() + seconds
        while any(connection.under_way for connection in self._connections) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_STEP_SECONDS)
        for connection in list(self._connections):
            connection.abort()
