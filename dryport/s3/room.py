"""How S3 is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.gateway.service import Service
from dryport.s3.disk import Disk
from dryport.s3.expiry import Expirer
from dryport.s3.sweeper import Sweeper


def room(context: Context) -> Room:
    """The service on ``<state>/s3``, and the loop that tidies it."""
    disk = Disk(context.config.state_dir / "s3", context.random)

    def service() -> Service:
        from dryport.s3 import api

        return api.service(disk)

    return Room(
        services={"s3": service},
        loops=(Sweeper(context.store, disk, context.clock), Expirer(context.store, context.clock, context.random)),
    )
