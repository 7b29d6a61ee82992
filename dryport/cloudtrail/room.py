"""How CloudTrail is plugged in."""

from __future__ import annotations

from dryport.cloudtrail.recorder import Recorder
from dryport.control.context import Context, Room
from dryport.gateway.service import Service


def room(context: Context) -> Room:
    """The service, and the recorder that the gateway tells of calls."""
    recorder = Recorder(context.config.state_dir / "audit", context.clock)

    def service() -> Service:
        from dryport.cloudtrail import api

        return api.service(recorder)

    return Room(services={"cloudtrail": service}, loops=(recorder,), auditor=recorder)
