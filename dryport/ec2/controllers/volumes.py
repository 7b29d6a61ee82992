"""Has the host driver make, grow and remove volumes, and makes them block devices of the instances that run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.ec2 import lifecycle, model, volumes
from dryport.ec2.drivers import StorageDriver
from dryport.ec2.model import Instance, Volume, VolumeAttachment
from dryport.host.client import HostError, HostUnavailable
from dryport.host.messages import Disk
from dryport.store import Change, Store, Transaction

_ATTEMPTS = 3  # before a volume that cannot be made or grown is given up
_AWAY, _AGAIN = 2.0, 0.5  # seconds until a driver that is away, or that could not, is asked again
_BUSY = 0.5  # seconds between two attempts to take away a volume that is mounted
_IN_USE = "InUse"  # what an error of the host driver begins with there
log = logging.getLogger("dryport.ec2")


class Volumes(Controller):
    """Keyed by volume."""

    tables = (model.VOLUMES, model.INSTANCES, model.SNAPSHOTS)

    def __init__(self, store: Store, clock: Clock, driver: StorageDriver) -> None:
        super().__init__(store, clock)
        self._driver = driver
        self._attempts: dict[str, int] = {}

    def existing(self) -> Iterable[str]:
        return [each.id for each in self.store.reader.all(model.VOLUMES)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == model.INSTANCES.name:
            return self.store.reader.keys(model.VOLUMES, "instance", change.key)
        if change.table.name == model.SNAPSHOTS.name:
            return {each.volume_id for each in (change.old, change.new) if each is not None}
        return (change.key,)

    async def reconcile(self, key: str) -> float | None:
        volume = self.store.reader.get(model.VOLUMES, key)
        if volume is None:
            return None
        try:
            return await self._advance(volume)
        except HostUnavailable:
            return _AWAY

    async def _advance(self, volume: Volume) -> float | None:
        if volume.state == "creating":
            return await self._make(volume)
        if volume.state == "deleting":
            return await self._delete(volume)
        if volume.modification is not None and volume.modification.state == "modifying":
            return await self._modify(volume)
        if volume.attachment is None:
            return None
        if volume.attachment.state in ("detaching", "busy"):
            return await self._detach(volume, volume.attachment)
        if volume.attachment.state == "attaching" and volume.state == "in-use":
            attach = self._mount if volume.attachment.on_fargate else self._attach
            return await attach(volume, volume.attachment)
        return None

    async def _make(self, volume: Volume) -> float | None:
        try:
            snapshot_id = "" if volume.system else volume.snapshot_id
            await self._driver.ensure_volume(volume.id, volume.size, snapshot_id, system=volume.system)
        except HostUnavailable:
            raise
        except HostError as error:
            if self._try_again(volume, error):
                return _AGAIN
            await self._change(volume, lambda found: replace(found, state="error"))
            return None
        self._attempts.pop(volume.id, None)
        await self._change(
            volume, lambda found: replace(found, state="available" if found.attachment is None else "in-use")
        )
        return None

    async def _modify(self, volume: Volume) -> float | None:
        modification = volume.modification
        assert modification is not None
        state, message = "completed", ""
        try:
            await self._driver.ensure_volume(volume.id, volume.size)
        except HostUnavailable:
            raise
        except HostError as error:
            if self._try_again(volume, error):
                return _AGAIN
            state, message = "failed", "The volume could not be modified"
        self._attempts.pop(volume.id, None)
        ended = replace(modification, state=state, message=message, ended_at=self.clock.time())

        def end(found: Volume) -> Volume:
            if found.modification != modification:
                return found
            if state == "completed":
                return replace(found, modification=ended)
            had = modification.original
            return replace(
                found,
                size=had.size,
                volume_type=had.volume_type,
                iops=had.iops,
                throughput=had.throughput,
                modification=ended,
            )

        await self._change(volume, end)
        return None

    def _try_again(self, volume: Volume, error: HostError) -> bool:
        attempts = self._attempts[volume.id] = self._attempts.get(volume.id, 0) + 1
        log.warning("volume %s: %s", volume.id, error)
        if attempts < _ATTEMPTS:
            return True
        self._attempts.pop(volume.id, None)
        return False

    async def _delete(self, volume: Volume) -> float | None:
        snapshots = self.store.reader.find(model.SNAPSHOTS, "volume", volume.id)
        if any(each.state == "pending" for each in snapshots):
            return None  # comes back once they are taken
        try:
            await self._driver.delete_volume(volume.id)
        except HostUnavailable:
            raise
        except HostError as error:
            log.warning("volume %s is not deleted yet: %s", volume.id, error)
            return _BUSY
        await self.store.transact(lambda tx: tx.delete(model.VOLUMES, volume.id))
        return None

    async def _attach(self, volume: Volume, attachment: VolumeAttachment) -> float | None:
        instance = self.store.reader.get(model.INSTANCES, attachment.instance_id)
        if instance is None or not _takes_volumes(instance):
            return None  # a boot has it come, or the instance's end
        if instance.state == lifecycle.RUNNING:
            try:
                await self._driver.attach_disk(instance.id, disk(volume.id, attachment))
            except HostUnavailable:
                raise
            except HostError as error:
                log.warning("volume %s is not attached to %s yet: %s", volume.id, instance.id, error)
                return _AGAIN

        def attached(tx: Transaction) -> None:
            now = tx.get(model.INSTANCES, instance.id)
            if now is not None and (now.state, now.boot) == (instance.state, instance.boot):
                _put(tx, volume, lambda found: replace(found, attachment=replace(attachment, state="attached")))

        await self.store.transact(attached)
        return None

    async def _mount(self, volume: Volume, attachment: VolumeAttachment) -> float | None:
        """For a task of Fargate, whose agent is on this machine."""
        if attachment.error:
            return None
        ended = replace(attachment, state="attached")
        try:
            await self._driver.mount_volume(volume.id, attachment.file_system, make=not volume.snapshot_id)
        except HostUnavailable:
            raise
        except HostError as error:
            if self._try_again(volume, error):
                return _AGAIN
            ended = replace(attachment, error=str(error))
        self._attempts.pop(volume.id, None)
        await self._change(volume, lambda found: replace(found, attachment=ended))
        return None

    async def _detach(self, volume: Volume, attachment: VolumeAttachment) -> float | None:
        wanted = disk(volume.id, attachment)
        try:
            if attachment.on_fargate:
                await self._driver.unmount_volume(volume.id)
            else:
                await self._driver.detach_disk(attachment.instance_id, wanted, force=attachment.force)
        except HostUnavailable:
            raise
        except HostError as error:
            if not str(error).startswith(_IN_USE):
                log.warning("volume %s is not detached yet: %s", volume.id, error)
            elif attachment.state != "busy":
                busy = replace(attachment, state="busy")
                await self._change(volume, lambda found: replace(found, attachment=busy))
            return _BUSY
        goes = attachment.resource and attachment.delete_on_termination
        state = "deleting" if goes else "available"
        await self._change(volume, lambda found: replace(volumes.released(found), state=state))
        return None

    async def _change(self, volume: Volume, change: Callable[[Volume], Volume]) -> None:
        await self.store.transact(lambda tx: _put(tx, volume, change))


def disk(volume_id: str, attachment: VolumeAttachment) -> Disk:
    """An attached volume as the host driver is told of it."""
    return Disk(volume_id=volume_id, device=attachment.device)


def _takes_volumes(instance: Instance) -> bool:
    """Whether a volume can be attached now: while it boots, the boot brings its volumes."""
    up = instance.state == lifecycle.RUNNING and instance.boot == instance.booted and not instance.parking
    return up or instance.state == lifecycle.STOPPED


def _put(tx: Transaction, volume: Volume, change: Callable[[Volume], Volume]) -> None:
    """Change a row of which state and attachment are still those that the change was decided in."""
    found = tx.get(model.VOLUMES, volume.id)
    if found is not None and (found.state, found.attachment) == (volume.state, volume.attachment):
        changed = change(found)
        if changed is not found:
            tx.put(model.VOLUMES, changed)
