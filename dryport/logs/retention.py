"""The loop that deletes what has expired, and what belonged to groups and streams that are gone."""

from __future__ import annotations

import logging

from dryport.control.clock import Clock
from dryport.logs import purge, streams
from dryport.logs.admission import DAY
from dryport.logs.model import LOG_GROUPS
from dryport.logs.storage import LogStorage
from dryport.store import Store, StoreUnavailable

_INTERVAL = 60.0  # seconds; AWS deletes within 72 hours
log = logging.getLogger("dryport.logs")


class Retention:
    """Sweeps the event storage once a minute."""

    def __init__(self, store: Store, storage: LogStorage, clock: Clock) -> None:
        self._store = store
        self._storage = storage
        self._clock = clock

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                log.warning("expired log events could not be deleted: %s", error)
            await self._clock.sleep(_INTERVAL)

    async def sweep(self) -> None:
        """Delete all that has expired or lost its group by now."""
        # First what is stored, then which groups there are: a group made in between is in the second list.
        stored = await self._storage.read(purge.groups)
        living = {group.number: group for group in self._store.reader.all(LOG_GROUPS)}
        await self._store.settled()
        now = round(self._clock.time() * 1000)
        for number in stored:
            group = living.get(number)
            if group is None:
                await self._storage.write(lambda c, number=number: streams.delete_group(c, number))  # type: ignore[misc]
            elif group.retention is not None:
                cutoff = now - group.retention * DAY
                while await self._storage.write(
                    lambda c, number=number, cutoff=cutoff: purge.expire(c, number, cutoff)  # type: ignore[misc]
                ):
                    pass
        while await self._storage.write(purge.purge):
            pass
