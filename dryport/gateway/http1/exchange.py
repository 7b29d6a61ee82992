"""One request and its answer: implements ``gateway.http.Exchange``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from dryport.gateway.http import unheard
from dryport.gateway.http1.body import Body, Disconnected
from dryport.gateway.http1.files import OpenFile

if TYPE_CHECKING:
    from dryport.gateway.file_parts import FilePart
    from dryport.gateway.http1.connection import Connection
    from dryport.gateway.service import Occurrence

__all__ = ["BodyTooLarge", "Disconnected", "HttpExchange"]


class BodyTooLarge(Exception):
    """The body is longer than what the caller would take."""


class HttpExchange:
    """``path`` is as it came, percent-encoded."""

    __slots__ = (
        "_connection", "content", "header", "headers", "keep_alive", "method", "note", "path", "query", "refusal",
        "scheme", "sent", "source_ip", "status",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, method: str, path: str, query: str, headers: Mapping[str, str], keep_alive: bool
    ) -> None:
        self._connection = connection
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.header = headers.get
        self.keep_alive = keep_alive
        self.source_ip = connection.source_ip
        self.scheme = "http"
        self.note: Callable[[Occurrence], None] = unheard
        self.content = Body(connection, headers.get("expect"))
        self.refusal = 0  # the status that the connection answers in the handler's place
        self.status = 0  # of the answer, once there is one
        self.sent = 0

    def line(self) -> Connection:
        """The connection that the answer goes out on."""
        return self._connection

    async def body(self) -> bytes:
        return await self.content.read()

    def body_at_hand(self, limit: int) -> bytes | None:
        """The whole body, where it has come already in one piece of ``limit`` bytes at most; else ``None``."""
        return None if self.content.held > limit else self.content.at_hand()

    async def bounded_body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge past ``limit`` bytes, before they are held."""
        length = self.header("content-length")
        if length is not None:
            if int(length) > limit:
                raise BodyTooLarge
            return await self.content.read()
        if self.header("transfer-encoding") is None:
            return b""
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > limit:
                raise BodyTooLarge
            parts.append(part)
        return b"".join(parts)

    def chunks(self) -> AsyncIterator[bytes]:
        return self.content.chunks()

    async def drain(self, limit: int, seconds: float) -> None:
        """Let a body come in that nobody has begun to read, within bounds.

        A client that still sends when the connection closes does not see the answer. One that waits for
        ``100 Continue`` sends nothing and is not asked to.
        """
        if self.content.taken or self.content.complete or "expect" in self.headers:
            return
        with contextlib.suppress(Disconnected, TimeoutError):
            async with asyncio.timeout(seconds):
                async for part in self.chunks():
                    limit -= len(part)
                    if limit < 0:
                        return

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        self.status, self.sent = status, len(body)
        self._connection.answer(self, status, headers, body)

    def respond_file(self, status: int, headers: list[tuple[str, str]], part: FilePart) -> None:
        descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
        size = os.fstat(descriptor).st_size
        stop = size if part.end is None else min(part.end, size)
        self.status, self.sent = status, max(0, stop - part.start)
        self._connection.answer_file(self, status, headers, OpenFile(descriptor, part.start, self.sent, part.opener))
