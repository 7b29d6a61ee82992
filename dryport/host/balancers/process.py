"""One HAProxy: master and worker, changed by reloads that keep every connection and what its servers were told.

Source: HAProxy's management guide, "Master CLI" and "Unix Socket commands"; its configuration manual,
"load-server-state-from-file". A signal to a busy master gets lost at times, the master's ``reload`` does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from dryport.host import namespaces, processes
from dryport.host.balancers import flows, requests, servers
from dryport.host.messages import Carrier
from dryport.host.nft import NftError

_READY = 20.0  # seconds for a process to answer, before it is taken for failed
_STEP = 0.02
_ANSWER = 10.0  # seconds for a reply
_STATE = "servers.state"
_GIVEN = (".pem", ".certificates")  # endings of files that come with a carrier, and go
_MAP = "weights.map"


class Refused(ValueError):
    """HAProxy does not take the configuration; the message is its own."""


class PortTaken(OSError):
    """Another process listens at a port of 127.0.0.1."""


class Run(msgspec.Struct, frozen=True):
    """A master process."""

    pid: int
    started: int


class Process:
    """A balancer's HAProxy and its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lock = asyncio.Lock()
        self.carrier: Carrier | None = None
        self._led = ""  # the batch that leads flows
        self._child: subprocess.Popen[bytes] | None = None  # ours to wait for
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
            self.carrier = msgspec.json.decode((directory / "carrier.json").read_bytes(), type=Carrier)

    @property
    def runs(self) -> bool:
        """Whether its master does."""
        run = self._run()
        return run is not None and processes.alive(run.pid, run.started)

    def _run(self) -> Run | None:
        if self._child is not None:
            self._child.poll()
        try:
            return msgspec.json.decode((self.directory / "run.json").read_bytes(), type=Run)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    async def ensure(self, carrier: Carrier) -> None:
        """Have it run so. Raises Refused, PortTaken, OSError; then it goes on as it was."""
        if self.runs and self.carrier is not None and replace(self.carrier, weights=carrier.weights) == carrier:
            await self._weigh(self.carrier, carrier)
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        bound = set(self.carrier.ports) if self.carrier is not None and self.runs else set()
        for port in set(carrier.ports) - bound:
            _check_free(port)
        await self._check(carrier)
        before, self.carrier = self.carrier, carrier
        self._write(carrier)
        if not self.runs:
            await self.start()
            return
        try:
            await self._reload(carrier)
        except OSError:
            if before is not None:
                self.carrier = before
                self._write(before)
            raise

    async def _weigh(self, before: Carrier, carrier: Carrier) -> None:
        """Have the process that runs take other weights; noted once it has, so that it is told again otherwise."""
        if before.weights == carrier.weights:
            return
        for key, weight in carrier.weights.items():
            if before.weights.get(key) != weight and (
                said := (await self.ask(f"set map {_MAP} {key} {weight}")).strip()
            ):
                raise OSError(f"HAProxy does not take the weight {key}: {said}")
        self.carrier = carrier
        self._write(carrier)

    def _write(self, carrier: Carrier) -> None:
        _write_private(self.directory / "carrier.json", msgspec.json.encode(carrier))
        _write_private(self.directory / _MAP, _weights(carrier))
        for name, content in carrier.files.items():
            _write_private(self.directory / name, content)
        for path in self.directory.iterdir():
            if path.suffix in _GIVEN and path.name not in carrier.files:
                path.unlink()

    def _configure(self, carrier: Carrier) -> None:
        """Write the configuration, with the servers where they were last told to be."""
        state = self.directory / _STATE
        if not state.exists():
            _write_private(state, b"1\n")  # the format's version
        text = servers.placed(carrier.config, servers.addresses(state.read_text()))
        _write_private(self.directory / "haproxy.cfg", text.encode())

    async def _check(self, carrier: Carrier) -> None:
        """Raises Refused for what HAProxy does not take."""
        trial = self.directory / "trial"
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(mode=0o700)
        try:
            for name, content in carrier.files.items():
                _write_private(trial / name, content)
            _write_private(trial / _MAP, _weights(carrier))
            _write_private(trial / "haproxy.cfg", carrier.config.encode())
            command = ["haproxy", "-c", "-f", "haproxy.cfg"]
            asked = await asyncio.create_subprocess_exec(
                *command, cwd=trial, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            said, _ = await asked.communicate()
            if asked.returncode:
                raise Refused(said.decode(errors="replace").strip()[-1000:])
        finally:
            shutil.rmtree(trial, ignore_errors=True)

    async def start(self) -> None:
        """Start it as it was last wanted, with what its servers were last known to be. Raises OSError."""
        carrier = self.carrier
        if carrier is None:
            raise OSError(f"{self.directory} has no configuration")
        self._configure(carrier)
        if carrier.namespace:
            await asyncio.to_thread(_prepare, carrier.namespace)
        child = await asyncio.to_thread(namespaces.run_in, carrier.namespace, self._spawn)
        self._child = child
        processes.set_precedence(child.pid, processes.FIRST)
        run = Run(pid=child.pid, started=processes.started(child.pid))
        _write_private(self.directory / "run.json", msgspec.json.encode(run))
        async with asyncio.timeout(_READY):
            while not await self._answers():
                if not self.runs:
                    raise OSError(f"HAProxy did not start: {self._log()}")
                await asyncio.sleep(_STEP)

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = os.open(self.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        noted = requests.opened(self.directory)
        try:
            return subprocess.Popen(
                ["haproxy", "-W", "-db", "-S", "unix@master.sock,mode,600,level,admin", "-f", "haproxy.cfg"],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=noted,
                stderr=log,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin")},
            )
        finally:
            os.close(log)
            os.close(noted)

    def _log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "log").read_text(errors="replace").strip()[-1000:]
        return ""

    async def _reload(self, carrier: Carrier) -> None:
        await self.remember()
        self._configure(carrier)
        before = await self._worker()
        with contextlib.suppress(ConnectionError):  # the master begins anew, and ends its connections
            await self._master("reload")
        async with asyncio.timeout(_READY):
            while True:
                await asyncio.sleep(_STEP)
                if not self.runs:
                    raise OSError(f"HAProxy ended in a reload: {self._log()}")
                with contextlib.suppress(OSError):
                    worker = await self._worker()
                    if worker and worker != before:
                        return
                    if not worker:
                        raise OSError(f"HAProxy does not reload: {self._log()}")

    async def _answers(self) -> bool:
        try:
            return bool(await self._worker())
        except OSError:
            return False

    async def _worker(self) -> int:
        """The process id of the worker that takes connections; 0 where there is none."""
        rows = (await self._master("show proc")).splitlines()
        workers = rows[rows.index("# workers") + 1 :] if "# workers" in rows else []
        row = workers[0].split() if workers else []
        return int(row[0]) if len(row) > 1 and row[1] == "worker" else 0

    async def remember(self) -> None:
        """Note what its servers are now, for whoever starts next."""
        state = await self.ask("show servers state")
        if state.startswith("1\n"):
            _write_private(self.directory / _STATE, state.encode())
            await self._lead(state)

    async def _lead(self, state: str) -> None:
        """Have the kernel lead flows to the servers that are well now."""
        carrier = self.carrier
        if carrier is None or not (carrier.flows or self._led):
            return
        batch = flows.ruleset(carrier.flows, state)
        if batch != self._led:
            try:
                await asyncio.to_thread(namespaces.run_in, carrier.namespace, lambda: flows.lead(batch))
            except NftError as error:
                raise OSError(str(error)) from error
            self._led = batch if carrier.flows else ""

    async def end_flows(self, targets: Sequence[flows.Target]) -> None:
        """End what the kernel leads to some targets."""
        if self.carrier is not None and self.carrier.namespace:
            await asyncio.to_thread(namespaces.run_in, self.carrier.namespace, lambda: flows.end(targets))

    async def ask(self, command: str) -> str:
        """What the worker answers to a command of the runtime API. Raises OSError."""
        return (await self._master(f"@1 {command}")).strip("\n") + "\n"

    async def _master(self, command: str) -> str:
        path = f"/proc/self/fd/{os.open(self.directory, os.O_PATH)}"  # a socket's name has room for 107 bytes
        try:
            async with asyncio.timeout(_ANSWER):
                reader, writer = await asyncio.open_unix_connection(f"{path}/master.sock", limit=1 << 24)
        finally:
            os.close(int(path.rpartition("/")[2]))
        try:
            async with asyncio.timeout(_ANSWER):
                writer.write(command.encode() + b"\n")
                writer.write_eof()
                return (await reader.read()).decode()
        finally:
            writer.close()

    async def end(self) -> None:
        """End it at once, and remove what it had. Nothing where there is none."""
        run = self._run()
        if run is not None:
            await asyncio.to_thread(processes.kill_group, run.pid, run.started)
            if self._child is not None:
                await asyncio.to_thread(self._child.wait)
        if self.carrier is not None and self.carrier.namespace:
            await asyncio.to_thread(namespaces.delete, self.carrier.namespace)
        shutil.rmtree(self.directory, ignore_errors=True)


def _weights(carrier: Carrier) -> bytes:
    return "".join(f"{key} {weight}\n" for key, weight in carrier.weights.items()).encode()


def _prepare(namespace: str) -> None:
    """A namespace in which addresses can be listened at before their interfaces are plugged in."""
    namespaces.create(namespace)
    setting = Path("/proc/sys/net/ipv4/ip_nonlocal_bind")
    namespaces.run_in(namespace, lambda: setting.write_text("1"))


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(f"127.0.0.1:{port}") from error


def _write_private(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
