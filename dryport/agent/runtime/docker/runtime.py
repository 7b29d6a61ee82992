"""``Runtime`` on Docker Engine."""

from __future__ import annotations

import asyncio
import io
import os
import signal as signals
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from aiodocker.containers import DockerContainer
from aiodocker.exceptions import DockerError

from dryport.agent.runtime import identities, pull_errors
from dryport.agent.runtime.docker import logs
from dryport.agent.runtime.docker.connection import AWAY, Connection, failures
from dryport.agent.runtime.docker.pause import IMAGE, Pauses
from dryport.agent.runtime.docker.spec import ID_LABEL, INSTANCE_LABEL, create_body, gpu_config, network_bindings
from dryport.agent.runtime.docker.untracked import Untracked
from dryport.agent.runtime.image_gc import Cleanup, Collector
from dryport.agent.runtime.interface import (
    PROXY_IMAGE,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ExecResult,
    Exited,
    Image,
    LogLine,
    PullError,
    RegistryAuth,
    RuntimeFailure,
)
from dryport.agent.runtime.oci import users
from dryport.agent.runtime.processes import session
from dryport.agent.runtime.pulls import SharedPulls

OUTPUT_LIMIT = 4096  # bytes of a command's output that are kept
_LARGEST_FILE = 4 << 20  # bytes that are read of a container's passwd and group
_RETRY = 0.5  # seconds between attempts to hear events while the daemon is away
_STATUSES = {"created": "created", "running": "running", "paused": "running", "restarting": "running"}


