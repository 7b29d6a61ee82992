"""Has the host driver take, copy and remove snapshots."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.ec2 import model
from dryport.ec2.drivers import StorageDriver
from dryport.ec2.model import Snapshot
from dryport.host.client import HostError, HostUnavailable
from dryport.store import Change, Store, Transaction

_ATTEMPTS = 3  # before a snapshot that cannot be taken is given up
_AWAY, _AGAIN = 2.0, 0.5  # seconds until a driver that is away, or that could not, is asked again
log = logging.getLogger("dryport.ec2")


class Snapshots(Controller):
    """Keyed by snapshot."""

    tables = (model.SNAPSHOTS, model.VOLUMES)

    def __init__(self, store: Store, clock: Clock, driver: StorageDriver) -> None:
        super().__init__(store, clock)
        self._driver = driver
        self._attempts: dict[str, int] = {}

    def existing(self) -> Iterable[str]:
        return [each.id for each in self.store.reader.all(model.SNAPSHOTS)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        sides = [each for each in (change.old, change.new) if each is not None]
        if change.table.name == model.VOLUMES.name:
            return {each.snapshot_id for each in sides if each.snapshot_id}
        return {change.key, *(each.source_id for each in sides if each.source_id)}

    async def reconcile(self, key: str) -> float | None:
        snapshot = self.store.reader.get(model.SNAPSHOTS, key)
        if snapshot is None:
            return None
        try:
            if snapshot.state == "pending" and not snapshot.held:
                return await self._take(snapshot)
            if snapshot.state == "deleting":
                await self._delete(snapshot)
        except HostUnavailable:
            return _AWAY
        return None

    async def _take(self, snapshot: Snapshot) -> float | None:
        state, message = "completed", ""
        try:
            if snapshot.source_id:
                await self._driver.copy_snapshot(snapshot.source_id, snapshot.id)
            else:
                await self._driver.save_snapshot(snapshot.volume_id, snapshot.id)
        except HostUnavailable:
            raise
        except HostError as error:
            attempts = self._attempts[snapshot.id] = self._attempts.get(snapshot.id, 0) + 1
            log.warning("snapshot %s: %s", snapshot.id, error)
            if attempts < _ATTEMPTS:
                return _AGAIN
            state, message = "error", "The snapshot could not be taken"
        self._attempts.pop(snapshot.id, None)
        members = {"state": state, "state_message": message, "completed_at": self.clock.time()}

        def end(tx: Transaction) -> None:
            found = tx.get(model.SNAPSHOTS, snapshot.id)
            if found is not None and found.state == "pending":
                tx.put(model.SNAPSHOTS, replace(found, **members))

        await self.store.transact(end)
        return None

    async def _delete(self, snapshot: Snapshot) -> None:
        reader = self.store.reader
        if any(each.state == "creating" for each in reader.find(model.VOLUMES, "snapshot", snapshot.id)):
            return  # comes back once what is being made of it is there
        if any(each.state == "pending" for each in reader.find(model.SNAPSHOTS, "source", snapshot.id)):
            return
        await self._driver.delete_snapshot(snapshot.id)
        await self.store.transact(lambda tx: tx.delete(model.SNAPSHOTS, snapshot.id))
