"""How EFS is plugged in."""

from __future__ import annotations

from typing import Protocol

from dryport.control.context import Context, Room
from dryport.efs.controllers import FileSystemDriver, FileSystems
from dryport.efs.doorway import PATH, Doorway, MountDriver
from dryport.gateway.service import Service
from dryport.host.client import HostClient


class Driver(FileSystemDriver, MountDriver, Protocol):
    """Makes file systems, and has them appear in instances."""


def _service() -> Service:
    from dryport.efs.api import SERVICE

    return SERVICE


def room(context: Context) -> Room:
    """The service, and its file systems on this machine's host driver."""
    return room_on(context, HostClient(context.config.run_dir / "host.sock"))


def room_on(context: Context, driver: Driver) -> Room:
    """The service, and its file systems wherever a driver makes them."""
    return Room(
        services={"efs": _service},
        loops=(FileSystems(context.store, context.clock, driver),),
        routes={PATH: Doorway(context.store, driver).handle},
    )
