"""The runtime of Fargate's tasks, put together. See the package's docstring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from dryport.agent.runtime.cgroups import Cgroups
from dryport.agent.runtime.containerd import k8s_log, rootfs
from dryport.agent.runtime.containerd.client import Client
from dryport.agent.runtime.containerd.conmon import Runc
from dryport.agent.runtime.containerd.container import Container, Record
from dryport.agent.runtime.containerd.images import Images
from dryport.agent.runtime.containerd.launch import Launcher
from dryport.agent.runtime.containerd.watch import Watch
from dryport.agent.runtime.image_gc import Cleanup, Collector
from dryport.agent.runtime.interface import (
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ExecResult,
    Exited,
    Image,
    LogLine,
    RegistryAuth,
    RuntimeFailure,
)
from dryport.agent.runtime.processes import signal_number

_LOG_DRIVERS = ("", "none")


class ContainerdRuntime:
    """``Runtime`` on containerd, conmon and runc. Its directory is ``home``; one process at a time may use it."""

    name = "containerd"
    sandboxes = None

    def __init__(self, home: Path, socket: Path, registries: Path, cleanup: Cleanup) -> None:
        self._home = home
        self._client = Client(socket)
        self._images = Images(self._client, registries)
        self._cgroups = Cgroups()
        for name in ("containers", "exits", "runc"):
            (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._runc = Runc(home / "runc", home / "exits")
        self._containers: dict[str, Container] = {}
        self._watch = Watch(home / "exits", self._cgroups)
        self._launcher = Launcher(self._runc, self._containers, self._watch)
        used = home / "images-used.json"
        self._collector = Collector(used, self._images.ids, self._images.forget, self._images_used, cleanup)
        self._starts: set[asyncio.Task[ContainerState]] = set()
        self._opened: asyncio.Task[None] | None = None

    async def ping(self) -> str:
        """See ``Runtime``."""
        return await self._client.version()

    async def bridge(self) -> str:
        """See ``Runtime``."""
        return ""

    async def pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        """See ``Runtime``."""
        await self._open()
        image = await self._images.pull(reference, auth)
        found = await self._images.find(reference)
        if found is not None:
            self._collector.used(found.id)
        return image

    async def image(self, reference: str) -> Image | None:
        """See ``Runtime``."""
        found = await self._images.find(reference)
        return None if found is None else found.image

    async def load(self, reference: str, digest: str, root: Path, argv: list[str]) -> Image:
        """See ``Runtime``."""
        return self._images.load(reference, digest, root, argv)

    async def create(self, spec: ContainerSpec) -> None:
        """See ``Runtime``."""
        await self._open()
        if spec.id in self._containers:
            return
        _refuse(spec)
        unpacked = await self._images.find(spec.image)
        if unpacked is None:
            raise RuntimeFailure("CannotCreateContainerError", f"No such image: {spec.image}")
        self._collector.used(unpacked.id)
        layers = await self._images.layers(unpacked.chain)
        if spec.id in self._containers:
            return
        home = self._home / "containers" / spec.id
        try:
            container = Container.make(home, Record(spec=spec, unpacked=unpacked, layers=layers))
            self._containers[spec.id] = container
            async with container.lock:
                await self._launcher.create(container)
        except BaseException as error:
            self._containers.pop(spec.id, None)
            await rootfs.remove(home)
            if isinstance(error, OSError):  # a full disk, for one
                raise RuntimeFailure("CannotCreateContainerError", str(error)) from error
            raise

    async def start(self, id: str) -> ContainerState:
        """See ``Runtime``."""
        container = await self._existing(id)
        # A caller that gives up does not leave it half started.
        starting = asyncio.create_task(self._start(container))
        self._starts.add(starting)
        starting.add_done_callback(self._starts.discard)
        return await asyncio.shield(starting)

    async def signal(self, id: str, signal: str) -> None:
        """See ``Runtime``."""
        number = signal_number(signal)
        container = await self._existing(id)
        if container.running and container.started is not None:
            container.started.process.signal(number)

    async def remove(self, id: str) -> None:
        """See ``Runtime``."""
        await self._open()
        container = self._containers.get(id)
        if container is None:
            return
        async with container.lock:
            await self._launcher.destroy(container)
            self._watch.forget(container)
            self._cgroups.remove(container.cgroup)
            await rootfs.remove(container.home)
            (self._home / "exits" / id).unlink(missing_ok=True)
            self._containers.pop(id, None)
            container.wake()

    async def inspect(self, id: str) -> ContainerState | None:
        """See ``Runtime``."""
        await self._open()
        container = self._containers.get(id)
        return None if container is None else container.state()

    async def containers(self) -> list[ContainerState]:
        """See ``Runtime``."""
        await self._open()
        return [container.state() for container in self._containers.values()]

    async def exits(self) -> AsyncIterator[Exited]:
        """See ``Runtime``. Begins with those that have ended already."""
        await self._open()
        async for ended in self._watch.exits(list(self._containers.values())):
            yield ended

    async def execute(self, id: str, argv: list[str], timeout: float) -> ExecResult:
        """See ``Runtime``."""
        container = await self._existing(id)
        if not container.running:
            raise RuntimeFailure("ContainerNotRunning", f"Container {id} is not running")
        return await self._launcher.execute(container, argv, timeout, self._cgroups)

    async def logs(self, id: str, cursor: str = "", *, follow: bool = False) -> AsyncIterator[LogLine]:
        """See ``Runtime``."""
        container = await self._existing(id)

        def ended() -> bool:
            return container.ended is not None or id not in self._containers

        async for line in k8s_log.read(container.home, cursor, ended, container.changed if follow else None):
            yield line

    async def stats(self, id: str) -> ContainerStats | None:
        """See ``Runtime``."""
        await self._open()
        container = self._containers.get(id)
        if container is None or container.started is None or container.ended is not None:
            return None
        return self._cgroups.stats(container.cgroup, container.started.process.pid, time.time())

    async def close(self) -> None:
        """See ``Runtime``."""
        if self._opened is not None:
            self._opened.cancel()
        await self._collector.close()
        await self._watch.close()
        await self._images.close()
        self._client.close()

    async def _start(self, container: Container) -> ContainerState:
        async with container.lock:
            if not container.running:
                await self._launcher.start(container)
            return container.state()

    async def _existing(self, id: str) -> Container:
        await self._open()
        if id not in self._containers:
            raise RuntimeFailure("NoSuchContainer", f"No such container: {id}")
        return self._containers[id]

    async def _open(self) -> None:
        """Find the containers that are there, once."""
        if self._opened is None:
            self._opened = asyncio.create_task(self._find_all())
        await asyncio.shield(self._opened)

    async def _find_all(self) -> None:
        self._watch.begin()
        for home in sorted((self._home / "containers").iterdir()):
            container = Container.load(home)
            if container is None:
                await rootfs.remove(home)  # its making was cut short, before it could run
                continue
            self._containers[container.id] = container
            await self._launcher.adopt(container)
        self._collector.begin()

    async def _images_used(self) -> set[str]:
        return {container.record.unpacked.id for container in self._containers.values()}


def _refuse(spec: ContainerSpec) -> None:
    """Name what this runtime has no means for."""
    refused = ""
    if spec.network in ("bridge", "default"):
        refused = f"network mode {spec.network}"
    elif spec.links:
        refused = "links"
    elif spec.log_driver not in _LOG_DRIVERS:
        refused = f"log driver {spec.log_driver}"
    elif not spec.id or "/" in spec.id or spec.id.startswith("."):
        refused = f"container id {spec.id!r}"
    if refused:
        raise RuntimeFailure("CannotCreateContainerError", f"the containerd runtime does not do {refused}")
