"""Sees containers end and logs grow, without polling: a pidfd for each conmon, inotify on their directories."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from asyncinotify import Inotify, Mask
from asyncinotify import Watch as InotifyWatch

from dryport.agent.runtime.cgroups import Cgroups
from dryport.agent.runtime.containerd import k8s_log
from dryport.agent.runtime.containerd.container import Container, Ended
from dryport.agent.runtime.interface import Exited


class Watch:
    """Watches started containers. ``exits`` is where conmon leaves exit codes."""

    def __init__(self, exits: Path, cgroups: Cgroups) -> None:
        self._exits = exits
        self._cgroups = cgroups
        self._handles: dict[str, int] = {}
        self._subscribers: set[asyncio.Queue[Exited]] = set()
        self._inotify: Inotify | None = None
        self._watches: dict[str, InotifyWatch] = {}
        self._by_home: dict[Path, Container] = {}
        self._reading: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start looking at logs."""
        self._inotify = Inotify()
        self._reading = asyncio.create_task(self._read_logs(self._inotify))

    def add(self, container: Container) -> None:
        """Watch a container that has been started; one that has ended meanwhile is noticed at once."""
        assert container.started is not None
        assert self._inotify is not None
        self._by_home[container.home] = container
        self._watches[container.id] = self._inotify.add_watch(container.home, Mask.MODIFY | Mask.MOVED_TO)
        k8s_log.keep_segments(container.home)
        handle = container.started.monitor.open()
        if handle is None:
            self._ended(container)
            return
        self._handles[container.id] = handle
        asyncio.get_running_loop().add_reader(handle, self._ended, container)

    def forget(self, container: Container) -> None:
        """Look no longer."""
        handle = self._handles.pop(container.id, None)
        if handle is not None:
            asyncio.get_running_loop().remove_reader(handle)
            os.close(handle)
        watch = self._watches.pop(container.id, None)
        if watch is not None and self._inotify is not None:
            with suppress(OSError):
                self._inotify.rm_watch(watch)
        self._by_home.pop(container.home, None)

    async def exits(self, containers: list[Container]) -> AsyncIterator[Exited]:
        """Ends: first of those of ``containers`` that have ended, then as they happen."""
        queue: asyncio.Queue[Exited] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            for container in containers:
                if container.ended is not None:
                    yield _exited(container.id, container.ended)
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)

    async def close(self) -> None:
        """Let go of everything; containers go on."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        for container in list(self._by_home.values()):
            self.forget(container)
        if self._inotify is not None:
            self._inotify.close()

    def _ended(self, container: Container) -> None:
        """conmon has gone: the exit code is in its file, or conmon was killed and the container has to follow it."""
        self.forget(container)
        k8s_log.keep_segments(container.home)
        if container.ended is not None or container.started is None:
            return
        error = ""
        file = self._exits / container.id
        try:
            code, at = int(file.read_text()), file.stat().st_mtime
        except (FileNotFoundError, ValueError):
            container.started.process.signal(signal.SIGKILL)
            code, at, error = 137, time.time(), "the container's monitor ended"
        if container.record.spec.pid_mode:
            # Without a process namespace of its own the kernel does not end the first process's children with it.
            for pid in self._cgroups.processes(container.cgroup):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        killed = self._cgroups.oom_kills(container.cgroup) > 0
        ended = container.set_ended(Ended(exit_code=code, at=at, out_of_memory=killed, error=error))
        for queue in self._subscribers:
            queue.put_nowait(_exited(container.id, ended))

    async def _read_logs(self, inotify: Inotify) -> None:
        async for event in inotify:
            if event.watch is None or event.name is None or event.name.name != "log":
                continue
            container = self._by_home.get(Path(event.watch.path))
            if container is None:
                continue
            if event.mask & Mask.MOVED_TO:
                k8s_log.keep_segments(container.home)
            container.wake()


def _exited(id: str, ended: Ended) -> Exited:
    return Exited(id=id, exit_code=ended.exit_code, at=ended.at, out_of_memory=ended.out_of_memory)
