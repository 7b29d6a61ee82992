"""The proxies of this agent's tasks: their files, and what they are told while they run.

A proxy's directory holds its configuration, which always says what it was told last: whatever is killed, a proxy that
starts knows it. The sockets of a running one are there too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import defaultdict
from pathlib import Path

import msgspec

from dryport.agent.connect import haproxy, image, metrics, redirects, ways
from dryport.agent.connect.ways import Reached, Ways
from dryport.agent.engine.errors import RESOURCE, TaskFailure
from dryport.agent.engine.network import directory_of
from dryport.agent.model import TaskRecord
from dryport.agent.payload import Container, Task
from dryport.agent.runtime import ContainerState, Image, Mount, Runtime, RuntimeFailure
from dryport.agent.runtime.interface import PROXY_IMAGE
from dryport.agent.settings import Settings
from dryport.host.nft import NftError

log = logging.getLogger("dryport.agent")
_READY = 20.0  # seconds for a proxy to answer
_STEP = 0.02
_ANSWER = 5.0  # seconds for a reply
_AT_ONCE = 40  # commands in a line
_TRIES = 3


class Proxies:
    """Makes proxies and tells them things."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._counts: dict[str, dict[str, metrics.Counts]] = {}  # as they were when they were last told
        self._told: dict[str, haproxy.Slots] = {}  # by task id; what this agent knows that the proxy knows
        self._early: dict[str, Reached] = {}  # by task id; what came before there was a configuration

    def is_proxy(self, task: Task, container: Container) -> bool:
        """Whether a container is its task's proxy."""
        found = ways.of(task)
        return found is not None and found.container == container.name

    async def load(self) -> Image:
        """Have the proxies' image. Raises RuntimeFailure."""
        root, digest = await asyncio.to_thread(image.make, self._settings.state_dir / "service-connect")
        return await self._runtime.load(PROXY_IMAGE, digest, root, haproxy.argv())

    async def prepare(self, task: Task) -> None:
        """Write a new task's configuration; what is there stays. Raises OSError."""
        found = ways.of(task)
        if found is None:
            return
        async with self._locks[task.id]:
            if not (self._directory(task) / haproxy.CONFIGURATION).exists():
                reached = self._early.pop(task.id, found.reached)
                await asyncio.to_thread(self._begin, task, found, reached)

    def _begin(self, task: Task, found: Ways, reached: Reached) -> None:
        self._directory(task).mkdir(parents=True, mode=0o700, exist_ok=True)
        self._write(task, found, haproxy.assign({}, reached, haproxy.services(found)))

    def mounts(self, task: Task, container: Container) -> list[Mount]:
        """What a container sees of this: its proxy the directory, others nothing."""
        if not self.is_proxy(task, container):
            return []
        return [Mount(target=haproxy.DIRECTORY, source=str(self._directory(task)))]

    async def lead(self, record: TaskRecord) -> None:
        """Have the connections of a task with a network of its own go through its proxy. Raises TaskFailure."""
        found = ways.of(record.payload)
        interfaces = record.payload.elastic_network_interfaces or []
        if found is None:
            return
        try:
            if record.namespace and interfaces:
                rules = redirects.batch(found, interfaces[0].address)
                await asyncio.to_thread(redirects.put, record.namespace, rules)
            else:
                await self._lead_beside(record, found)
        except (OSError, NftError, RuntimeFailure) as error:
            raise TaskFailure(f"{RESOURCE}: Service Connect could not be set up: {error}") from error

    async def _lead_beside(self, record: TaskRecord, found: Ways) -> None:
        """On the bridge: lead to the proxy what containers send to aliases, and have it know where they are."""
        states = {name: await self._runtime.inspect(each.id) for name, each in record.containers.items()}
        addresses = {
            name: state.address for name, state in states.items() if state is not None and state.status == "running"
        }
        if not addresses.get(found.container):
            return  # it does not run yet; nothing else does
        rules = redirects.beside(found, record.payload.id, addresses[found.container])
        await asyncio.to_thread(redirects.put, "", rules)
        async with self._locks[record.payload.id]:
            await asyncio.to_thread(self._write, record.payload, found, self._slots(record.payload), addresses)
            await self._say(record.payload, haproxy.target_commands(found, addresses))

    async def started(self, record: TaskRecord, container: Container, state: ContainerState) -> None:
        """A container has been started: its proxy is waited for, and told of the others where it is not with them.

        Raises RuntimeFailure where it does not answer, TaskFailure.
        """
        task = record.payload
        try:
            if self.is_proxy(task, container):
                async with self._locks[task.id], asyncio.timeout(_READY):
                    await self._everything(task)
            if not record.namespace:
                await self.lead(record)
        except TimeoutError:
            message = "the Service Connect proxy does not answer"
            raise RuntimeFailure("CannotStartContainerError", message) from None

    async def tell(self, task: Task, reached: Reached) -> None:
        """Have a task's proxy lead to where its services are reached now."""
        found = ways.of(task)
        if found is None:
            return
        async with self._locks[task.id]:
            if not (self._directory(task) / haproxy.CONFIGURATION).exists():
                self._early[task.id] = reached
                return
            before = self._slots(task)
            after = haproxy.assign(before, reached, haproxy.services(found))
            try:
                await asyncio.to_thread(self._write, task, found, after)
            except FileNotFoundError:
                return  # the task has ended meanwhile
            grown = any(len(after[each]) != len(before.get(each, ())) for each in after)
            for _ in range(_TRIES):
                try:
                    await self._pass_on(task, found, after, grown=grown)
                    return
                except (FileNotFoundError, ConnectionRefusedError):
                    self._told.pop(task.id, None)
                    return  # it does not run: it will read what was written, and is told when it does
                except (OSError, TimeoutError) as error:
                    self._told.pop(task.id, None)
                    log.warning("the proxy of %s could not be told of a change: %r", task.arn, error)

    async def _pass_on(self, task: Task, found: Ways, slots: haproxy.Slots, *, grown: bool) -> None:
        """Have a proxy that runs know its slots; ``grown``: there are more of them. Raises OSError, TimeoutError."""
        if not grown:
            await self._say(task, haproxy.commands(found, self._told.get(task.id, {}), slots))
            self._told[task.id] = slots
            return
        await self._say(task, ["reload"], haproxy.MASTER)
        async with asyncio.timeout(_READY):
            await self._everything(task)

    async def measure(self, task: Task) -> list[metrics.Json]:
        """What a task's proxy has counted since this was last asked, as it is told; nothing where it does not run."""
        found = ways.of(task)
        if found is None or not found.ingress:
            return []
        try:
            now = metrics.parse(await self._say(task, ["show stat"]), found)
        except (OSError, TimeoutError):
            return []
        before, self._counts[task.id] = self._counts.get(task.id, {}), now
        return metrics.wrappers(found, before, now)

    def forget(self, task: Task) -> None:
        """The task has ended. Blocks."""
        if not task.awsvpc and ways.of(task) is not None:
            with contextlib.suppress(NftError, OSError):
                redirects.put("", redirects.nothing_beside(task.id))
        for kept in (self._counts, self._locks, self._told, self._early):
            kept.pop(task.id, None)

    async def _everything(self, task: Task) -> None:
        """Wait for a proxy, and tell it all: what came while it started it may have read or not."""
        found = ways.of(task)
        assert found is not None
        slots = self._slots(task)
        while True:
            with contextlib.suppress(OSError):
                await self._say(task, ["show info", *haproxy.commands(found, {}, slots)])
                self._told[task.id] = slots
                return
            await asyncio.sleep(_STEP)

    async def _say(self, task: Task, commands: list[str], which: str = haproxy.SOCKET) -> str:
        """What a proxy answers. Raises OSError where it does not run, TimeoutError."""
        said = ""
        for start in range(0, len(commands), _AT_ONCE):
            line = ";".join(commands[start : start + _AT_ONCE])
            async with asyncio.timeout(_ANSWER):
                said += await _ask(self._directory(task), which, line)
        return said

    def _directory(self, task: Task) -> Path:
        return directory_of(self._settings, task.id) / "connect"

    def _slots(self, task: Task) -> haproxy.Slots:
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode((self._directory(task) / "slots.json").read_bytes(), type=haproxy.Slots)
        return {}

    def _targets(self, task: Task) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode((self._directory(task) / "targets.json").read_bytes(), type=dict[str, str])
        return {}

    def _write(self, task: Task, found: Ways, slots: haproxy.Slots, targets: dict[str, str] | None = None) -> None:
        known = self._targets(task) if targets is None else targets
        texts = {
            haproxy.CONFIGURATION: haproxy.render(found, slots, None if task.awsvpc else known).encode(),
            "slots.json": msgspec.json.encode(slots),
            "targets.json": msgspec.json.encode(known),
        }
        for name, text in texts.items():
            unfinished = self._directory(task) / f"{name}.new"
            unfinished.write_bytes(text)
            unfinished.replace(self._directory(task) / name)


async def _ask(directory: Path, name: str, line: str) -> str:
    """A line to a socket in a directory, and what comes until it closes."""
    # By a descriptor: the path of a socket must be shorter than this one may be (unix(7)).
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(connection, f"/proc/self/fd/{descriptor}/{name}")
            await loop.sock_sendall(connection, f"{line}\n".encode())
            said = b""
            while data := await loop.sock_recv(connection, 65536):
                said += data
            return said.decode(errors="replace")
    finally:
        os.close(descriptor)
