"""The loops that have file systems mounted on instances for the tasks that need them, and unmounted after.

``Mounts`` looks at one file system on one instance. What it has had mounted it knows only for as long as the host
driver has not gone away: ``Remounts`` has everything looked at again when that is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from msgspec.structs import replace

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.ec2.model import INSTANCES
from dryport.ecs import file_systems
from dryport.ecs.model import INSTANCE_MOUNTS, TASKS, InstanceMount, Task
from dryport.host.client import HostError, HostUnavailable
from dryport.store import Change, Store, Transaction

_AWAY = 0.5  # seconds until a driver that is away is tried again


class MountDriver(Protocol):
    """Mounts file systems on instances. Verbs are idempotent and raise ``host.client.HostError``.

    ``epoch`` grows whenever the other side may have forgotten what it was told; ``lost`` is set while it is away.
    """

    epoch: int
    lost: asyncio.Event

    async def connect(self) -> None:
        """Reach the other side. Raises HostUnavailable."""
        ...

    async def mount_file_system(self, instance_id: str, file_system_id: str) -> None:
        """Have a file system appear in a running instance."""
        ...

    async def unmount_file_system(self, instance_id: str, file_system_id: str) -> None:
        """Have it appear there no more."""
        ...


class Mounts(Controller):
    """Keyed by InstanceMount."""

    tables = (INSTANCE_MOUNTS, TASKS)

    def __init__(self, store: Store, clock: Clock, driver: MountDriver) -> None:
        super().__init__(store, clock)
        self._driver = driver
        self._made: dict[str, tuple[int, int]] = {}  # by key: the driver's epoch and the instance's boot it was made in

    def existing(self) -> Iterable[str]:
        return [each.key for each in self.store.reader.all(INSTANCE_MOUNTS)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == INSTANCE_MOUNTS.name:
            return (change.key,)
        return self._of_task(change)

    def _of_task(self, change: Change[Task]) -> Iterable[str]:
        old, new = change.old, change.new
        task = new or old
        if task is None or not task.file_systems:
            return ()
        if old and new and (old.last_status, old.file_systems) == (new.last_status, new.file_systems):
            return ()
        return [each.key for each in file_systems.mounts(self.store.reader, task)]

    async def reconcile(self, key: str) -> float | None:
        mount = self.store.reader.get(INSTANCE_MOUNTS, key)
        if mount is None:
            return None
        try:
            if file_systems.tasks_with(self.store.reader, mount):
                await self._mount(mount)
            else:
                await self._unmount(mount)
        except HostUnavailable:
            return _AWAY
        return None

    async def _mount(self, mount: InstanceMount) -> None:
        await self._driver.connect()
        instance = self.store.reader.get(INSTANCES, mount.instance_id)
        now = (self._driver.epoch, instance.boot if instance is not None else 0)
        if self._made.get(mount.key) != now:
            await self._driver.mount_file_system(mount.instance_id, mount.file_system_id)
            self._made[mount.key] = now
        await self.store.transact(lambda tx: self._note(tx, mount))

    def _note(self, tx: Transaction, mount: InstanceMount) -> None:
        """Have the tasks go on that need nothing more."""
        waiting = [each for each in file_systems.tasks_with(tx, mount) if each.file_systems == "mounting"]
        for task in waiting:
            if all(each.key in self._made for each in file_systems.mounts(tx, task)):
                tx.put(TASKS, replace(task, file_systems="mounted"))

    async def _unmount(self, mount: InstanceMount) -> None:
        self._made.pop(mount.key, None)
        await self._driver.unmount_file_system(mount.instance_id, mount.file_system_id)
        await self.store.transact(lambda tx: _forget(tx, mount))

    def look_again(self) -> None:
        """Have everything mounted again that may be no more."""
        for key in self.existing():
            self.enqueue(key)


def _forget(tx: Transaction, mount: InstanceMount) -> None:
    if file_systems.tasks_with(tx, mount):
        tx.put(INSTANCE_MOUNTS, mount)  # one has come meanwhile: look again
    else:
        tx.delete(INSTANCE_MOUNTS, mount.key)


class Remounts:
    """Follows the connection to the host driver."""

    def __init__(self, clock: Clock, driver: MountDriver, mounts: Mounts) -> None:
        self._clock = clock
        self._driver = driver
        self._mounts = mounts

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._driver.connect()
            except HostError:
                await self._clock.sleep(_AWAY)
                continue
            self._mounts.look_again()
            await self._driver.lost.wait()