class DockerRuntime:
    """Runs containers on one Docker daemon. Its own are told by a label that holds ``instance_id``."""

    name = "docker"

    def __init__(
        self, home: Path, socket: str, *, instance_id: str, cleanup: Cleanup, exclude_ipv6: bool, nvidia_runtime: str
    ) -> None:
        self._connection = Connection(socket)
        self._label = f"{INSTANCE_LABEL}={instance_id}"
        self._instance_id = instance_id
        self.sandboxes = Pauses(self._connection, self, instance_id)
        self._pulls = SharedPulls(self._pull)
        self._exclude_ipv6 = exclude_ipv6
        self._nvidia_runtime = nvidia_runtime
        used = home / "images-used.json"
        own = (IMAGE, f"{PROXY_IMAGE}:latest")
        untracked = Untracked(self._connection, (*cleanup.excluded, *own), _time)
        self._collector = Collector(
            used, self._images, self._remove_image, self._images_in_use, cleanup, untracked=untracked
        )

    async def ping(self) -> str:
        """See ``Runtime``."""
        with failures("DockerTimeoutError"):
            return str((await self._connection.docker.version())["Version"])

    async def bridge(self) -> str:
        """See ``Runtime``."""
        options: dict[str, Any] = {}
        with failures("DockerTimeoutError", missing_ok=True):  # dockerd may run without it
            found = await (await self._connection.docker.networks.get("bridge")).show()
            options = found.get("Options") or {}
        return str(options.get("com.docker.network.bridge.name", ""))

    async def pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        """See ``Runtime``."""
        return await self._pulls.pull(reference, auth)

    async def image(self, reference: str) -> Image | None:
        """See ``Runtime``."""
        try:
            return _image(reference, await self._connection.docker.images.inspect(reference))
        except DockerError as error:
            if error.status == 404:
                return None
            raise RuntimeFailure("DockerTimeoutError", error.message) from error
        except AWAY as error:
            raise RuntimeFailure("DockerTimeoutError", f"Could not reach the Docker daemon: {error}") from error

    async def load(self, reference: str, digest: str, root: Path, argv: list[str]) -> Image:
        """See ``Runtime``. Its tag tells whether Docker has this very one."""
        found = await self.image(f"{reference}:{digest[7:23]}")
        if found is None:
            archive = await asyncio.to_thread(_archive, root)
            entry_point = f"ENTRYPOINT {msgspec.json.encode(argv).decode()}"
            await self._connection.load(reference, digest[7:23], archive, entry_point)
            found = await self.image(f"{reference}:{digest[7:23]}")
        if found is None:
            raise RuntimeFailure("CannotPullContainerError", f"{reference} was removed while it was loaded")
        with failures("CannotPullContainerError"):
            await self._connection.docker.images.tag(f"{reference}:{digest[7:23]}", reference, tag="latest")
        return found

    async def create(self, spec: ContainerSpec) -> None:
        """See ``Runtime``."""
        body = create_body(spec, self._instance_id)
        if spec.gpus:
            body["HostConfig"] |= gpu_config(spec.gpus, self._nvidia_runtime, await self._runtimes())
        self._collector.begin()
        try:
            await self._connection.docker.containers.create(body, name=spec.id)
        except DockerError as error:
            if error.status != 409 or await self.inspect(spec.id) is None:
                message = f"Error response from daemon: {error.message}"
                raise RuntimeFailure("CannotCreateContainerError", message) from error
        except AWAY as error:
            raise RuntimeFailure("DockerTimeoutError", f"Could not reach the Docker daemon: {error}") from error
        if any(mount.as_user is not None for mount in spec.mounts):
            passwd, group = [await self._read(spec.id, f"/etc/{name}") for name in ("passwd", "group")]
            identity = users.resolve(spec.user, passwd, group)
            await asyncio.to_thread(identities.prepare, spec.id, spec.mounts, identity)

    async def start(self, id: str) -> ContainerState:
        """See ``Runtime``."""
        with failures("CannotStartContainerError", conflict_ok=True):
            await self._container(id).start()
        state = await self.inspect(id)
        if state is None:
            raise RuntimeFailure("NoSuchContainer", f"No such container: {id}")
        return state

    async def signal(self, id: str, signal: str) -> None:
        """See ``Runtime``."""
        with failures("CannotStopContainerError", conflict_ok=True):
            await self._container(id).kill(signal=signal)

    async def remove(self, id: str) -> None:
        """See ``Runtime``. Its anonymous volumes go too."""
        with failures("CannotRemoveContainerError", missing_ok=True):
            await self._container(id).delete(force=True, v=True)

    async def inspect(self, id: str) -> ContainerState | None:
        """See ``Runtime``."""
        found = await self._show(id)
        return None if found is None else _state(found, exclude_ipv6=self._exclude_ipv6)

    async def containers(self) -> list[ContainerState]:
        """See ``Runtime``."""
        with failures("DockerTimeoutError"):
            found = await self._connection.docker.containers.list(all=True, filters={"label": [self._label]})
        states = [await self.inspect(container["Labels"][ID_LABEL]) for container in found]
        return [state for state in states if state is not None]

    async def exits(self) -> AsyncIterator[Exited]:
        """See ``Runtime``. Begins with those that have ended already, and again after each of Docker's restarts."""
        while True:
            with suppress(*AWAY, DockerError, RuntimeFailure):
                async for docker_id in self._connection.ends(self._label):
                    states = [await self.inspect(docker_id)] if docker_id else await self.containers()
                    for state in states:
                        if state is not None and state.status == "exited":
                            yield _exited(state)
            await asyncio.sleep(_RETRY)

    async def execute(self, id: str, argv: list[str], timeout: float) -> ExecResult:
        """See ``Runtime``."""
        with failures("CannotExecError"):
            command = await self._container(id).exec(argv)
            try:
                async with asyncio.timeout(timeout):
                    kept = b""
                    async with command.start() as stream:
                        while (message := await stream.read_out()) is not None:
                            kept = (kept + message.data)[:OUTPUT_LIMIT]
                    while True:
                        seen = await command.inspect()
                        if not seen["Running"]:
                            return ExecResult(exit_code=int(seen["ExitCode"]), output=kept)
                        await asyncio.sleep(0.01)
            except TimeoutError:
                # Docker has no verb for it; the agent is on the same host.
                seen = await command.inspect()
                _kill_session(int(seen.get("Pid") or 0))
                timed_out = True
        assert timed_out
        raise TimeoutError(f"the command did not end within {timeout} seconds")

    async def logs(self, id: str, cursor: str = "", *, follow: bool = False) -> AsyncIterator[LogLine]:
        """See ``Runtime``."""
        found = await self._show(id)
        if found is None:
            raise RuntimeFailure("NoSuchContainer", f"No such container: {id}")

        async def running() -> bool:
            try:
                state = await self.inspect(id)
            except RuntimeFailure:
                return True  # unknown while the daemon is away
            return state is not None and state.status != "exited"

        lines = logs.read(
            self._connection, id, cursor, follow=follow, terminal=bool(found["Config"]["Tty"]), running=running
        )
        async for line in lines:
            yield line

    async def stats(self, id: str) -> ContainerStats | None:
        """See ``Runtime``."""
        state = await self.inspect(id)
        if state is None or state.status != "running":
            return None
        with failures("DockerTimeoutError"):
            return _stats(await self._connection.counters(id), time.time())

    async def close(self) -> None:
        """See ``Runtime``."""
        await self._collector.close()
        await self._connection.close()

    async def _pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        credentials = None if auth is None else {"username": auth.username, "password": auth.password}
        digest = ""
        try:
            async for step in self._connection.docker.images.pull(reference, auth=credentials, stream=True):
                status = str(step.get("status", ""))
                if status.startswith("Digest: "):
                    digest = status.removeprefix("Digest: ")
            seen = await self._connection.docker.images.inspect(reference)
        except DockerError as error:
            message = f"Error response from daemon: {error.message}"
            raise PullError(message, retryable=pull_errors.transient(message)) from error
        except AWAY as error:
            raise PullError(f"Could not reach the Docker daemon: {error}", retryable=True) from error
        self._collector.used(seen["Id"])
        return _image(reference, seen, digest)

    async def _runtimes(self) -> set[str]:
        with failures("CannotCreateContainerError"):
            return set((await self._connection.docker.system.info()).get("Runtimes") or ())

    def _container(self, id: str) -> DockerContainer:
        return self._connection.docker.containers.container(id)

    async def _read(self, id: str, path: str) -> str:
        """A file of a container that may not run yet; "" where there is none."""
        with suppress(DockerError):
            archive = await self._container(id).get_archive(path)
            member = archive.next()
            file = archive.extractfile(member) if member is not None and member.isfile() else None
            return file.read(_LARGEST_FILE).decode(errors="replace") if file is not None else ""
        return ""

    async def _show(self, id: str) -> dict[str, Any] | None:
        """What Docker knows of one of our containers; another's of the same name is none."""
        found: dict[str, Any] | None = None
        with failures("DockerTimeoutError", missing_ok=True):
            found = await self._container(id).show()
        if found is not None and found["Config"]["Labels"].get(INSTANCE_LABEL) != self._instance_id:
            return None
        return found

    async def _images(self) -> list[str]:
        with failures("DockerTimeoutError"):
            return [image["Id"] for image in await self._connection.docker.images.list()]

    async def _images_in_use(self) -> set[str]:
        with failures("DockerTimeoutError"):
            listed = await self._connection.docker.containers.list(all=True)
            return {container["ImageID"] for container in listed}

    async def _remove_image(self, id: str) -> None:
        with failures("CannotRemoveImageError", missing_ok=True, conflict_ok=True):
            # By its names: Docker refuses to delete one that has several by its id.
            names = (await self._connection.docker.images.inspect(id)).get("RepoTags") or [id]
            for name in names:
                await self._connection.docker.images.delete(name, force=False)


