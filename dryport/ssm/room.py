"""How Systems Manager is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.ssm.door import PREFIX, Door
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """The service, whose secrets are sealed under ``<state>/sealing.key``, and the door for machines that join."""
    sealer = Sealer(context.config.state_dir / "sealing.key", context.random)

    def service() -> Service:
        from dryport.ssm import api

        return api.service(sealer)

    return Room(services={"ssm": service}, routes={PREFIX: Door(context).handle})
