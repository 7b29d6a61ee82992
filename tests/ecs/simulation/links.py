"""Websockets between agents and the control plane, without a network."""

from __future__ import annotations

import asyncio
from random import Random
from urllib.parse import urlencode

from dryport.aws import sigv4
from dryport.gateway.http import Upgrade
from dryport.iam.model import Credential

_LATENCY = (0.0005, 0.02)  # seconds


class End:
    """One end of a link: implements ``gateway.http.WebSocket``. A ``cut`` link swallows all, and nobody is told."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._last = 0.0
        self.peer: End
        self.closed = False
        self.cut = False

    async def receive(self) -> str | None:
        if self.closed and self._inbox.empty():
            return None
        return await self._inbox.get()

    async def send(self, text: str) -> None:
        if self.closed:
            raise ConnectionResetError("the link is closed")
        self._post(text)

    async def close(self, code: int = 1000) -> None:
        if not self.closed:
            self.closed = True
            self._inbox.put_nowait(None)
            self._post(None)

    def _post(self, text: str | None) -> None:
        if self.cut:
            return
        loop = asyncio.get_running_loop()
        # Frames arrive in order.
        self._last = max(self._last + 1e-5, loop.time() + self._random.uniform(*_LATENCY))
        loop.call_at(self._last, self.peer._arrive, text)

    def _arrive(self, text: str | None) -> None:
        if self.cut or self.closed:
            return
        if text is None:
            self.closed = True
        self._inbox.put_nowait(text)


def link(random: Random) -> tuple[End, End]:
    """Both ends of a new link."""
    one, other = End(random), End(random)
    one.peer, other.peer = other, one
    return one, other


class Refused(Exception):
    """The handshake was answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def upgrade(key: Credential, instance_arn: str, server: End, now: float) -> Upgrade:
    """An agent's signed handshake for its control connection."""
    query = urlencode(
        {
            "agentHash": "a8b3e7d3",
            "agentVersion": "1.105.1",
            "containerInstanceArn": instance_arn,
            "dockerVersion": "DockerVersion: 20.10.24",
            "sendCredentials": "true",
        }
    )
    headers = {"host": "localhost"}
    headers |= sigv4.sign(
        "GET",
        "/acs/ws",
        query,
        headers,
        b"",
        access_key_id=key.access_key_id,
        secret=key.secret_access_key,
        token=None,
        region="us-east-1",
        service="ecs",
        now=now,
    )

    async def accept() -> End:
        return server

    def reject(status: int, body: bytes) -> None:
        raise Refused(status)

    lower = {name.lower(): value for name, value in headers.items()}
    return Upgrade("/acs/ws", query, lower, "127.0.0.1", accept, reject)
