"""How Cloud Map is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.host.client import HostClient
from dryport.servicediscovery.controllers import Convergence, ZoneDriver, Zones


def _service() -> Service:
    from dryport.servicediscovery.api import SERVICE

    return SERVICE


def room(context: Context) -> Room:
    """The service, and its zones on this machine's host driver."""
    return room_on(context, HostClient(context.config.run_dir / "host.sock"))


def room_on(context: Context, driver: ZoneDriver) -> Room:
    """The service, and its zones wherever a driver answers them."""
    zones = Zones(context.store, context.clock, driver)
    return Room(
        services={"servicediscovery": _service},
        loops=(zones, Convergence(context.clock, driver, zones)),
    )
