"""What a network load balancer sends to its targets in its clients' names. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from dryport.elb.dataplane import haproxy
from dryport.elb.dataplane.flows import UDP
from dryport.elb.dataplane.plan import Balancer, Kind
from dryport.elb.dataplane.slots import Slots
from dryport.host.messages import Keeper, Keeping


def of(balancer: Balancer, slots: Mapping[str, Slots], leading: Mapping[str, Slots] | None = None) -> Keeping | None:
    """To the targets in these slots, of the target groups that keep addresses; nothing of other load balancers.

    ``leading`` are the slots as HAProxy has them, which leads new connections there until it is told otherwise.
    """
    if balancer.kind is not Kind.NETWORK:
        return None
    keepers = [Keeper(interface_id=each.interface_id, address=each.address) for each in balancer.interfaces]
    names = haproxy.backends(balancer)
    tcp, udp = set[tuple[str, int]](), set[tuple[str, int]]()
    for group in balancer.groups:
        if group.keep_addresses:
            here, there = slots.get(names[group.arn], ()), (leading or {}).get(names[group.arn], ())
            found = {(each.address, each.port) for each in here if each is not None}
            found |= {(each.address, each.port) for each in there if each is not None and not each.draining}
            tcp |= found if group.protocol != "UDP" else set()
            udp |= found if group.protocol in UDP else set()
    return Keeping(vpc_id=balancer.vpc_id, keepers=keepers, tcp=sorted(tcp), udp=sorted(udp))
