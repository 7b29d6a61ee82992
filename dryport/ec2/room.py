"""How EC2 is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ec2 import public_parameters
from dryport.ec2.controllers.ends import Ends
from dryport.ec2.controllers.images import Images
from dryport.ec2.controllers.instances import Instances
from dryport.ec2.controllers.metadata import InstanceMetadata
from dryport.ec2.controllers.networks import Convergence, Departures, Networks
from dryport.ec2.controllers.snapshots import Snapshots
from dryport.ec2.controllers.volumes import Volumes
from dryport.ec2.drivers import Driver
from dryport.gateway.service import Service
from dryport.host.client import HostClient


def room(context: Context) -> Room:
    """The service, and its networks, instances and volumes on this machine's host driver."""
    return room_on(context, HostClient(context.config.run_dir / "host.sock"))


def room_on(context: Context, driver: Driver) -> Room:
    """The service, and its networks, instances and volumes wherever a driver makes them."""
    public_parameters.register()
    networks = Networks(context.store, context.clock, context.random, driver)
    metadata = InstanceMetadata(context, driver)
    loops = (
        networks,
        Departures(context.store, context.clock, driver),
        Convergence(context, driver, networks, context.config.public_network),
        metadata,
        Instances(context, driver, metadata),
        Ends(context, driver, metadata),
        Volumes(context.store, context.clock, driver),
        Snapshots(context.store, context.clock, driver),
        Images(context.store, context.clock),
    )

    def service() -> Service:
        from dryport.ec2.api import with_driver

        return with_driver(driver)

    return Room(services={"ec2": service}, loops=loops)
