"""How Secrets Manager is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.secretsmanager import api
from dryport.secretsmanager.controllers import Deletion
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """The service, its values sealed under ``<state>/sealing.key``, and the loop that ends recovery windows."""
    sealer = Sealer(context.config.state_dir / "sealing.key", context.random)
    return Room(services=(api.service(sealer),), loops=(Deletion(context.store, context.clock),))
