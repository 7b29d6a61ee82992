"""The loop that does what lifecycle rules say: objects and versions expire, uploads that nobody ends are aborted."""

from __future__ import annotations

from functools import partial
from random import Random

from dryport.control.clock import Clock
from dryport.s3 import lifecycle, versions
from dryport.s3.model import BUCKETS, OBJECTS, PARTS, UPLOADS, VERSIONS, object_key
from dryport.store import Store, Transaction

_INTERVAL = 600.0  # seconds; rules count in days
_BATCH = 200  # keys a transaction


class Expirer:
    """Goes through the buckets that have rules."""

    def __init__(self, store: Store, clock: Clock, random: Random) -> None:
        self._store = store
        self._random = random
        self._clock = clock

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.sweep()
            await self._clock.sleep(_INTERVAL)

    async def sweep(self) -> None:
        """Go through them once."""
        for name in [bucket.name for bucket in self._store.reader.all(BUCKETS) if bucket.lifecycle]:
            reader = self._store.reader
            found = {key.partition("/")[2] for key in reader.keys(OBJECTS, "bucket", name)}
            found |= {key.split("/", 2)[2] for key in reader.keys(VERSIONS, "bucket", name)}
            keys = sorted(found)
            for start in range(0, len(keys), _BATCH):
                await self._store.transact(partial(self._expire, name, keys[start : start + _BATCH]))
            await self._store.transact(partial(self._abort, name))

    def _expire(self, name: str, keys: list[str], tx: Transaction) -> None:
        bucket, now = tx.get(BUCKETS, name), self._clock.time()
        for key in keys if bucket is not None else ():
            assert bucket is not None
            current = tx.get(OBJECTS, object_key(name, key))
            every = sorted(tx.find(VERSIONS, "object", object_key(name, key)), key=lambda item: -item.order)
            every = every if current is None else [current, *every]
            for item in lifecycle.over(bucket.lifecycle, every, now):
                if item is current:
                    versions.mark_deleted(tx, self._random, bucket, key, now)
                else:
                    versions.end(tx, item)

    def _abort(self, name: str, tx: Transaction) -> None:
        bucket, now = tx.get(BUCKETS, name), self._clock.time()
        if bucket is None:
            return
        for upload in tx.find(UPLOADS, "bucket", name):
            if lifecycle.aborted(bucket.lifecycle, upload.key, upload.initiated_at, now):
                for part in tx.keys(PARTS, "upload", upload.id):
                    tx.delete(PARTS, part)
                tx.delete(UPLOADS, upload.id)
