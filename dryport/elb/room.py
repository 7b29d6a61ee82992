"""How load balancing is plugged in."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.elb.controllers import Balancers, Checks, Convergence, Drains, Terminations
from dryport.elb.doorway import Doorway
from dryport.elb.driver import HaproxyPlane
from dryport.gateway.service import Service
from dryport.host.client import HostClient
from dryport.store.sealing import Sealer


def _service() -> Service:
    from dryport.elb.api import SERVICE

    return SERVICE


def room(context: Context) -> Room:
    """The service, and its balancers on this machine's host driver."""
    host = HostClient(context.config.run_dir / "host.sock")
    plane = HaproxyPlane(host, context.config.id)
    balancers = Balancers(context, plane, Sealer(context.config.state_dir / "sealing.key", context.random))
    doorway = Doorway(context.store, context.clock, host)
    loops = (
        balancers,
        Checks(context.store, context.clock, plane, balancers),
        Drains(context.store, context.clock),
        Terminations(context.store, context.clock),
        doorway,
        Convergence(context.store, context.clock, host, balancers, doorway),
    )
    return Room(services={"elbv2": _service}, loops=loops)
