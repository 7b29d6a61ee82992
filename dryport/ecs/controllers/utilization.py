"""Hands what agents have measured to CloudWatch, once a minute."""

from __future__ import annotations

import logging

from dryport.cloudwatch import published as cloudwatch
from dryport.control.context import Context
from dryport.ecs import utilization
from dryport.ecs.acs.telemetry import Telemetry
from dryport.ecs.connect import metrics
from dryport.ecs.model import TASKS
from dryport.store import StoreUnavailable, Transaction

_MINUTE = 60
log = logging.getLogger("dryport.ecs.utilization")


class Utilization:
    """What came in a whole minute is that minute's; where nothing came, nothing is handed in."""

    def __init__(self, context: Context, telemetry: Telemetry) -> None:
        self._store, self._clock, self._telemetry = context.store, context.clock, telemetry

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._clock.sleep(_MINUTE - self._clock.time() % _MINUTE)
            try:
                await self.hand_in(self._clock.time() - _MINUTE / 2)
            except StoreUnavailable as error:
                log.warning("a minute of utilization was lost: %s", error)

    async def hand_in(self, within: float) -> None:
        """Hand in what has come, as that of the minute around a time. Raises StoreUnavailable."""
        connected = self._telemetry.take_connected()
        usage, instances = self._telemetry.take()
        if not instances:
            return
        at = within - within % _MINUTE

        def work(tx: Transaction) -> None:
            for (account, region), found in utilization.data(tx, usage, instances, at).items():
                cloudwatch.put(tx, account, region, utilization.NAMESPACE, found)
            proxied = [(task, each) for arn, each in connected.items() if (task := tx.get(TASKS, arn)) is not None]
            for (account, region), found in metrics.data(proxied, at).items():
                cloudwatch.put(tx, account, region, utilization.NAMESPACE, found)

        await self._store.transact(work)
