"""Instances on this machine: made, booted, ended, found again by a driver that was killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import shutil
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from dryport.control.config import Config
from dryport.host import mounts
from dryport.host.instances import boot, devices, disks, groups, network
from dryport.host.instances.places import Place, Run, machine_boot, places
from dryport.host.messages import Console, Instance, Instances, InstanceState
from dryport.host.storage.volumes import Volumes

_GRACE = 40.0  # seconds that an orderly shutdown may take
_INSIST = 1.0  # seconds until it is asked for again
_CONSOLE = 64 << 10  # bytes that are read of a console
log = logging.getLogger("dryport.host")


class Provider:
    """The driver's verbs about instances. Different instances at the same time, one instance in order."""

    def __init__(self, config: Config, volumes: Volumes) -> None:
        self._volumes = volumes
        self._root = config.state_dir / "instances"
        self._prefix = f"dryport/{config.id}"
        self._namespaces = f"dp{config.id}-"
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._watched: dict[str, int] = {}  # by instance: the pidfd of its init
        self._rebooting: set[str] = set()
        self._gpus: dict[str, list[str]] = {}  # by instance
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Find what runs, and what ended while nobody looked."""
        for place in places(self._root):
            run = place.run()
            if run is None or run.ended_by:
                continue
            self._gpus[place.id] = run.gpus
            if not self._watch(place, run):
                await self._ended(place, run)

    async def close(self) -> None:
        """Let go of everything; the instances go on."""
        for task in list(self._tasks):
            task.cancel()
        for instance_id in list(self._watched):
            self._forget(instance_id)

    def group(self, instance_id: str) -> str:
        """The path of an instance's cgroup, in every hierarchy."""
        return f"{self._prefix}/{instance_id}"

    def pid(self, instance_id: str) -> int:
        """The process id of a running instance's init: the way into its namespaces. Raises LookupError."""
        run = Place(self._root, instance_id).run()
        if run is None or instance_id not in self._watched:
            raise LookupError(f"instance {instance_id} does not run")
        return run.pid

    @contextlib.asynccontextmanager
    async def holding(self, instance_id: str) -> AsyncIterator[Place]:
        """An instance's place, while no verb about it runs."""
        async with self._locks[instance_id]:
            yield Place(self._root, instance_id)

    def places(self) -> list[Place]:
        """Every instance that has a directory."""
        return places(self._root)

    async def ensure(self, instance: Instance) -> None:
        """Have it run. Raises BootFailed, NoDevice, LookupError, ValueError, OSError."""
        place = Place(self._root, instance.id)
        async with self._locks[instance.id]:
            run = place.run()
            if run is not None and run.boot >= instance.boot:
                return
            if run is not None and not run.ended_by:
                await self._end(place, run, force=False)
            place.prepare()
            place.remember(instance)
            await self._boot(place, instance)

    async def _boot(self, place: Place, instance: Instance) -> None:
        taken = {name for id, names in self._gpus.items() if id != place.id for name in names}
        wanted = devices.gpus(instance.gpus, taken)
        cards = self._gpus[place.id] = [each.name for each in wanted[: instance.gpus]]
        wanted += await asyncio.to_thread(self._disks, instance)
        root = self._volumes.file(instance.root)
        await asyncio.to_thread(self._prepare, place, instance, root, wanted)
        compiled = self._root / "templates" / "compiled"
        plan = await asyncio.to_thread(boot.plan, place, instance, root, self.group(instance.id), wanted, compiled)
        pid = await boot.boot(plan)
        run = Run(boot=instance.boot, pid=pid, started=_started(pid), machine_boot=machine_boot(), gpus=cards)
        place.note(run)
        if not self._watch(place, run):
            await self._ended(place, run)

    def _prepare(self, place: Place, instance: Instance, root: Path, wanted: list[devices.Device]) -> None:
        """Everything that a boot needs."""
        groups.delete(self.group(place.id))
        if place.run() is not None:
            network.clean(instance.namespace)
        network.set_up(instance.namespace, instance.interface)
        disks.await_unused(root)
        disks.fill(root)
        groups.create(self.group(place.id), instance.vcpus, instance.memory, wanted)

    def _disks(self, instance: Instance) -> list[devices.Device]:
        """The block devices of its volumes."""
        names = {disk.volume_id: devices.disk_name(disk.device).node for disk in instance.disks}
        return [devices.Device(name, "b", *self._volumes.device(each)) for each, name in names.items()]

    async def stop(self, instance_id: str, force: bool) -> None:
        """Shut it down, at once if ``force``; its network namespace goes. Raises OSError."""
        place = Place(self._root, instance_id)
        async with self._locks[instance_id]:
            run = place.run()
            if run is not None and not run.ended_by:
                await self._end(place, run, force)
            await asyncio.to_thread(self._clear, place)

    async def delete(self, instance_id: str) -> None:
        """Kill it and remove all that it had but its volumes. Raises OSError."""
        place = Place(self._root, instance_id)
        async with self._locks[instance_id]:
            run = place.run()
            if run is not None and not run.ended_by:
                await self._end(place, run, force=True)
            await asyncio.to_thread(self._clear, place)
            await asyncio.to_thread(_remove, place)
        self._changed.set()

    async def _end(self, place: Place, run: Run, force: bool) -> None:
        """Have its init end: it takes every process with it."""
        descriptor = self._watched.get(place.id)
        wanted = signal.SIGKILL if force else signal.SIGTERM
        if descriptor is not None and not await _end_by(descriptor, wanted):
            log.warning("instance %s did not shut down in time and is killed", place.id)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            await _gone(descriptor, _GRACE)
        self._forget(place.id)
        self._note_end(place, run, "killed" if force or place.said() not in ("shutdown", "reboot") else "shutdown")

    def _clear(self, place: Place) -> None:
        """Remove what only a run has: processes that are left, cgroups, the network namespace, mounts."""
        self._gpus.pop(place.id, None)
        groups.delete(self.group(place.id))
        # Also of one that never booted: plugging an interface in has made it.
        network.remove(f"{self._namespaces}{place.id}")
        instance = place.instance()
        mounts.unmount(place.filesystems)
        if instance is None:
            return
        for disk in instance.disks:
            self._volumes.release(disk.volume_id)
        if instance.root:
            disks.await_unused(self._volumes.file(instance.root))

    async def teardown(self) -> None:
        """End every instance at once and have no runs known."""
        here = places(self._root)
        await asyncio.gather(*(self.stop(place.id, force=True) for place in here))
        for place in here:
            place.forget_run()
        await asyncio.to_thread(groups.delete_empty, self._prefix)

    def list(self) -> Instances:
        """Every instance that there is."""
        return Instances(instances={place.id: self._state(place) for place in places(self._root)})

    def _state(self, place: Place) -> InstanceState:
        run = place.run()
        if run is None:
            return InstanceState(boot=0, running=False)
        running = place.id in self._watched
        if place.id in self._rebooting:
            return InstanceState(boot=run.boot, running=True)
        return InstanceState(
            boot=run.boot,
            running=running,
            ready=running and place.said() == "ready",
            pid=run.pid if running else 0,
            ended_by=run.ended_by,
        )

    async def await_end(self, running: Sequence[str]) -> Instances:
        """The instances, once one of those named no longer runs."""
        while all(each in self._watched or each in self._rebooting for each in running):
            self._changed.clear()
            await self._changed.wait()
        return self.list()

    def console(self, instance_id: str) -> Console:
        """The last of an instance's console. Raises LookupError where there is no such instance."""
        try:
            with Place(self._root, instance_id).console.open("rb") as file:
                status = os.fstat(file.fileno())
                file.seek(max(0, status.st_size - _CONSOLE))
                return Console(output=file.read(_CONSOLE), at=status.st_mtime)
        except FileNotFoundError:
            raise LookupError(f"there is no instance {instance_id}") from None

    def _watch(self, place: Place, run: Run) -> bool:
        """Be told of the end of a run; false where it has ended."""
        try:
            descriptor = os.pidfd_open(run.pid)
        except ProcessLookupError:
            return False
        if _started(run.pid) != run.started:  # another process has its number now
            os.close(descriptor)
            return False
        self._watched[place.id] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._notice, place, run)
        return True

    def _forget(self, instance_id: str) -> None:
        descriptor = self._watched.pop(instance_id, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def _notice(self, place: Place, run: Run) -> None:
        """An init has ended by itself, or was killed."""
        asyncio.get_running_loop().remove_reader(self._watched[place.id])
        task = asyncio.create_task(self._settle(place, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, place: Place, run: Run) -> None:
        async with self._locks[place.id]:
            if place.run() == run:
                self._forget(place.id)
                await self._ended(place, run)

    async def _ended(self, place: Place, run: Run) -> None:
        """Note an end, or boot again where it asked for that. The caller holds the lock or is alone."""
        said, instance = place.said(), place.instance()
        if said == "reboot" and instance is not None:
            self._rebooting.add(place.id)
            try:
                await self._boot(place, instance)
                return
            except Exception as error:
                log.error("instance %s does not come back after its reboot: %r", place.id, error)
            finally:
                self._rebooting.discard(place.id)
        self._note_end(place, run, "shutdown" if said == "shutdown" else "killed")

    def _note_end(self, place: Place, run: Run, by: str) -> None:
        self._gpus.pop(place.id, None)
        place.note(Run(boot=run.boot, pid=run.pid, started=run.started, machine_boot=run.machine_boot, ended_by=by))
        self._changed.set()


def _started(pid: int) -> int:
    """When a process began, in clock ticks since the machine's boot (proc(5)); -1 where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return -1
    return int(text.rpartition(")")[2].split()[19])


async def _end_by(pidfd: int, number: signal.Signals) -> bool:
    """Signal a process until it has ended; false if it has not in time. A young init does not hear the first one."""
    for _ in range(int(_GRACE / _INSIST)):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)
        if await _gone(pidfd, _INSIST):
            return True
    return False


async def _gone(pidfd: int, timeout: float) -> bool:
    """Wait until a process has ended; false if it has not within so many seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(await asyncio.to_thread(poll.poll, timeout * 1000))


def _remove(place: Place) -> None:
    if not place.directory.exists():
        return
    # What is mounted here is somebody's data: were a mount left, this would fail and not delete it.
    for directory in (*place.filesystems.iterdir(), place.filesystems):
        directory.rmdir()
    shutil.rmtree(place.directory)
