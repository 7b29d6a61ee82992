"""HTTP and websockets on Granian's RSGI: implements the interfaces of ``http``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian._granian import RSGIProtocolError as ProtocolError

# What may stand in a path as it is (RFC 3986 pchar and the slash).
_PATH_SAFE = "/-_.~!$&'()*+,;=:@"


class BodyTooLarge(Exception):
    """The body is longer than what the caller would take."""


class Disconnected(ConnectionError):
    """The client went away before its body was complete."""


def source_ip(client: str) -> str:
    """The address in RSGI's ``client``: ``127.0.0.1:80`` or ``[::1]:80``."""
    return client.rpartition(":")[0].strip("[]")


def _headers(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by name: what came several times is joined (RFC 9110 section 5.2)."""
    headers = dict(pairs)
    if len(headers) != len(pairs):
        headers = {}
        for name, value in pairs:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


class RsgiExchange:
    """Implements ``http.Exchange``.

    Granian decodes the path before anyone sees it; ``path`` encodes it again, so that an encoded slash is a plain one.
    """

    __slots__ = (
        "_protocol", "_scope", "_taken", "decoded_path", "header", "headers", "method", "path", "query", "sent",
        "source_ip", "status",
    )  # fmt: skip

    def __init__(self, scope: Any, protocol: Any) -> None:
        self._scope = scope
        self._protocol = protocol
        self.method: str = scope.method
        self.decoded_path: str = scope.path
        self.query: str = scope.query_string
        self.headers: Mapping[str, str] = _headers(scope.headers.items())
        self.header = self.headers.get
        self.source_ip = source_ip(scope.client)
        self.path = "/" if self.decoded_path == "/" else quote(self.decoded_path, safe=_PATH_SAFE)
        self.status = 0  # of the answer, once there is one
        self.sent = 0
        self._taken = False  # somebody has begun to read the body

    @property
    def scheme(self) -> str:
        scheme: str = self._scope.scheme
        return scheme

    async def body(self) -> bytes:
        self._taken = True
        try:
            body: bytes = await self._protocol()
        except (ProtocolError, ProtocolClosed) as error:
            raise Disconnected("the request's body ended early") from error
        return body

    async def bounded_body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge past ``limit`` bytes, before they are held."""
        length = self.header("content-length")
        if length is not None:
            if not (length.isascii() and length.isdigit()) or int(length) > limit:
                raise BodyTooLarge
            return await self.body() if length != "0" else b""
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

    async def chunks(self) -> AsyncIterator[bytes]:
        self._taken = True
        try:
            async for part in self._protocol:
                yield part
        except (ProtocolError, ProtocolClosed) as error:
            raise Disconnected("the request's body ended early") from error

    async def drain(self, limit: int, seconds: float) -> None:
        """Let a body come in that nobody has begun to read, within bounds.

        A client that still sends when the connection closes does not see the answer. One that waits for
        ``100 Continue`` sends nothing and is not asked to.
        """
        length = self.headers.get("content-length", "0")
        sends = length != "0" or "transfer-encoding" in self.headers
        if self._taken or not sends or "expect" in self.headers:
            return
        with contextlib.suppress(Disconnected, TimeoutError):
            async with asyncio.timeout(seconds):
                async for part in self.chunks():
                    limit -= len(part)
                    if limit < 0:
                        return

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        self.status, self.sent = status, len(body)
        self._protocol.response_bytes(status, headers, body)

    def respond_file(
        self, status: int, headers: list[tuple[str, str]], path: Path, start: int = 0, end: int | None = None
    ) -> None:
        size = os.stat(path).st_size
        stop = size if end is None else min(end, size)
        self.status, self.sent = status, max(0, stop - start)
        if not any(name == "content-length" for name, _ in headers):
            headers = [*headers, ("content-length", str(self.sent))]
        if self.sent == 0:
            self._protocol.response_bytes(status, headers, b"")
        elif self.sent == size:
            self._protocol.response_file(status, headers, str(path))
        else:
            self._protocol.response_file_range(status, headers, str(path), start, stop)


class RsgiWebSocket:
    """Implements ``http.WebSocket``."""

    def __init__(self, protocol: Any, transport: Any) -> None:
        self._protocol = protocol
        self._transport = transport
        self._closed = asyncio.Event()

    async def receive(self) -> str | None:
        if self._closed.is_set():
            return None
        try:
            message = await self._transport.receive()
        except (ProtocolClosed, ProtocolError):
            self._closed.set()
            return None
        if message.kind == 0:
            self._closed.set()
            return None
        data = message.data
        return data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")

    async def send(self, text: str) -> None:
        if self._closed.is_set():
            raise ConnectionError("the websocket is closed")
        try:
            await self._transport.send_str(text)
        except (ProtocolClosed, ProtocolError) as error:
            self._closed.set()
            raise ConnectionError("the peer is gone") from error

    async def close(self, code: int = 1000) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._protocol.close(code)
