"""UDP of a network load balancer: what comes to which address and port goes to which of HAProxy's backends. Pure.

HAProxy carries none; it checks the targets, and the kernel leads flows to those that it holds to be well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dryport.elb.dataplane import haproxy, rules
from dryport.elb.dataplane.plan import Balancer, TargetGroup
from dryport.elb.dataplane.slots import Slots
from dryport.host.messages import Flow, Way

UDP = ("UDP", "TCP_UDP")


def of(balancer: Balancer) -> list[Flow]:
    """A balancer's flows, by its listeners."""
    names, groups = haproxy.backends(balancer), {each.arn: each for each in balancer.groups}
    found = []
    for listener in balancer.listeners:
        group = groups.get(rules.only_group(listener) or "")
        if listener.protocol in UDP and group is not None:
            ways = [
                Way(address=each.address, backends=[*_zone(balancer, group, each.address), names[group.arn]])
                for each in balancer.interfaces
            ]
            found.append(Flow(port=listener.port, ways=ways, sticky=group.stickiness is not None))
    return found


def _zone(balancer: Balancer, group: TargetGroup, address: str) -> Iterator[str]:
    for each in haproxy.zonal(balancer):
        if each.group.arn == group.arn and each.interface.address == address:
            yield each.name


def over(balancer: Balancer, before: Mapping[str, Slots], after: Mapping[str, Slots]) -> list[tuple[str, int]]:
    """The targets whose flows end: they are gone from groups that let go of what they have."""
    names = haproxy.backends(balancer)
    ending = {names[each.arn] for each in balancer.groups if each.protocol in UDP and each.end_deregistered}
    stay = {(each.address, each.port) for slots in after.values() for each in slots if each is not None}
    left = {(each.address, each.port) for name in ending for each in before.get(name, ()) if each is not None}
    return sorted(left - stay)
