"""Has images become available once their snapshots are taken, and their instances reboot for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.ec2 import image_making, model
from dryport.store import Change, Store, Transaction


class Images(Controller):
    """Keyed by image."""

    tables = (model.IMAGES, model.SNAPSHOTS, model.INSTANCES)

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store, clock)

    def existing(self) -> Iterable[str]:
        return list(self.store.reader.keys(model.IMAGES, "state", "pending"))

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == model.SNAPSHOTS.name:
            return self.store.reader.keys(model.IMAGES, "snapshot", change.key)
        if change.table.name == model.INSTANCES.name:
            return self.store.reader.keys(model.IMAGES, "instance", change.key)
        return (change.key,)

    async def reconcile(self, key: str) -> float | None:
        image = self.store.reader.get(model.IMAGES, key)
        if image is not None and image.state == "pending":
            await self.store.transact(lambda tx: _advance(tx, key))
        return None


def _advance(tx: Transaction, key: str) -> None:
    image = tx.get(model.IMAGES, key)
    if image is not None and image.state == "pending":
        image_making.advance(tx, image)
