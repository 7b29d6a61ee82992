"""The gateway: every request to a service, a raw route or a websocket, on every address that is wanted."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from functools import partial

import msgspec

from dryport import __version__
from dryport.control.context import Context, MakeService, Room
from dryport.gateway.dispatch import Dispatcher
from dryport.gateway.http import RawHandler, SocketHandler, Upgrade, unheard
from dryport.gateway.http1.exchange import Disconnected, HttpExchange
from dryport.gateway.http1.listener import Listener
from dryport.gateway.models import Models
from dryport.gateway.request_log import RequestLog
from dryport.gateway.service import Service

HEALTH_PATH = "/_dryport/health"
OWN = "dryport"  # the service of operations that are not AWS's
_DRAIN_SECONDS = 10.0
log = logging.getLogger("dryport.gateway")


def services_of(rooms: Sequence[Room]) -> list[tuple[str, MakeService]]:
    """The services of rooms. Of Dryport's own each room has the operations that are about it; any other has one room.

    Raises ValueError where one has two.
    """
    found = [service for room in rooms for service in room.services.items()]
    own = [make for name, make in found if name == OWN]
    others = [(name, make) for name, make in found if name != OWN]
    names = [name for name, _ in others]
    if len(set(names)) != len(names):
        raise ValueError(f"a service has two rooms: {sorted(names)}")
    return [*others, (OWN, partial(_joined, own))] if own else others


def _joined(makers: Sequence[MakeService]) -> Service:
    made = Service(OWN)
    for make in makers:
        for name, operation in make().operations.items():
            made.operation(name, unsupported=operation.unsupported)(operation.handler)
    return made


class Gateway:
    """Serves the rooms' services, raw routes and websockets."""

    def __init__(self, context: Context, rooms: Sequence[Room], models: Models | None = None) -> None:
        services = services_of(rooms)
        names = [name for name, _ in services]
        directory = context.config.log_dir
        self._requests = RequestLog(directory / "requests.jsonl" if directory.is_dir() else None)
        auditor = next((room.auditor for room in rooms if room.auditor is not None), None)
        self._note = auditor.note if auditor is not None else unheard
        self._dispatcher = Dispatcher(context, services, models or Models(names), self._requests, auditor)
        self._routes: list[tuple[str, RawHandler]] = []
        self._sockets: list[tuple[str, SocketHandler]] = []
        for room in rooms:
            self._routes += room.routes.items()
            self._sockets += room.sockets.items()
        self._health = msgspec.json.encode({"status": "ok", "version": __version__, "services": sorted(names)})

    async def serve(self, addresses: Sequence[str], port: int) -> None:
        """Serve on these addresses until cancelled; then finish what is under way, 10 s at most.

        Raises OSError where an address cannot be listened on.
        """
        try:
            await Listener(self._respond, self._upgrade).serve(addresses, port, _DRAIN_SECONDS)
        finally:
            self._requests.flush()

    def _respond(self, exchange: HttpExchange) -> Awaitable[None] | None:
        path = exchange.path
        if path == "/":
            return self._dispatcher.handle(exchange)
        if path == HEALTH_PATH:
            return self._answer_health(exchange)
        for prefix, handler in self._routes:
            if path.startswith(prefix):
                return self._raw(handler, exchange)
        return self._dispatcher.handle(exchange)

    async def _answer_health(self, exchange: HttpExchange) -> None:
        exchange.respond(200, [("content-type", "application/json")], self._health)

    async def _raw(self, handler: RawHandler, exchange: HttpExchange) -> None:
        exchange.note = self._note
        try:
            await handler(exchange)
        except Disconnected:
            if not exchange.status:
                exchange.respond(400, [("content-type", "text/plain")], b"the body ended early\n")
        except Exception:
            log.exception("%s %s failed", exchange.method, exchange.path)
        if not exchange.status:
            exchange.respond(500, [("content-type", "text/plain")], b"internal error\n")

    async def _upgrade(self, upgrade: Upgrade) -> None:
        handler = next((h for prefix, h in self._sockets if upgrade.path.startswith(prefix)), None)
        if handler is None:
            upgrade.reject(404, b"")
            return
        await handler(replace(upgrade, note=self._note))
