"""A request's body between the connection that receives it and the handler that reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from dryport.gateway.http1.limits import BODY_BUFFER


class Disconnected(ConnectionError):
    """The client went away before its body was complete."""


class Body:
    """Bytes in the order they came. ``want`` is called when a reader begins to wait, ``resume`` when there is room."""

    __slots__ = ("_chunks", "_error", "_resume", "_waiter", "_want", "complete", "full", "held", "taken")

    def __init__(self, want: Callable[[], None], resume: Callable[[], None]) -> None:
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error = False
        self._want = want
        self._resume = resume
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

    async def read(self) -> bytes:
        """All of it. Raises Disconnected."""
        self.taken = True
        if self.complete and len(self._chunks) <= 1:
            return self._take() if self._chunks else b""
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
            self._want()
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
            self._resume()
        return chunk
