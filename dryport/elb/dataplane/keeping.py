"""What a network load balancer sends to its targets in its clients' names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dryport.elb.dataplane import haproxy
from dryport.elb.dataplane.flows import UDP
from dryport.elb.dataplane.plan import Balancer, Kind
from dryport.elb.dataplane.slots import Slots
from dryport.host.messages import Keeper, Keeping


def of(balancer: Balancer, *slots: Mapping[str, Slots]) -> Keeping | None:
    """To the targets in these slots, of the target groups that keep addresses; nothing of other load balancers."""
    if balancer.kind is not Kind.NETWORK:
        return None
    keepers = [Keeper(interface_id=each.interface_id, address=each.address) for each in balancer.interfaces]
    tcp, udp = set[tuple[str, int]](), set[tuple[str, int]]()
    for group in balancer.groups:
        if group.keep_addresses:
            found = set(_targets(haproxy.backends(balancer)[group.arn], slots))
            tcp |= found if group.protocol != "UDP" else set()
            udp |= found if group.protocol in UDP else set()
    return Keeping(vpc_id=balancer.vpc_id, keepers=keepers, tcp=sorted(tcp), udp=sorted(udp))


def _targets(backend: str, slots: Iterable[Mapping[str, Slots]]) -> Iterable[tuple[str, int]]:
    return ((one.address, one.port) for each in slots for one in each.get(backend, ()) if one is not None)
