"""How load balancing is plugged in."""

from __future__ import annotations

import asyncio

from dryport.control.context import Context, Room
from dryport.elb import model
from dryport.gateway.service import Service


def _service() -> Service:
    from dryport.elb.api import SERVICE

    return SERVICE


def _classic() -> Service:
    from dryport.elb.classic.api import SERVICE

    return SERVICE


class WhenNeeded:
    """The loops, imported and begun once there is a load balancer: who has none does not pay for them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Run until cancelled."""
        async with self._context.store.watch(model.LOAD_BALANCERS) as watch:
            if not any(self._context.store.reader.all(model.LOAD_BALANCERS)):
                async for _ in watch:
                    break
        from dryport.elb.loops import loops

        async with asyncio.TaskGroup() as group:
            for loop in loops(self._context):
                group.create_task(loop.run())


def room(context: Context) -> Room:
    """The service, and its balancers on this machine's host driver."""
    return Room(services={"elbv2": _service, "elb": _classic}, loops=(WhenNeeded(context),))
