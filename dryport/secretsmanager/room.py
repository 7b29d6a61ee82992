"""How Secrets Manager is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.secretsmanager.controllers import Deletion
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """The service, its values sealed under ``<state>/sealing.key``, and the loop that ends recovery windows."""
    sealer = Sealer(context.config.state_dir / "sealing.key", context.random)

    def service() -> Service:
        from dryport.secretsmanager import api

        return api.service(sealer)

    return Room(services={"secretsmanager": service}, loops=(Deletion(context.store, context.clock),))
