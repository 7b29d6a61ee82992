"""The registry's front door: every request under ``/v2/`` comes in here, and every refusal goes out here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from dryport.aws.errors import ServiceError
from dryport.ecr.contents import Contents
from dryport.ecr.registry import access, blobs, events, lists, manifests, uploads
from dryport.ecr.registry.errors import RegistryError, out_of_storage, translate, unsupported
from dryport.ecr.registry.request import API_VERSION, Request
from dryport.ecr.registry.routes import Route, parse
from dryport.ecr.storage import StorageFull
from dryport.gateway.http import Exchange
from dryport.store import StoreUnavailable

log = logging.getLogger("dryport.ecr")

Endpoint = Callable[[Request], Awaitable[None]]


async def _base(request: Request) -> None:
    request.respond_json(b"{}")


_ENDPOINTS: dict[str, tuple[Endpoint, frozenset[str]]] = {
    "base": (_base, frozenset(("GET", "HEAD"))),
    "catalog": (lists.catalog, frozenset(("GET", "HEAD"))),
    "tags": (lists.tags, frozenset(("GET", "HEAD"))),
    "referrers": (lists.referrers, frozenset(("GET", "HEAD"))),
    "manifests": (manifests.serve, frozenset(("GET", "HEAD", "PUT", "DELETE"))),
    "blobs": (blobs.serve, frozenset(("GET", "HEAD", "DELETE"))),
    "uploads": (uploads.serve, frozenset(("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"))),
}


class Door:
    """Answers the distribution API; ``handle`` is the raw route."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request, whatever happens."""
        body, visit, refusal = exchange.chunks(), access.Visit(), None
        try:
            await self._serve(exchange, body, visit)
        except access.Unauthorized:
            access.challenge(exchange)
        except RegistryError as error:
            refusal = ServiceError(error.code, error.message)
            await _refuse(exchange, body, error)
        except ServiceError as error:
            refusal = error
            await _refuse(exchange, body, translate(error))
        except (StorageFull, StoreUnavailable) as error:
            log.error("out of storage: %s", error)
            await _refuse(exchange, body, out_of_storage())
        call = events.occurrence(self._contents, exchange, visit, refusal)
        if call is not None:
            exchange.note(call)

    async def _serve(self, exchange: Exchange, body: AsyncIterator[bytes], visit: access.Visit) -> None:
        route = parse(exchange.path)
        address = access.admit(self._contents, exchange, route or Route("base"), visit)
        if route is None:
            raise RegistryError(404, "UNSUPPORTED", "There is no such endpoint in the distribution API")
        endpoint, methods = _ENDPOINTS[route.kind]
        if exchange.method not in methods:
            raise unsupported(f"{exchange.method} is not supported here")
        await endpoint(Request(exchange, body, route, self._contents, address.account, address.region))


async def _refuse(exchange: Exchange, body: AsyncIterator[bytes], error: RegistryError) -> None:
    if exchange.method in ("POST", "PUT", "PATCH"):
        # A client that still sends would see a broken pipe instead of the answer.
        async for _ in body:
            pass
    text = error.body
    headers = [
        API_VERSION,
        ("content-type", "application/json; charset=utf-8"),
        ("content-length", str(len(text))),
        *error.headers,
    ]
    exchange.respond(error.status, headers, b"" if exchange.method == "HEAD" else text)
