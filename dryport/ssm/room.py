"""How Parameter Store is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ssm import api
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """The service; its secrets are sealed under ``<state>/sealing.key``."""
    sealer = Sealer(context.config.state_dir / "sealing.key", context.random)
    return Room(services=(api.service(sealer),))
