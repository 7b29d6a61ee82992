"""The server: Granian, embedded in the control plane's event loop, on every address that is wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian._granian import RSGIProtocolError as ProtocolError
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from dryport import __version__
from dryport.control.context import Context, Room
from dryport.gateway.dispatch import Dispatcher
from dryport.gateway.exchange import Disconnected, RsgiExchange, RsgiWebSocket, source_ip
from dryport.gateway.http import RawHandler, SocketHandler, Upgrade, WebSocket
from dryport.gateway.models import Models
from dryport.gateway.request_log import RequestLog

HEALTH_PATH = "/_dryport/health"
_DRAIN_SECONDS = 10.0
log = logging.getLogger("dryport.gateway")


class Gateway:
    """Serves the rooms' services, raw routes and websockets."""

    def __init__(self, context: Context, rooms: Sequence[Room], models: Models | None = None) -> None:
        services = [service for room in rooms for service in room.services]
        names = [service.name for service in services]
        if len(set(names)) != len(names):
            raise ValueError(f"a service has two rooms: {sorted(names)}")
        directory = context.config.log_dir
        self._requests = RequestLog(directory / "requests.jsonl" if directory.is_dir() else None)
        self._dispatcher = Dispatcher(context, services, models or Models(names), self._requests)
        self._routes: list[tuple[str, RawHandler]] = []
        self._sockets: list[tuple[str, SocketHandler]] = []
        for room in rooms:
            self._routes += room.routes.items()
            self._sockets += room.sockets.items()
        self._health = msgspec.json.encode({"status": "ok", "version": __version__, "services": sorted(names)})
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def serve(self, addresses: Sequence[str], port: int) -> None:
        """Serve on these addresses until cancelled; then finish what is under way, 10 s at most.

        Raises OSError where an address cannot be listened on.
        """
        servers = [self._server(address, port) for address in addresses]
        tasks = [asyncio.create_task(server.serve()) for server in servers]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise RuntimeError("a server ended by itself")
        finally:
            for server in servers:
                server.stop()  # type: ignore[no-untyped-call]
            try:
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._idle.wait()
                    # Not cancelled: they stop listening by themselves, in a turn or two of the loop.
                    await asyncio.wait(tasks)
            except TimeoutError:
                log.warning("%d requests were still under way at the end", self._under_way)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._requests.flush()

    def _server(self, address: str, port: int) -> Server:
        return Server(
            self._serve,
            address=address,
            port=port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            log_enabled=False,
            backlog=1024,
            runtime_blocking_threads=8,
        )

    async def _serve(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            await self._upgrade(scope, protocol)
            return
        self._under_way += 1
        self._idle.clear()
        try:
            await self._respond(RsgiExchange(scope, protocol))
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _respond(self, exchange: RsgiExchange) -> None:
        path = exchange.decoded_path
        if path == "/":
            await self._dispatcher.handle(exchange)
            return
        if path == HEALTH_PATH:
            exchange.respond(200, [("content-type", "application/json")], self._health)
            return
        for prefix, handler in self._routes:
            if path.startswith(prefix):
                await self._raw(handler, exchange)
                return
        await self._dispatcher.handle(exchange)

    @staticmethod
    async def _raw(handler: RawHandler, exchange: RsgiExchange) -> None:
        try:
            await handler(exchange)
        except (Disconnected, ProtocolClosed, ProtocolError):
            if not exchange.status:
                exchange.respond(400, [("content-type", "text/plain")], b"the body ended early\n")
        except Exception:
            log.exception("%s %s failed", exchange.method, exchange.decoded_path)
        if not exchange.status:
            exchange.respond(500, [("content-type", "text/plain")], b"internal error\n")

    async def _upgrade(self, scope: Any, protocol: Any) -> None:
        handler = next((h for prefix, h in self._sockets if scope.path.startswith(prefix)), None)
        if handler is None:
            protocol.close(404)
            return
        exchange = RsgiExchange(scope, protocol)
        rejected = False

        async def accept() -> WebSocket:
            return RsgiWebSocket(protocol, await protocol.accept())

        def reject(status: int, body: bytes) -> None:
            nonlocal rejected
            rejected = True
            protocol.close(status)

        upgrade = Upgrade(exchange.path, exchange.query, exchange.headers, source_ip(scope.client), accept, reject)
        try:
            await handler(upgrade)
        except Exception:
            log.exception("the websocket %s failed", scope.path)
        if not rejected:
            protocol.close(None)
