"""How CloudWatch Logs is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.logs.retention import Retention
from dryport.logs.storage import LogStorage


def room(context: Context) -> Room:
    """The service on ``<state>/logs.db``, and the loop that deletes what has expired."""
    storage = LogStorage.open(context.config.state_dir / "logs.db")

    def service() -> Service:
        from dryport.logs import api

        return api.service(storage)

    return Room(services={"logs": service}, loops=(Retention(context.store, storage, context.clock),))
