"""The loop that deletes files that nothing refers to: of killed processes, of objects replaced or deleted."""

from __future__ import annotations

import asyncio

from dryport.control.clock import Clock
from dryport.s3.disk import Disk
from dryport.s3.model import OBJECTS, PARTS, VERSIONS
from dryport.store import Store

_INTERVAL = 60.0  # seconds; also the least time for which a file stays that an answer may still be reading


class Sweeper:
    """Deletes what has been without a reference for two sweeps."""

    def __init__(self, store: Store, disk: Disk, clock: Clock) -> None:
        self._store = store
        self._disk = disk
        self._clock = clock
        self._suspects: set[str] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.sweep()
            await self._clock.sleep(_INTERVAL)

    async def sweep(self) -> None:
        """Look through all files once."""
        files = await asyncio.to_thread(lambda: set(self._disk.files()))
        await self._store.settled()
        reader = self._store.reader

        def used(file: str) -> bool:
            if reader.count(OBJECTS, "file", file) or reader.count(VERSIONS, "file", file):
                return True
            return reader.count(PARTS, "file", file) > 0

        unused = {file for file in files if not used(file)}
        for file in unused & self._suspects:
            self._disk.delete(file)
        self._suspects = unused - self._suspects
