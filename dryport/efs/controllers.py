"""The loop that makes, measures and deletes file systems on the machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from msgspec.structs import replace

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.efs.model import FILE_SYSTEMS, FileSystem
from dryport.host.client import HostUnavailable
from dryport.store import Change, Store, Transaction

_AWAY = 0.5  # seconds until a driver that is away is tried again
_MEASURED = 60.0  # seconds between two looks at a size
_STALE = 3600.0  # seconds after which a size that has not changed is noted again


class FileSystemDriver(Protocol):
    """Makes file systems real. Every verb is idempotent and raises ``host.client.HostError``."""

    async def ensure_file_system(self, file_system_id: str) -> None:
        """Have a file system."""
        ...

    async def delete_file_system(self, file_system_id: str) -> None:
        """Remove a file system with all that is in it."""
        ...

    async def measure_file_system(self, file_system_id: str) -> int:
        """How many bytes a file system holds."""
        ...


class FileSystems(Controller):
    """Keyed by file system."""

    tables = (FILE_SYSTEMS,)

    def __init__(self, store: Store, clock: Clock, driver: FileSystemDriver) -> None:
        super().__init__(store, clock)
        self._driver = driver

    def existing(self) -> Iterable[str]:
        return [each.id for each in self.store.reader.all(FILE_SYSTEMS)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        # Its own notes of sizes bring nothing new.
        moved = change.old is None or change.new is None or change.old.state != change.new.state
        return (change.key,) if moved else ()

    async def reconcile(self, key: str) -> float | None:
        system = self.store.reader.get(FILE_SYSTEMS, key)
        if system is None:
            return None
        try:
            if system.state == "deleting":
                await self._driver.delete_file_system(key)
                await self.store.transact(lambda tx: tx.delete(FILE_SYSTEMS, key))
                return None
            if system.state == "creating":
                await self._driver.ensure_file_system(key)
                await self.store.transact(lambda tx: _now_available(tx, key))
                return None
            return await self._measure(system)
        except HostUnavailable:
            return _AWAY

    async def _measure(self, system: FileSystem) -> float:
        size, now = await self._driver.measure_file_system(system.id), float(int(self.clock.time()))
        if size != system.bytes or system.measured_at is None or now > system.measured_at + _STALE:
            await self.store.transact(lambda tx: _note_size(tx, system.id, size, now))
        return _MEASURED


def _now_available(tx: Transaction, key: str) -> None:
    system = tx.get(FILE_SYSTEMS, key)
    if system is not None and system.state == "creating":
        tx.put(FILE_SYSTEMS, replace(system, state="available"))


def _note_size(tx: Transaction, key: str, size: int, now: float) -> None:
    system = tx.get(FILE_SYSTEMS, key)
    if system is not None:
        tx.put(FILE_SYSTEMS, replace(system, bytes=size, measured_at=now))
