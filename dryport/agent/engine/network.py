"""The tasks' network namespaces and interfaces (awsvpc), and the files that go with them.

Namespaces are made ahead of need: making one takes longer than everything else that a start does to the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from pathlib import Path

from dryport.agent.engine.errors import RESOURCE, TaskFailure
from dryport.agent.metadata.urls import ADDRESS, INSTANCE_METADATA, LISTENER_PORT, PORT
from dryport.agent.payload import Container, NetworkInterface
from dryport.agent.runtime import Mount
from dryport.agent.settings import Settings
from dryport.host import links, namespaces
from dryport.host.redirects import redirect

log = logging.getLogger("dryport.agent")
_AHEAD, _MOST_AHEAD = 4, 32  # namespaces: as many as were wanted at once lately, within these
_INTERFACE_TIMEOUT = 180.0  # seconds, as long as AWS waits for an interface


class Network:
    """Makes, hands out and deletes the namespaces of this agent's tasks."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = f"dpa{settings.slug}-"
        self._files = settings.state_dir / "tasks"
        self._refused = INSTANCE_METADATA if settings.block_instance_metadata else ""
        self._ready: deque[str] = deque()
        self._ahead = _AHEAD
        self._made: dict[str, asyncio.Future[None]] = {}
        self._wanted = asyncio.Event()
        self._seen: set[str] = set()
        self._arrival = asyncio.Event()

    def reserve(self, *, made: bool) -> str:
        """The name of a namespace for a new task; with ``made`` it may be one of those made ahead."""
        if not made:
            return self._name()
        self._wanted.set()
        if self._ready:
            return self._ready.popleft()
        self._ahead = min(_MOST_AHEAD, 2 * self._ahead)
        return self._name()

    def _name(self) -> str:
        return f"{self._prefix}{secrets.token_hex(4)}"

    async def sweep(self, *, in_use: set[str]) -> None:
        """Delete this agent's namespaces that no task has."""
        for name in await asyncio.to_thread(namespaces.entries, self._prefix):
            if name not in in_use and name not in self._ready:
                await asyncio.to_thread(namespaces.delete, name)

    async def fill(self) -> None:
        """Keep some namespaces ready. Runs until cancelled."""
        while True:
            self._wanted.clear()
            while len(self._ready) < self._ahead:
                name = self._name()
                await self.prepare(name)
                self._ready.append(name)
            await self._wanted.wait()

    async def prepare(self, namespace: str, process: int | None = None) -> None:
        """Make a namespace in which the task endpoint's port leads to the agent; once a process.

        ``process``: it is there already, as this one's.
        """
        making = self._made.get(namespace)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            making = self._made[namespace] = asyncio.ensure_future(
                asyncio.to_thread(_make, namespace, process, self._refused)
            )
        await asyncio.shield(making)

    async def empty(self) -> None:
        """Delete the namespaces that were made ahead."""
        while self._ready:
            await asyncio.to_thread(namespaces.delete, self._ready.popleft())

    async def join(self, namespace: str, interfaces: list[NetworkInterface], *, again: bool) -> None:
        """Bring a task's interface into its namespace, where with ``again`` it may be already.

        Raises TaskFailure where it does not come.
        """
        if not interfaces:
            raise TaskFailure(f"{RESOURCE}: the task has no network interface")
        interface = interfaces[0]
        address = f"{interface.address}/{interface.prefix}"
        try:
            with contextlib.suppress(LookupError):
                if again:
                    await self._adopt(interface, namespace, address)
                    return
            await links.wait_for_mac(interface.mac_address, _INTERFACE_TIMEOUT)
            await self._adopt(interface, namespace, address)
        except (OSError, LookupError) as error:  # TimeoutError is an OSError
            which = interface.ec2_id or interface.mac_address
            raise TaskFailure(f"{RESOURCE}: network interface {which} could not be set up: {error}") from error

    async def _adopt(self, interface: NetworkInterface, namespace: str, address: str) -> None:
        def work() -> None:
            links.adopt(interface.mac_address, namespace, name="eth0", address_cidr=address, gateway=interface.gateway)

        await asyncio.to_thread(work)
        self._seen.add(interface.mac_address.lower())
        self._arrival.set()

    async def arrived(self, mac: str, timeout: float) -> None:
        """Wait until an interface is on this host, in a task's namespace or still outside. Raises TimeoutError."""
        outside = asyncio.ensure_future(links.wait_for_mac(mac, timeout))
        try:
            while mac.lower() not in self._seen and not outside.done():
                self._arrival.clear()
                inside = asyncio.ensure_future(self._arrival.wait())
                await asyncio.wait({outside, inside}, return_when=asyncio.FIRST_COMPLETED)
                inside.cancel()
            if outside.done():
                outside.result()
        finally:
            outside.cancel()

    async def leave(self, namespace: str, interfaces: list[NetworkInterface]) -> None:
        """Delete a task's namespace, and its interface with it."""
        self._seen -= {interface.mac_address.lower() for interface in interfaces}
        self._made.pop(namespace, None)
        await asyncio.to_thread(namespaces.delete, namespace)

    def files(self, task_id: str, interface: NetworkInterface, container: Container) -> list[Mount]:
        """Write what a container finds as ``/etc/hosts``, ``hostname`` and ``resolv.conf``, and say where."""
        directory = self._files / task_id / container.name
        directory.mkdir(parents=True, exist_ok=True)
        extra = [str(entry).partition(":") for entry in container.host_config().get("ExtraHosts") or ()]
        name = interface.private_dns_name
        contents = {
            "hosts": hosts(interface.address, name, [(host, address) for host, _, address in extra]),
            "hostname": f"{name}\n",
            "resolv.conf": resolv_conf(interface, container),
        }
        for file, text in contents.items():
            (directory / file).write_text(text)
            (directory / file).chmod(0o644)
        return [Mount(target=f"/etc/{file}", source=str(directory / file)) for file in contents]


def _make(namespace: str, process: int | None, refused: str) -> None:
    if process is None:
        namespaces.create(namespace)
    else:
        namespaces.bind(namespace, process)
    redirect(namespace, ADDRESS, PORT, LISTENER_PORT, refused=refused)


def hosts(address: str, name: str, extra: list[tuple[str, str]]) -> str:
    """The text of ``/etc/hosts`` (hosts(5))."""
    lines = ["127.0.0.1 localhost", f"{address} {name}".strip(), *(f"{at} {host}" for host, at in extra)]
    return "\n".join(lines) + "\n"


def resolv_conf(interface: NetworkInterface, container: Container) -> str:
    """The text of ``/etc/resolv.conf`` (resolv.conf(5)); the definition's own servers win."""
    host = container.host_config()
    servers = [str(s) for s in host.get("Dns") or interface.domain_name_servers]
    search = [str(s) for s in host.get("DnsSearch") or interface.domain_name]
    lines = [f"search {' '.join(search)}"] if search else []
    return "\n".join([*lines, *(f"nameserver {server}" for server in servers)]) + "\n"


def directory_of(settings: Settings, task_id: str) -> Path:
    """Where a task's files and volumes are."""
    return settings.state_dir / "tasks" / task_id
