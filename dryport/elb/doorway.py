"""The loop that has balancers' names answer on this machine."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.ec2 import model as ec2_model
from dryport.ec2 import published as ec2
from dryport.elb import model
from dryport.elb.dataplane import door
from dryport.elb.dataplane.door import Entry
from dryport.elb.driver import Host
from dryport.elb.model import LoadBalancer
from dryport.host.client import HostError, HostUnavailable
from dryport.host.messages import Carrier
from dryport.store import Change, Reader, Store

DOOR = "door"
_AGAIN = 30.0  # seconds until a port that somebody else had is tried again
_TAKEN = re.compile(r"PortTaken: 127\.0\.0\.1:(\d+)")
log = logging.getLogger("dryport.elb")


class Doorway(Controller):
    """One key: all balancers that face the internet."""

    tables = (model.LOAD_BALANCERS, model.LISTENERS, ec2_model.NETWORK_INTERFACES)

    def __init__(self, store: Store, clock: Clock, host: Host) -> None:
        super().__init__(store, clock)
        self._host = host
        self._taken: frozenset[int] = frozenset()

    def existing(self) -> Iterable[str]:
        return (DOOR,)

    def keys(self, change: Change[Any]) -> Iterable[str]:
        item = change.new or change.old
        if isinstance(item, ec2_model.NetworkInterface) and item.requester_id != ec2_model.BALANCERS:
            return ()
        return (DOOR,)

    async def reconcile(self, key: str) -> float | None:
        wanted = entries(self.store.reader)
        try:
            if not wanted:
                if DOOR in await self._host.balancers():
                    await self._host.delete_balancer(DOOR)
                return None
            return await self.open(wanted)
        except HostUnavailable:
            return None  # told again once the driver is back

    async def open(self, wanted: list[Entry]) -> float | None:
        """Answer where nobody else does; seconds after which to look again, where somebody does. Raises HostError."""
        taken: set[int] = set()
        while True:
            free = [each for each in wanted if each.port not in taken]
            if not free:
                await self._host.delete_balancer(DOOR)
                break
            carrier = Carrier(id=DOOR, namespace="", config=door.render(free), ports=door.ports(free))
            try:
                await self._host.ensure_balancer(carrier)
                break
            except HostError as error:
                found = _TAKEN.search(str(error))
                if found is None or int(found[1]) in taken:
                    raise
                taken.add(int(found[1]))
        if taken - self._taken:
            ports = ", ".join(str(each) for each in sorted(taken))
            log.warning("load balancers answer at their public addresses alone, at ports that others have: %s", ports)
        self._taken = frozenset(taken)
        return _AGAIN if taken else None


def entries(reader: Reader) -> list[Entry]:
    """The listeners that answer outside of their VPCs, the oldest balancer's first."""
    balancers = [each for each in reader.all(model.LOAD_BALANCERS) if each.state == model.ACTIVE]
    found = []
    for balancer in sorted(balancers, key=lambda each: each.created_at):
        addresses = _public(reader, balancer)
        for listener in reader.find(model.LISTENERS, "load_balancer", balancer.arn) if addresses else ():
            if listener.protocol == "UDP":
                continue  # the door is HAProxy's: UDP answers at public addresses
            found.append(Entry(balancer.dns_name, listener.protocol, listener.port, addresses))
    return found


def _public(reader: Reader, balancer: LoadBalancer) -> list[str]:
    interfaces = (ec2.network_interface(reader, each.interface_id) for each in balancer.zones)
    return [each.public_ip for each in interfaces if each is not None and each.public_ip]
