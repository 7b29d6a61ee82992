"""The host driver's verbs about volumes and file systems, each in a thread: copies may take long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dryport.control.config import Config
from dryport.host import messages
from dryport.host.instances.provider import Provider
from dryport.host.messages import FileSystemSize, Result, Verb
from dryport.host.storage.attachments import Attachments
from dryport.host.storage.filesystems import FileSystems
from dryport.host.storage.mounted import Mounted
from dryport.host.storage.volumes import InUse, Volumes

R = TypeVar("R")
_COPIES = 4  # at the same time
log = logging.getLogger("dryport.host")


class Storage:
    """What the daemon does for each verb of ``messages.storage``."""

    def __init__(self, config: Config, provider: Provider, volumes: Volumes) -> None:
        self._provider = provider
        self._volumes = volumes
        self._file_systems = FileSystems(config.state_dir)
        self._attachments = Attachments(provider, volumes)
        self._mounted = Mounted(config.state_dir, volumes)
        self._threads = ThreadPoolExecutor(_COPIES, thread_name_prefix="storage")
        self._measuring = ThreadPoolExecutor(1, thread_name_prefix="measuring")

    async def open(self) -> None:
        """Undo what was left half done. Raises OSError."""
        await self._run(self._volumes.open)
        await self._run(self._file_systems.open)

    async def close(self) -> None:
        """Let the threads end; what is attached and mounted stays."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._measuring.shutdown(wait=False, cancel_futures=True)

    async def teardown(self) -> None:
        """Free every loop device; the instances have ended."""
        try:
            await self._run(self._mounted.close)
            await self._run(self._volumes.close)
        except InUse as error:
            log.error("a volume stays attached: %s", error)

    async def do(self, verb: Verb) -> Result | None:
        """Do what a verb says. Raises LookupError for one that is not known, and what the kernel says against it."""
        match verb:
            case messages.EnsureVolume(volume_id=volume_id, gib=gib, snapshot_id=snapshot_id, system=system):
                await self._run(lambda: self._volumes.ensure(volume_id, gib, snapshot_id, system=system))
            case messages.DeleteVolume(volume_id=volume_id):
                await self._run(lambda: self._volumes.delete(volume_id))
            case messages.SaveSnapshot(volume_id=volume_id, snapshot_id=snapshot_id):
                await self._run(lambda: self._volumes.save(volume_id, snapshot_id))
            case messages.CopySnapshot(source_id=source_id, snapshot_id=snapshot_id):
                await self._run(lambda: self._volumes.copy_snapshot(source_id, snapshot_id))
            case messages.DeleteSnapshot(snapshot_id=snapshot_id):
                await self._run(lambda: self._volumes.delete_snapshot(snapshot_id))
            case messages.AttachDisk(instance_id=instance_id, disk=disk):
                await self._attachments.attach(instance_id, disk)
            case messages.DetachDisk(instance_id=instance_id, disk=disk, force=force):
                await self._attachments.detach(instance_id, disk, force=force)
            case messages.MountVolume(volume_id=volume_id, file_system=file_system, make=make):
                await self._run(lambda: self._mounted.mount(volume_id, file_system, make=make))
            case messages.UnmountVolume(volume_id=volume_id):
                await self._run(lambda: self._mounted.unmount(volume_id))
            case _:
                return await self._do_for_file_systems(verb)
        return None

    async def _do_for_file_systems(self, verb: Verb) -> Result | None:
        match verb:
            case messages.EnsureFileSystem(file_system_id=file_system_id):
                await self._run(lambda: self._file_systems.ensure(file_system_id))
            case messages.DeleteFileSystem(file_system_id=file_system_id):
                places = [place.filesystems for place in self._provider.places()]
                await self._run(lambda: self._file_systems.delete(file_system_id, places))
            case messages.MountFileSystem(instance_id=instance_id, file_system_id=file_system_id):
                async with self._provider.holding(instance_id) as place:
                    self._provider.pid(instance_id)
                    await self._run(lambda: self._file_systems.appear(file_system_id, place.filesystems))
            case messages.UnmountFileSystem(instance_id=instance_id, file_system_id=file_system_id):
                async with self._provider.holding(instance_id) as place:
                    await self._run(lambda: self._file_systems.vanish(file_system_id, place.filesystems))
            case messages.MeasureFileSystem(file_system_id=file_system_id):
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._measuring, self._file_systems.measure, file_system_id)
                return FileSystemSize(bytes=found)
            case _:
                raise LookupError(f"this host driver does not know {type(verb).__name__}")
        return None

    async def _run(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
