"""The loops of load balancing, on this machine's host driver."""

from __future__ import annotations

from collections.abc import Sequence

from dryport.control.context import Context, Loop
from dryport.elb.access_logs.delivery import Delivery
from dryport.elb.controllers import Balancers, Checks, Convergence, Drains, Terminations
from dryport.elb.doorway import Doorway
from dryport.elb.driver import HaproxyPlane
from dryport.elb.measuring import Measuring
from dryport.host.client import HostClient
from dryport.store.sealing import Sealer


def loops(context: Context) -> Sequence[Loop]:
    """All of them; certificates' keys are sealed under ``<state>/sealing.key``."""
    host = HostClient(context.config.run_dir / "host.sock")
    plane = HaproxyPlane(host, context.config.id)
    balancers = Balancers(context, plane, Sealer(context.config.state_dir / "sealing.key", context.random))
    doorway = Doorway(context.store, context.clock, host)
    return (
        balancers,
        Checks(context.store, context.clock, plane, balancers),
        Measuring(context.store, context.clock, plane, balancers),
        Delivery(context, plane, balancers),
        Drains(context.store, context.clock),
        Terminations(context.store, context.clock),
        doorway,
        Convergence(context.store, context.clock, host, balancers, doorway),
    )