def _state(found: dict[str, Any], *, exclude_ipv6: bool) -> ContainerState:
    state = found["State"]
    status = _STATUSES.get(state["Status"], "exited")
    labels = {
        name: value for name, value in found["Config"]["Labels"].items() if name not in (ID_LABEL, INSTANCE_LABEL)
    }
    over = status == "exited"
    started, finished = _time(state["StartedAt"]), _time(state["FinishedAt"])
    if over and started is not None and finished is not None:
        finished = max(started, finished)  # Docker notes a start only after it, and so may note a quick end before it
    return ContainerState(
        id=found["Config"]["Labels"][ID_LABEL],
        status=status,
        labels=labels,
        pid=state["Pid"] or None,
        exit_code=state["ExitCode"] if over else None,
        out_of_memory=bool(state["OOMKilled"]) if over else False,
        error=state["Error"],
        started_at=started,
        finished_at=finished if over else None,
        network_bindings=network_bindings(found["NetworkSettings"].get("Ports"), exclude_ipv6=exclude_ipv6),
        address=str(((found["NetworkSettings"].get("Networks") or {}).get("bridge") or {}).get("IPAddress") or ""),
    )


def _exited(state: ContainerState) -> Exited:
    return Exited(
        id=state.id,
        exit_code=state.exit_code or 0,
        at=state.finished_at or time.time(),
        out_of_memory=state.out_of_memory,
    )


def _archive(root: Path) -> bytes:
    """A directory as a tar archive, all of it root's."""
    archive = io.BytesIO()

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        return member

    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(root, arcname=".", filter=owned)
    return archive.getvalue()


def _time(text: str) -> float | None:
    """Docker's time stamp; its zero (year 1) is none."""
    if text.startswith("0001-"):
        return None
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _image(reference: str, found: dict[str, Any], digest: str = "") -> Image:
    config = found.get("Config") or {}
    name = reference.partition("@")[0]
    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    for each in found.get("RepoDigests") or ():
        where, _, its = each.partition("@")
        if where == repository and not digest:
            digest = its
    return Image(
        reference=reference,
        digest=digest or found["Id"],
        entry_point=list(config.get("Entrypoint") or []),
        command=list(config.get("Cmd") or []),
        environment=dict(item.split("=", 1) for item in config.get("Env") or [] if "=" in item),
        working_directory=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        volumes=sorted(config.get("Volumes") or {}),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        health_check=config.get("Healthcheck"),
        labels=dict(config.get("Labels") or {}),
    )


def _stats(counters: dict[str, Any], at: float) -> ContainerStats:
    """Docker's counters; memory without the cache that the kernel would give back, as ``docker stats`` shows it."""
    memory, cpu = counters.get("memory_stats") or {}, counters["cpu_stats"]
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = (counters.get("networks") or {}).values()
    blocks = (counters.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    moved = {kind: sum(int(row["value"]) for row in blocks if row["op"].lower() == kind) for kind in ("read", "write")}
    return ContainerStats(
        at=at,
        cpu_seconds=cpu["cpu_usage"]["total_usage"] / 1e9,
        online_cpus=int(cpu.get("online_cpus") or os.cpu_count() or 1),
        memory=max(0, memory.get("usage", 0) - cache),
        memory_limit=memory.get("limit", 0),
        received_bytes=sum(each["rx_bytes"] for each in networks),
        sent_bytes=sum(each["tx_bytes"] for each in networks),
        received_packets=sum(each["rx_packets"] for each in networks),
        sent_packets=sum(each["tx_packets"] for each in networks),
        read_bytes=moved["read"],
        written_bytes=moved["write"],
    )


def _kill_session(leader: int) -> None:
    if leader:
        everyone = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        for pid in {leader, *session(everyone, leader)}:
            with suppress(ProcessLookupError):
                os.kill(pid, signals.SIGKILL)
