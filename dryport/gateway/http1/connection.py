"""A client's connection: requests in, answers out in the same order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import httptools

from dryport.gateway.http import Upgrade
from dryport.gateway.http1 import heads, limits
from dryport.gateway.http1.body import Body
from dryport.gateway.http1.exchange import HttpExchange
from dryport.gateway.http1.files import OpenFile, send_file

if TYPE_CHECKING:
    from dryport.gateway.http1.sockets import Socket

log = logging.getLogger("dryport.gateway")
# What is returned has to be awaited until the exchange is answered; ``None``: it is, or will be by a call.
Respond = Callable[[HttpExchange], Awaitable[None] | None]
Serve = Callable[[Upgrade], Awaitable[None]]
_TASKS: set[asyncio.Task[None]] = set()  # the loop itself keeps weak references only


class Connection(asyncio.Protocol):
    """One TCP connection. ``deadline`` is when it takes too long (monotonic seconds), ``None`` while it may wait."""

    def __init__(self, respond: Respond, serve: Serve, known: set[Connection]) -> None:
        self._respond = respond
        self._serve = serve
        self._known = known
        self._queue: deque[HttpExchange] = deque()
        self._receiving: HttpExchange | None = None  # whose body is coming in
        self.busy = False  # with a request, or a websocket
        self._direct: HttpExchange | None = None  # which a call will answer, where no task waits for it
        self._file: OpenFile | None = None
        self._socket: Socket | None = None
        self._writable: asyncio.Future[None] | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0  # of a head that is not complete
        self._idle_bytes = 0  # of a body's framing and trailers since the body grew
        self._grew = False
        self._offered = False  # another protocol than ours: the parser takes no body then, so it is asked anew
        self._resuming = False  # a parser reads the body of a request whose head another one has read
        self._paused = False
        self._write_paused = False
        self._upgrading = False
        self._lingering: int | None = None  # bytes that are thrown away yet before it is cut off
        self._closing = False  # no further request is taken
        self._ended = False  # the peer sends no more
        self._refusal = 0  # the status of what could not be parsed, answered after what is queued
        self.deadline: float | None = time.monotonic() + limits.HEAD_SECONDS
        self.source_ip = ""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.source_ip = peer[0] if peer else ""
        self._parser = httptools.HttpRequestParser(self)
        self._known.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._known.discard(self)
        self._closing = True
        if self._receiving is not None:
            self._receiving.content.break_off()
        if self._socket is not None:
            self._socket.lost()
        self._resume_writing()
        if self._file is not None and not self.busy:
            self._drop_file()

    def data_received(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.received(data)
            return
        if self._lingering is not None:
            self._lingering -= len(data)
            if self._lingering < 0:
                self._transport.abort()
            return
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._upgraded(data[stopped.args[0] :])
            return
        except httptools.HttpParserError:
            self._malformed(400)
            return
        self._fed(len(data))

    def eof_received(self) -> bool:
        """A peer that closes its sending side may still read answers."""
        if self._socket is not None:
            return False
        if self._receiving is not None:
            self._receiving.content.break_off()
        self._closing = self._ended = True
        return self.busy or bool(self._queue)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._resume_writing()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        if self._resuming:
            return
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._receiving is not None:
            return  # a trailer, which nobody asked for (RFC 9110 section 6.5.1)
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        parser = self._parser
        path, _, query = self._url.decode("latin-1").partition("?")
        if not path.startswith("/"):
            path = _origin_form(path)
        pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._headers]
        headers = dict(pairs)
        hosts = 1 if "host" in headers else 0
        if len(headers) != len(pairs):
            hosts = sum(name == "host" for name, _ in pairs)
            headers = _joined(pairs)
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        exchange = HttpExchange(self, parser.get_method().decode(), path, query, headers, keep_alive)
        self._receiving = exchange
        self._head_bytes = self._idle_bytes = 0
        self._upgrading = parser.should_upgrade() and headers.get("upgrade", "").lower() == "websocket"
        size = len(self._url) + sum([len(name) + len(value) for name, value in pairs])
        if size > limits.HEAD_BYTES or len(pairs) > limits.HEADERS:
            exchange.refusal = 431
        else:
            exchange.refusal = heads.refusal(exchange.method, parser.get_http_version(), headers, hosts)
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._offered = parser.should_upgrade() and not self._upgrading and has_body and exchange.method != "CONNECT"
        if not self._upgrading:
            self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        self._grew = True
        exchange = self._receiving
        if exchange is not None:
            exchange.content.feed(data)
            if exchange.content.full:
                self._pause_reading()

    def on_chunk_header(self) -> None:
        self._grew = True

    def on_message_complete(self) -> None:
        self._resuming = False
        if self._offered:
            return  # its body is still to come
        if self._receiving is not None:
            self._receiving.content.end()
            if not self._upgrading:
                self._receiving = None

    # Reading

    def _fed(self, count: int) -> None:
        """After some bytes were parsed: the state that follows from them."""
        if self._receiving is None and not self._queue and not self.busy:
            # In the middle of a head.
            if not self._head_bytes:
                self.deadline = time.monotonic() + limits.HEAD_SECONDS
            self._head_bytes += count
            if self._head_bytes > limits.HEAD_BYTES:
                self._malformed(431)
            return
        self._idle_bytes = 0 if self._grew else self._idle_bytes + count
        self._grew = False
        if self._receiving is not None and self._idle_bytes > limits.HEAD_BYTES:
            self._malformed(431)
            return
        if self._receiving is not None and self._receiving.content.waiting:
            self.deadline = time.monotonic() + limits.STALL_SECONDS
        if not self.busy and self._queue:
            self._serve_queued()
        if len(self._queue) >= limits.QUEUED_REQUESTS:
            self._pause_reading()

    def body_wanted(self, body: Body) -> None:
        """A handler waits for its body: the client is told to send it where it asked."""
        self.deadline = time.monotonic() + limits.STALL_SECONDS
        if body.expectation is not None and not body.continued:
            body.continued = True
            if body.expectation.lower() == "100-continue":
                self._transport.write(heads.CONTINUE)
        self.resume_reading()

    def _pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """There is room for more."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _malformed(self, status: int) -> None:
        """What cannot be parsed ends the connection, after the answers that are owed."""
        self._closing = True
        if self._receiving is not None:
            self._receiving.content.break_off()
        if not self.busy and not self._queue:
            self._refuse(status)
            return
        self._refusal = 0 if self._receiving is not None else status  # a broken body's handler answers itself
        if not self.busy:
            self._serve_queued()

    def _refuse(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        text = body or f"{heads.phrase(status)}\n".encode()
        self._transport.write(heads.head(status, [("content-type", kind)], len(text), False) + text)
        self._linger()

    # Answering

    def _serve_queued(self) -> None:
        """Serve what is queued, one after the other, as far as that goes without waiting."""
        self.busy = True
        self.deadline = None
        try:
            while self._queue and not self._transport.is_closing():
                exchange = self._queue.popleft()
                if exchange.refusal:
                    self.busy = False
                    self._refuse(exchange.refusal)
                    return
                waits = self._respond(exchange)
                if waits is not None:
                    self._go_on_with(self._answered_by(exchange, waits))
                    return
                if not exchange.status:
                    self._direct = exchange
                    return
                if not self._served(exchange):
                    return
        except Exception:
            self._fail()
        self._rest()

    def _go_on_with(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)

    async def _answered_by(self, exchange: HttpExchange, waits: Awaitable[None] | None) -> None:
        """Wait until an exchange is answered and the answer is on its way, then go on."""
        try:
            if waits is not None:
                await waits
            if self._file is not None:
                await self._send_file()
            if self._write_paused:
                await self._until_writable()
        except Exception:
            self._fail()
        finally:
            self._drop_file()
        if self._served(exchange):
            self._serve_queued()

    def _served(self, exchange: HttpExchange) -> bool:
        """After an answer was written: whether the next request may be served at once."""
        if (self._file is not None or self._write_paused) and not self._transport.is_closing():
            self._go_on_with(self._answered_by(exchange, None))
            return False
        if not self._goes_on(exchange) and not self._transport.is_closing():
            self.busy = False
            self._end(exchange)
            return False
        self.resume_reading()
        return True

    def _rest(self) -> None:
        """Nothing is queued."""
        self.busy = False
        if self._refusal:
            self._refuse(self._refusal)
        elif self._closing:
            self._transport.close()
        else:
            self.deadline = time.monotonic() + limits.IDLE_SECONDS

    def _fail(self) -> None:
        log.exception("a connection failed")
        self._transport.abort()

    def _goes_on(self, exchange: HttpExchange) -> bool:
        return exchange.keep_alive and exchange.content.complete and (not self._closing or bool(self._queue))

    def _end(self, exchange: HttpExchange) -> None:
        if exchange.content.complete or self._ended:
            self._transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Close so that the client sees the answer: with data that nobody has read the kernel resets a connection."""
        self._closing = True
        self._lingering = limits.LINGER_BYTES
        self.deadline = time.monotonic() + limits.LINGER_SECONDS
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self.resume_reading()

    def answer(self, exchange: HttpExchange, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Write an answer."""
        content = b"" if exchange.method == "HEAD" or not heads.has_body(status) else body
        data = heads.head(status, headers, len(body), self.keeps(exchange)) + content
        if not self._transport.is_closing():
            self._transport.write(data)
        if self._direct is exchange:
            self._direct = None
            if self._served(exchange):
                self._serve_queued()

    def answer_file(self, exchange: HttpExchange, status: int, headers: list[tuple[str, str]], file: OpenFile) -> None:
        """Write the head of an answer; ``_answered_by`` sends what of the file belongs to it. Takes the descriptor."""
        self._transport.write(heads.head(status, headers, file.size, self.keeps(exchange)))
        if exchange.method == "HEAD" or not file.size:
            os.close(file.descriptor)
        else:
            self._file = file

    # Streamed answers

    def write(self, data: bytes) -> None:
        """Write a part of an answer. Raises ConnectionError where the client is gone."""
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait while the client reads more slowly than it is written to."""
        if self._write_paused:
            await self._until_writable()

    def abort(self) -> None:
        """Cut it off."""
        self._transport.abort()

    def keeps(self, exchange: HttpExchange) -> bool:
        """Whether the connection goes on after an answer."""
        if self._closing and not self._queue:
            exchange.keep_alive = False
        # A body that is not all there can only be waited for; a client that waits for 100 Continue may never send it.
        if not exchange.content.complete:
            exchange.keep_alive = False
        return exchange.keep_alive

    async def _send_file(self) -> None:
        file = self._file
        assert file is not None
        try:
            await self._flushed()
            sock = self._transport.get_extra_info("socket")
            if not self._transport.is_closing():
                await send_file(sock.fileno(), file, limits.STALL_SECONDS)
        except (OSError, EOFError, TimeoutError):
            self._transport.abort()
        finally:
            self._drop_file()

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file.descriptor)
            self._file = None

    async def _flushed(self) -> None:
        """Wait until everything that was written is with the kernel."""
        self._transport.set_write_buffer_limits(0)
        if self._transport.get_write_buffer_size():
            self._write_paused = True
            await self._until_writable()
        self._transport.set_write_buffer_limits()

    async def _until_writable(self) -> None:
        if not self._write_paused or self._transport.is_closing():
            return
        self.deadline = time.monotonic() + limits.STALL_SECONDS
        self._writable = asyncio.get_running_loop().create_future()
        await self._writable
        self.deadline = None

    def _resume_writing(self) -> None:
        self._write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # The end

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = None
        if self._receiving is not None and self._receiving.content.waiting:
            self._receiving.content.break_off()
        elif self._head_bytes:
            self._closing = True
            self._refuse(408)
        else:
            self._transport.abort()

    def shut(self) -> None:
        """Serve what is under way and no more."""
        self._closing = True
        if self._socket is not None:
            self._socket.begin_close(1001)
        elif not self.busy:
            self._transport.close()

    @property
    def under_way(self) -> bool:
        """Whether a request is being served, or a handshake."""
        return self.busy and self._socket is None

    # Websockets

    def _upgraded(self, rest: bytes) -> None:
        exchange = self._receiving
        if not self._upgrading or exchange is None:
            # Another protocol is offered, and not taken: the request is an ordinary one (RFC 9110 section 7.8).
            self._parser = httptools.HttpRequestParser(self)
            if self._offered and exchange is not None:
                self._offered, self._resuming = False, True
                rest = heads.framing(exchange.headers) + rest
            self._fed(0)
            if rest:
                self.data_received(rest)
            return
        self._receiving = None
        self.deadline = None
        self._closing = self.busy = True
        self._go_on_with(self._upgrade(exchange, rest))

    async def _upgrade(self, exchange: HttpExchange, rest: bytes) -> None:
        from dryport.gateway.http1.sockets import Socket, handshake_key  # a start need not wait for what it imports

        answered = False

        async def accept() -> Socket:
            nonlocal answered
            answered = True
            self._socket = Socket(self._transport, exchange.headers, self._until_writable)
            if rest:
                self._socket.received(rest)
            self.resume_reading()
            return self._socket

        def reject(status: int, body: bytes) -> None:
            nonlocal answered
            if not answered:
                answered = True
                self._refuse(status, body, "application/json" if body.startswith(b"{") else "text/plain")

        try:
            if handshake_key(exchange.method, exchange.headers) is None:
                reject(400, b"this is no websocket handshake\n")
                return
            upgrade = Upgrade(exchange.path, exchange.query, exchange.headers, self.source_ip, accept, reject)
            await self._serve(upgrade)
        except Exception:
            log.exception("the websocket %s failed", exchange.path)
        finally:
            self.busy = False
            if self._socket is not None:
                with contextlib.suppress(ConnectionError):
                    await self._socket.close()
            elif not answered:
                self._refuse(500)


def _origin_form(target: str) -> str:
    """The path of a request target in another form (RFC 9112 section 3.2): ``http://host/path``, ``*``."""
    scheme, found, rest = target.partition("://")
    if found and scheme in ("http", "https"):
        _, slash, path = rest.partition("/")
        return slash + path or "/"
    return f"/{target}"


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by name: what came several times is joined (RFC 9110 section 5.2)."""
    headers: dict[str, Any] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers
