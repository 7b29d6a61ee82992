"""How S3 is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.s3 import api
from dryport.s3.disk import Disk
from dryport.s3.sweeper import Sweeper


def room(context: Context) -> Room:
    """The service on ``<state>/s3``, and the loop that tidies it."""
    disk = Disk(context.config.state_dir / "s3", context.random)
    return Room(services=(api.service(disk),), loops=(Sweeper(context.store, disk, context.clock),))
