"""Reads what balancers count, and hands it to CloudWatch once a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from dryport.cloudwatch import published as cloudwatch
from dryport.control.clock import Clock
from dryport.elb import metrics, model, published
from dryport.elb.controllers import Balancers
from dryport.elb.dataplane.counters import Meter, Reading
from dryport.elb.dataplane.plan import Balancer, Kind
from dryport.host.client import HostError
from dryport.store import Reader, Store, StoreUnavailable, Transaction

_LOOK = 10  # seconds: so much is lost at most where a reload begins new counters
_MINUTE = 60
_MAKERS = {
    Kind.APPLICATION: (metrics.APPLICATION, metrics.of_application),
    Kind.NETWORK: (metrics.NETWORK, metrics.of_network),
    Kind.CLASSIC: (metrics.CLASSIC, metrics.of_classic),
}
log = logging.getLogger("dryport.elb.measuring")


class Plane(Protocol):
    """What it asks of the data plane."""

    async def counters(self, balancer: Balancer) -> Reading: ...


class Measuring:
    """A meter a balancer, begun anew with the control plane."""

    def __init__(self, store: Store, clock: Clock, plane: Plane, balancers: Balancers) -> None:
        self._store, self._clock, self._plane, self._balancers = store, clock, plane, balancers
        self._meters: dict[str, Meter] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        minute = self._clock.time() // _MINUTE
        while True:
            now = self._clock.time()
            await self.look()
            if now // _MINUTE > minute:
                try:
                    await self.hand_in(minute * _MINUTE)
                except StoreUnavailable as error:
                    log.warning("a minute of measurements was lost: %s", error)
                minute = now // _MINUTE
            await self._clock.sleep(_LOOK - self._clock.time() % _LOOK)

    async def look(self) -> None:
        """Read every balancer's counters."""
        carried = dict(self._balancers.carried)
        self._meters = {arn: self._meters.get(arn) or Meter() for arn in carried}
        await asyncio.gather(*(self._read(each) for each in carried.values()))

    async def _read(self, balancer: Balancer) -> None:
        try:
            reading = await self._plane.counters(balancer)
        except HostError as error:
            log.debug("%s: %s", balancer.arn, error)
            return
        meter = self._meters.get(balancer.arn)
        if meter is not None:
            meter.add(reading)

    async def hand_in(self, at: float) -> None:
        """Hand in what was counted since this was last done, as that of the minute that began ``at``."""
        taken = {arn: (meter.take(), meter.open) for arn, meter in self._meters.items()}

        def work(tx: Transaction) -> None:
            for arn, (counts, is_open) in taken.items():
                balancer, carried = tx.get(model.LOAD_BALANCERS, arn), self._balancers.carried.get(arn)
                if balancer is not None and carried is not None:
                    namespace, make = _MAKERS[carried.kind]
                    known_by = balancer.name if balancer.classic is not None else arn
                    data = list(make(known_by, counts, is_open, _groups(tx, balancer), at))
                    cloudwatch.put(tx, balancer.account, balancer.region, namespace, data)

        if taken:
            await self._store.transact(work)


def _groups(reader: Reader, balancer: model.LoadBalancer) -> Mapping[str, list[str]]:
    """The states of the targets that do not drain, by the target groups of a balancer; of a classic one by its own."""
    groups = {balancer.arn} if balancer.classic is not None else published.groups(reader, balancer.arn)
    return {
        group: [each.state for each in reader.find(model.TARGETS, "group", group) if each.state != model.DRAINING]
        for group in sorted(groups)
    }
