"""How EC2 is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ec2 import public_parameters
from dryport.ec2.api import with_driver
from dryport.ec2.controllers.ends import Ends
from dryport.ec2.controllers.instances import Instances
from dryport.ec2.controllers.metadata import InstanceMetadata
from dryport.ec2.controllers.networks import Convergence, Departures, Networks
from dryport.host.client import HostClient


def room(context: Context) -> Room:
    """The service, and its networks and instances on this machine's host driver."""
    public_parameters.register()
    driver = HostClient(context.config.run_dir / "host.sock")
    networks = Networks(context.store, context.clock, context.random, driver)
    departures = Departures(context.store, context.clock, driver)
    convergence = Convergence(context, driver, networks, context.config.public_network)
    metadata = InstanceMetadata(context, driver)
    instances = Instances(context, driver, metadata)
    loops = (networks, departures, convergence, metadata, instances, Ends(context, driver, metadata))
    return Room(services=(with_driver(driver),), loops=loops)
