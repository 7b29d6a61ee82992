"""Websockets (RFC 6455) on a connection: implements ``gateway.http.WebSocket``."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from dryport.gateway.http1 import heads, limits

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_CLOSE_SECONDS = 5.0  # for the peer to answer a close


def handshake_key(method: str, headers: Mapping[str, str]) -> str | None:
    """The key of a client's opening handshake; ``None`` where it is none (RFC 6455 section 4.2.1)."""
    key = headers.get("sec-websocket-key", "")
    try:
        whole = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        whole = False
    return key if method == "GET" and headers.get("sec-websocket-version") == "13" and whole else None


class Socket:
    """Text messages both ways; pings are answered, fragments joined."""

    def __init__(
        self, transport: asyncio.Transport, headers: Mapping[str, str], writable: Callable[[], Awaitable[None]]
    ) -> None:
        self._transport = transport
        self._writable = writable
        self._protocol = Protocol(SERVER, state=State.OPEN, max_size=limits.MESSAGE_BYTES)
        self._messages: deque[str] = deque()
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._paused = False
        digest = hashlib.sha1((headers["sec-websocket-key"] + _MAGIC).encode(), usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        fields = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept)]
        transport.write(heads.head(101, fields, 0, True))

    def received(self, data: bytes) -> None:
        """Bytes of the connection."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.close_expected() or self._protocol.state is not State.OPEN:
            self._end()
        elif len(self._messages) > limits.QUEUED_MESSAGES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        data, self._parts = b"".join(self._parts), []
        try:
            self._messages.append(data.decode())
        except UnicodeDecodeError:
            self._protocol.fail(1007, "the message is not UTF-8")
            return
        self._wake()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._end()
                self._transport.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self) -> None:
        self._ended = True
        self._wake()

    def lost(self) -> None:
        """The connection is gone."""
        self._end()

    async def receive(self) -> str | None:
        while not self._messages and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._messages:
            return None
        message = self._messages.popleft()
        if self._paused and len(self._messages) < limits.QUEUED_MESSAGES // 2:
            self._paused = False
            self._transport.resume_reading()
        return message

    async def send(self, text: str) -> None:
        if self._ended or self._protocol.state is not State.OPEN or self._transport.is_closing():
            raise ConnectionError("the websocket is closed")
        self._protocol.send_text(text.encode())
        self._flush()
        await self._writable()

    def begin_close(self, code: int = 1000) -> None:
        """Send the close, once."""
        if self._protocol.state is State.OPEN and not self._transport.is_closing():
            self._protocol.send_close(code)
            self._flush()
        self._end()

    async def close(self, code: int = 1000) -> None:
        self.begin_close(code)
        if not self._transport.is_closing():
            # The peer answers and we close; one that does not is cut off.
            asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._transport.abort)
