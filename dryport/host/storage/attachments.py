"""Volumes as block devices of running instances: in their ``/dev``, and nowhere else.

What an instance has is kept in its ``instance.json``, so that it has it again when it boots by itself (a reboot).
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from dryport.host import blocks
from dryport.host.instances import devices, groups
from dryport.host.instances.provider import Provider
from dryport.host.messages import Disk, Instance
from dryport.host.storage import holders
from dryport.host.storage.volumes import InUse, Volumes


class Attachments:
    """The verbs about volumes and instances. Different instances at the same time, one instance in order."""

    def __init__(self, provider: Provider, volumes: Volumes) -> None:
        self._provider = provider
        self._volumes = volumes

    async def attach(self, instance_id: str, disk: Disk) -> None:
        """Have a volume appear. Raises LookupError where instance or volume are not there, ValueError, OSError."""
        async with self._provider.holding(instance_id) as place:
            pid, instance = self._provider.pid(instance_id), place.instance()
            if instance is None:
                raise LookupError(f"there is no instance {instance_id}")
            others = [each for each in instance.disks if each.volume_id != disk.volume_id]
            name = devices.disk_name(disk.device)
            if any(devices.disk_name(each.device).node == name.node for each in others):
                raise ValueError(f"{disk.device} of {instance_id} is another volume")
            device = await asyncio.to_thread(self._device, name, disk.volume_id)
            place.remember(replace(instance, disks=[*others, disk]))
            await asyncio.to_thread(self._appear, instance_id, pid, name, device)

    def _device(self, name: devices.DiskName, volume_id: str) -> devices.Device:
        return devices.Device(name.node, "b", *self._volumes.device(volume_id))

    def _appear(self, instance_id: str, pid: int, name: devices.DiskName, device: devices.Device) -> None:
        groups.allow(self._provider.group(instance_id), device)
        devices.appear(pid, device, name.link)

    async def detach(self, instance_id: str, disk: Disk, *, force: bool) -> None:
        """Have it vanish; the root volume only from one that does not run.

        Raises InUse while somebody has it mounted or open, unless ``force``; OSError.
        """
        async with self._provider.holding(instance_id) as place:
            instance = place.instance()
            try:
                pid = self._provider.pid(instance_id)
            except LookupError:
                pid = 0
            if instance is not None and instance.root == disk.volume_id:
                if pid:
                    raise InUse(f"{instance.id} runs on {disk.volume_id}")
                place.remember(replace(instance, root=""))
                return
            if instance is None or disk.volume_id not in {each.volume_id for each in instance.disks}:
                return  # and may by now be another instance's
            await asyncio.to_thread(self._vanish, instance, pid, disk, force)
            left = [each for each in instance.disks if each.volume_id != disk.volume_id]
            place.remember(replace(instance, disks=left))

    def _vanish(self, instance: Instance, pid: int, disk: Disk, force: bool) -> None:
        names = self._volumes.names(disk.volume_id)
        if not force and any(blocks.is_claimed(name) for name in names):
            raise InUse(f"{disk.volume_id} is mounted in {instance.id}")
        name = devices.disk_name(next(each.device for each in instance.disks if each.volume_id == disk.volume_id))
        group = self._provider.group(instance.id)
        for each in names if pid else ():
            groups.forbid(group, devices.like(each, name.node))  # from here on nobody begins to use it
        if pid:
            devices.vanish(pid, name)
        out = force and all([holders.put_out(each) for each in names])  # noqa: C419 (each of them)
        try:
            self._volumes.release(disk.volume_id, forced=out)
        except InUse:
            if pid and not force:
                self._appear(instance.id, pid, name, self._device(name, disk.volume_id))
            raise
