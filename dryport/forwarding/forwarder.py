"""A forwarded service as the gateway sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from dryport.control.config import Forward
from dryport.control.context import Context, Room
from dryport.forwarding import actions, permissions
from dryport.forwarding.keys import Keys
from dryport.forwarding.upstream import Upstream
from dryport.gateway.models import Models, ServiceModel
from dryport.gateway.service import Call, Service, Stream
from dryport.iam.authorization import Requirement, Scope


class Forwarder:
    """Hands a service's requests on."""

    def __init__(self, upstream: Upstream, model: ServiceModel) -> None:
        self._upstream = upstream
        self._prefix = actions.prefix(model)

    def requirements(
        self, call: Call, given: Mapping[str, Any], method: str, path: str
    ) -> tuple[Requirement, ...] | None:
        """What a request needs; ``None`` where nobody but a root user may send it."""
        if self._prefix is None:
            return None
        scope = Scope(call.region, call.account)
        account = self._upstream.account() or call.account
        asked = permissions.Asked(self._prefix, call.operation, given, scope, account, method, path)
        return permissions.requirements(asked, actions.reference(self._prefix))

    async def forward(self, call: Call, stream: Stream, body: bytes) -> None:
        """Have a request answered by the upstream. Raises ServiceError."""
        await self._upstream.send(call, stream, body)


class Closing:
    """Closes the connections at the end."""

    def __init__(self, upstreams: list[Upstream]) -> None:
        self._upstreams = upstreams

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for one in self._upstreams:
                await one.close()


def furnish(context: Context) -> Room:
    """A room of the services that the configuration names."""
    forwards = context.config.forwards
    keys = Keys(context.config.forward_credentials)
    models = cache(lambda: Models(one.service for one in forwards))
    upstreams: list[Upstream] = []

    def service(forward: Forward) -> Service:
        model = models().service(forward.service)
        upstream = Upstream(forward, model, keys)
        upstreams.append(upstream)
        return Service(forward.service, forwarder=Forwarder(upstream, model))

    return Room(services={one.service: partial(service, one) for one in forwards}, loops=(Closing(upstreams),))
