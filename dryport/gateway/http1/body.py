"""A request's body between the connection that receives it and the handler that reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from dryport.gateway.http1.limits import BODY_BUFFER


class Disconnected(ConnectionError):
    """The client went away before its body was complete."""


class Source(Protocol):
    """Where a body comes from: the connection."""

    def body_wanted(self, body: Body) -> None:
        """A reader begins to wait."""
        ...

    def resume_reading(self) -> None:
        """There is room for more."""
        ...


class Body:
    """Bytes in the order they came. It knows nothing of its request: the two would be garbage that lies about."""

    __slots__ = (
        "_chunks", "_error", "_source", "_waiter", "complete", "continued", "expectation", "full", "held", "taken",
    )  # fmt: skip

    def __init__(self, source: Source, expectation: str | None) -> None:
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error = False
        self._source = source
        self.expectation = expectation  # what the client waits for before it sends (RFC 9110 section 10.1.1)
        self.continued = False  # the client was told to send
        self.held = 0
        self.complete = False
        self.full = False  # more is held than a connection should
        self.taken = False  # somebody has begun to read

    @property
    def waiting(self) -> bool:
        """Whether a reader waits for bytes."""
        return self._waiter is not None

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._chunks.append(data)
        self.held += len(data)
        self.full = self.held > BODY_BUFFER
        self._wake()

    def end(self) -> None:
        """There is no more."""
        self.complete = True
        self._wake()

    def break_off(self) -> None:
        """There will be no more, though there should be."""
        if not self.complete:
            self._error = True
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def at_hand(self) -> bytes | None:
        """All of it, where it is there in one piece; ``None`` where it is not."""
        if not self.complete or len(self._chunks) > 1:
            return None
        self.taken = True
        return self._take() if self._chunks else b""

    async def read(self) -> bytes:
        """All of it. Raises Disconnected."""
        there = self.at_hand()
        if there is not None:
            return there
        self.taken = True
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """It as it arrives. Raises Disconnected."""
        self.taken = True
        while True:
            while self._chunks:
                yield self._take()
            if self.complete:
                return
            if self._error:
                raise Disconnected("the request's body ended early")
            self._source.body_wanted(self)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _take(self) -> bytes:
        chunk = self._chunks.popleft()
        self.held -= len(chunk)
        if self.full and self.held <= BODY_BUFFER // 2:
            self.full = False
            self._source.resume_reading()
        return chunk
