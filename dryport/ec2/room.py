"""How EC2 is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ec2 import public_parameters
from dryport.ec2.api import SERVICE
from dryport.ec2.controllers.networks import Convergence, Departures, Networks
from dryport.host.client import HostClient


def room(context: Context) -> Room:
    """The service, and its networks on this machine's host driver."""
    public_parameters.register()
    driver = HostClient(context.config.run_dir / "host.sock")
    networks = Networks(context.store, context.clock, context.random, driver)
    departures = Departures(context.store, context.clock, driver)
    convergence = Convergence(context, driver, networks, context.config.public_network)
    return Room(services=(SERVICE,), loops=(networks, departures, convergence))
