"""A machine of the tests' own: what the controllers ask for is noted, and done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dryport.host.client import HostError, HostUnavailable
from dryport.host.messages import (
    Console,
    Disk,
    Instance,
    InstanceState,
    Metadata,
    Names,
    Networks,
    Port,
    Ruleset,
    Vpc,
)


class Machine:
    """Has instances, volumes (their GiB by id) and snapshots. ``disks`` are those that each instance has, by device.

    ``metadata`` is what each VPC's instances are told, ``consoles`` what each instance has printed.
    ``mounted`` volumes cannot be taken away; while it is ``full`` none can be made; while ``held`` no snapshot is
    taken; ``away`` is a driver that does not answer about storage.
    """

    def __init__(self) -> None:
        self.epoch = 1
        self.lost = asyncio.Event()
        self.running: dict[str, Instance] = {}
        self.stopped: set[str] = set()
        self.disks: dict[str, dict[str, str]] = {}
        self.volumes: dict[str, int] = {}
        self.origins: dict[str, str] = {}
        self.snapshots: dict[str, str] = {}
        self.metadata: dict[str, dict[str, Metadata]] = {}
        self.consoles: dict[str, bytes] = {}
        self.mounted: set[str] = set()
        self.full = False
        self.held = False
        self.away = False

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def ensure_vpc(self, vpc: Vpc) -> None: ...

    async def delete_vpc(self, vpc_id: str) -> None: ...

    async def plug(self, port: Port) -> None: ...

    async def unplug(self, vpc_id: str, interface_id: str) -> None: ...

    async def set_firewall(self, vpc_id: str, ruleset: Ruleset) -> None: ...

    async def set_names(self, vpc_id: str, names: Names) -> None: ...

    async def set_metadata(self, vpc_id: str, instances: dict[str, Metadata]) -> None:
        self.metadata[vpc_id] = instances

    async def list(self) -> Networks:
        return Networks()

    async def ensure_instance(self, instance: Instance) -> None:
        for each in (instance.root, *(disk.volume_id for disk in instance.disks)):
            if each not in self.volumes:
                raise HostError(f"LookupError: the volume {each} is not on this machine")
        self.running[instance.id] = instance
        self.stopped.discard(instance.id)
        self.disks[instance.id] = {each.device: each.volume_id for each in instance.disks}

    async def stop_instance(self, instance_id: str, *, force: bool = False) -> None:
        if instance_id in self.running:
            self.stopped.add(instance_id)
            self.mounted -= set(self.disks.get(instance_id, {}).values())

    async def delete_instance(self, instance_id: str) -> None:
        self.running.pop(instance_id, None)
        self.mounted -= set(self.disks.pop(instance_id, {}).values())

    async def instances(self) -> dict[str, InstanceState]:
        return {
            each.id: InstanceState(boot=each.boot, running=each.id not in self.stopped, ready=True, pid=1)
            for each in self.running.values()
        }

    async def await_end(self, running: Sequence[str]) -> dict[str, InstanceState]:
        await asyncio.Event().wait()
        return {}

    async def console(self, instance_id: str) -> Console:
        return Console(output=self.consoles.get(instance_id, b""), at=0.0)

    async def ensure_volume(self, volume_id: str, gib: int, snapshot_id: str = "", *, system: bool = False) -> None:
        self._answer()
        if self.full:
            raise HostError("OSError: [Errno 28] No space left on device")
        if snapshot_id and snapshot_id not in self.snapshots and volume_id not in self.volumes:
            raise HostError(f"LookupError: the snapshot {snapshot_id} is not on this machine")
        self.volumes[volume_id] = gib
        self.origins.setdefault(volume_id, "system" if system else snapshot_id)

    async def delete_volume(self, volume_id: str) -> None:
        self._answer()
        self.volumes.pop(volume_id, None)

    async def save_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        self._answer()
        while self.held:  # noqa: ASYNC110 (another thread says so)
            await asyncio.sleep(0.01)
        if volume_id not in self.volumes:
            raise HostError(f"LookupError: the volume {volume_id} is not on this machine")
        self.snapshots[snapshot_id] = volume_id

    async def copy_snapshot(self, source_id: str, snapshot_id: str) -> None:
        self._answer()
        self.snapshots[snapshot_id] = self.snapshots[source_id]

    async def delete_snapshot(self, snapshot_id: str) -> None:
        self._answer()
        self.snapshots.pop(snapshot_id, None)

    async def mount_volume(self, volume_id: str, file_system: str, *, make: bool = False) -> None:
        self._answer()

    async def unmount_volume(self, volume_id: str) -> None:
        self._answer()

    async def attach_disk(self, instance_id: str, disk: Disk) -> None:
        self._answer()
        if instance_id not in self.running or instance_id in self.stopped:
            raise HostError(f"LookupError: instance {instance_id} does not run")
        self.disks[instance_id][disk.device] = disk.volume_id

    async def detach_disk(self, instance_id: str, disk: Disk, *, force: bool = False) -> None:
        self._answer()
        if disk.volume_id in self.mounted and not force:
            raise HostError(f"InUse: {disk.volume_id} is mounted in {instance_id}")
        self.mounted.discard(disk.volume_id)
        self.disks.get(instance_id, {}).pop(disk.device, None)

    def _answer(self) -> None:
        if self.away:
            raise HostUnavailable("the host driver does not answer")
