"""Starting, finding again and destroying one container."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from dryport.agent.runtime import identities
from dryport.agent.runtime.cgroups import Cgroups
from dryport.agent.runtime.containerd import k8s_log, rootfs, volumes
from dryport.agent.runtime.containerd.conmon import Runc
from dryport.agent.runtime.containerd.container import Container, Started, write
from dryport.agent.runtime.containerd.watch import Watch
from dryport.agent.runtime.interface import ContainerSpec, ExecResult, Mount, RuntimeFailure
from dryport.agent.runtime.oci import devices, seccomp, users
from dryport.agent.runtime.oci import spec as oci
from dryport.agent.runtime.processes import Process, process, session

_END = 5.0  # seconds that conmon may take to note the end of a killed process
OUTPUT_LIMIT = 4096  # bytes of a command's output that are kept
# Runc is bound by the processors, and in the kernel for milliseconds: what serves meanwhile needs one that is free.
_AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
_INITS = ("/usr/bin/docker-init", "/usr/bin/tini", "/usr/bin/catatonit")


class Launcher:
    """Runs containers through ``runc``; ``containers`` are all of this machine (to share namespaces with)."""

    def __init__(self, runc: Runc, containers: Mapping[str, Container], watch: Watch) -> None:
        self._runc = runc
        self._containers = containers
        self._watch = watch
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting: dict[str, Process] = {}  # first processes that wait for ``start``

    async def create(self, container: Container) -> None:
        """Have a process wait in the container, all set up, for ``start``. Raises RuntimeFailure.

        Most of a launch's time goes here, so it is done while the task's network is being made. Where the container
        shares another one's namespaces, which may not be there yet, ``start`` does it.
        """
        spec = container.record.spec
        if not any(mode.startswith("container:") for mode in (spec.network, spec.pid_mode, spec.ipc_mode)):
            async with self._places:
                await self._create(container)

    async def start(self, container: Container) -> None:
        """Start a container that does not run. Raises RuntimeFailure; one that had ended is then as it was."""
        before, first = container.ended, self._waiting.pop(container.id, None)
        if first is None or not first.alive():
            async with self._places:
                if (container.home / "config.json").exists():
                    await self._clear(container)  # what an earlier run, or an attempt that was cut short, left
                try:
                    first = await self._create(container)
                except BaseException:
                    if before is not None:
                        container.set_ended(before)
                    raise
        at = time.time()
        try:
            await self._runc.start(container.id, first)
        except BaseException:
            await self._runc.delete(container.id)
            if before is not None:
                container.set_ended(before)
            raise
        finally:
            self._waiting.pop(container.id, None)
        self._started(container, first, at)

    async def _create(self, container: Container) -> Process:
        spec = container.record.spec
        try:
            await self._prepare(container)
            pid = await self._runc.create(
                container.id,
                container.home,
                terminal=spec.terminal,
                interactive=spec.interactive,
                keep_log=spec.log_driver != "none",
            )
        except BaseException as error:
            await self._runc.delete(container.id)
            if isinstance(error, OSError):  # a full disk, for one
                raise RuntimeFailure("CannotStartContainerError", str(error)) from error
            raise
        first = self._waiting[container.id] = process(pid)
        return first

    async def _clear(self, container: Container) -> None:
        await self._runc.delete(container.id)
        self._runc.forget(container.id, container.home)
        k8s_log.end_lines(container.home)
        container.reset()

    async def adopt(self, container: Container) -> None:
        """Find out what became of a container while no agent was here."""
        if container.ended is not None:
            return
        if container.started is not None:
            self._watch.add(container)
            return
        if not (container.home / "conmon.pid").exists():
            return  # never started
        status, pid = await self._runc.status(container.id)
        if status == "created" or self._runc.waits(container.id):
            # The agent ended between making and starting it: the engine will start it again, from the beginning.
            await self._runc.delete(container.id)
        elif status:
            written = (container.home / "conmon.pid").stat().st_mtime
            self._started(container, process(pid), written)

    async def destroy(self, container: Container) -> None:
        """Kill what runs of a container, and wait until conmon has gone too."""
        self._waiting.pop(container.id, None)
        if container.started is not None and container.ended is None:
            # First ours, since ``runc delete --force`` looks only every 100 ms whether what it killed is gone.
            container.started.process.signal(signal.SIGKILL)
            with suppress(TimeoutError):
                async with asyncio.timeout(_END):
                    while container.ended is None:
                        await container.changed()
        if not (container.home / "config.json").exists():
            return  # never started
        await self._runc.delete(container.id)
        monitor = container.started.monitor if container.started else _monitor(container.home)
        if monitor is not None:
            monitor.signal(signal.SIGKILL)

    async def execute(self, container: Container, argv: list[str], timeout: float, cgroups: Cgroups) -> ExecResult:
        """See ``Runtime.execute``."""
        config = msgspec.json.decode((container.home / "config.json").read_bytes())
        name = f"exec-{time.monotonic_ns()}"
        process_file, pid_file = container.home / f"{name}.json", container.home / f"{name}.pid"
        write(process_file, {**config["process"], "args": argv, "terminal": False})
        child = await asyncio.create_subprocess_exec(
            *self._runc.exec_arguments(container.id, process_file, pid_file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(timeout):
                output = await _read(child)
                return ExecResult(exit_code=await child.wait(), output=output)
        finally:
            if child.returncode is None:
                # With its children: they would keep the pipe, and go on for nobody.
                with suppress(FileNotFoundError, ValueError):
                    leader = int(pid_file.read_text())
                    for pid in session(cgroups.processes(container.cgroup), leader):
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
            for file in (process_file, pid_file):
                file.unlink(missing_ok=True)

    async def _prepare(self, container: Container) -> None:
        """Mount the root and write what runc is told."""
        record = container.record
        image = record.unpacked.image
        root = await rootfs.prepare(container.home, record.layers, record.spec.root_size)
        spec = _with_files(container)
        if any(mount.as_user is not None for mount in spec.mounts):
            identity = users.of_image(spec.user or image.user, root)
            await asyncio.to_thread(identities.prepare, container.id, spec.mounts, identity)
            spec = msgspec.structs.replace(spec, mounts=identities.located(container.id, spec.mounts))
        if image.volumes or any(mount.fill for mount in spec.mounts):
            mounts = await asyncio.to_thread(volumes.prepare, container.home, root, spec.mounts, image.volumes)
            spec = msgspec.structs.replace(spec, mounts=mounts)
        write(container.home / "config.json", oci.build(spec, image, self._surroundings(container, root)))

    def _started(self, container: Container, first: Process, at: float) -> None:
        monitor = _monitor(container.home) or Process(pid=0, ticks=0)
        container.set_started(Started(process=first, monitor=monitor, at=at))
        self._watch.add(container)

    def _surroundings(self, container: Container, root: Path) -> oci.Surroundings:
        spec = container.record.spec
        user = spec.user or container.record.unpacked.image.user
        granted = frozenset(oci.capabilities(spec))
        match spec.ipc_mode.partition(":"):
            case ("none", _, _):
                shm = ""
            case ("host", _, _):
                shm = "/dev/shm"
            case ("container", _, _):
                shm = str(self._joined(spec.ipc_mode).home / rootfs.SHM)
            case _:
                shm = rootfs.shared_memory(container.home, spec.resources.shm_size)
        identity = users.of_image(user, root)
        given = identities.groups(spec.mounts).values()  # for file systems that it uses as another user
        return oci.Surroundings(
            root=str(root),
            identity=msgspec.structs.replace(identity, additional=[*identity.additional, *given]),
            network="" if spec.network == "none" else self._namespace(spec.network, "net"),
            pid=self._namespace(spec.pid_mode, "pid"),
            ipc="" if spec.ipc_mode in ("none", "private", "shareable") else self._namespace(spec.ipc_mode, "ipc"),
            shm=shm,
            init=_init() if spec.init else "",
            devices=devices.of_host() if spec.privileged else devices.of_spec(spec.devices),
            seccomp=None if spec.privileged else seccomp.default(granted),
        )

    def _namespace(self, mode: str, kind: str) -> str:
        if not mode.startswith("container:"):
            return mode
        started = self._joined(mode).started
        assert started is not None
        return f"/proc/{started.process.pid}/ns/{kind}"

    def _joined(self, mode: str) -> Container:
        other = self._containers.get(mode.removeprefix("container:"))
        if other is None or not other.running:
            raise RuntimeFailure("CannotStartContainerError", f"cannot join {mode}: that container is not running")
        return other


def _with_files(container: Container) -> ContainerSpec:
    """The specification with resolv.conf and hosts of its own, where it asks for some and mounts none."""
    spec = container.record.spec
    there = {mount.target for mount in spec.mounts}
    files = {
        "/etc/resolv.conf": [f"nameserver {server}" for server in spec.dns_servers]
        + ([f"search {' '.join(spec.dns_search)}"] if spec.dns_search else []),
        "/etc/hosts": [f"{entry['ipAddress']} {entry['hostname']}" for entry in spec.extra_hosts],
    }
    files["/etc/hosts"] = files["/etc/hosts"] and ["127.0.0.1 localhost", "::1 localhost", *files["/etc/hosts"]]
    added = []
    for target, lines in files.items():
        if lines and target not in there:
            file = container.home / Path(target).name
            file.write_text("".join(f"{line}\n" for line in lines))
            file.chmod(0o644)
            added.append(Mount(target=target, source=str(file)))
    return msgspec.structs.replace(spec, mounts=[*spec.mounts, *added]) if added else spec


def _monitor(home: Path) -> Process | None:
    try:
        found = process(int((home / "conmon.pid").read_text()))
        command = Path(f"/proc/{found.pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return found if str(home).encode() in command else None


def _init() -> str:
    for path in _INITS:
        if os.access(path, os.X_OK):
            return path
    raise RuntimeFailure("CannotStartContainerError", "this machine has no init for containers: apt-get install tini")


async def _read(child: asyncio.subprocess.Process) -> bytes:
    """What a command prints, cut; the rest is read and dropped, so that it does not block."""
    assert child.stdout is not None
    kept = b""
    while data := await child.stdout.read(65536):
        kept = (kept + data)[:OUTPUT_LIMIT]
    return kept
