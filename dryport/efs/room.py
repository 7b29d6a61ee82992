"""How EFS is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.efs.api import SERVICE
from dryport.efs.controllers import FileSystemDriver, FileSystems
from dryport.host.client import HostClient


def room(context: Context) -> Room:
    """The service, and its file systems on this machine's host driver."""
    return room_on(context, HostClient(context.config.run_dir / "host.sock"))


def room_on(context: Context, driver: FileSystemDriver) -> Room:
    """The service, and its file systems wherever a driver makes them."""
    return Room(services=(SERVICE,), loops=(FileSystems(context.store, context.clock, driver),))
