"""How ACM is plugged in."""

from __future__ import annotations

from dryport.acm.controllers import Issuance
from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """The service, its keys sealed under ``<state>/sealing.key``, and the loop that issues."""
    sealer = Sealer(context.config.state_dir / "sealing.key", context.random)

    def service() -> Service:
        from dryport.acm import api

        return api.service(sealer)

    return Room(services={"acm": service}, loops=(Issuance(context, sealer),))
