"""How the control plane plugs STS in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.store.sealing import Sealer


def room(context: Context) -> Room:
    """STS's room."""

    def service() -> Service:
        from dryport.sts import api

        return api.service(Sealer(context.config.state_dir / "sealing.key", context.random))

    return Room(services={"sts": service})
