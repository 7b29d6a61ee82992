"""HAProxy's configuration of any balancer, and which of its servers is which target. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from dryport.elb.dataplane import classic, haproxy, slots
from dryport.elb.dataplane.plan import Balancer, Kind
from dryport.elb.dataplane.slots import Slots


def render(balancer: Balancer, places: Mapping[str, Slots]) -> str:
    """The configuration, with as many servers in each backend as it has slots. Raises ``NotCarried``."""
    if balancer.kind is Kind.CLASSIC:
        return classic.render(balancer, places)
    return haproxy.render(balancer, places)


def files(balancer: Balancer, certificates: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is beside the configuration, by name; ``certificates`` are PEMs by id."""
    made = {f"{name}.pem": content for name, content in certificates.items()}
    return made | haproxy.certificate_lists(balancer)


def assign(balancer: Balancer, present: Mapping[str, Slots]) -> dict[str, Slots]:
    """The slots of every backend, by those that there are."""
    return {name: slots.assign(present.get(name, ()), each) for name, each in haproxy.targets(balancer).items()}
