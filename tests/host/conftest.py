"""A host driver of its own for each test module, as a process, with its networks."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from dryport.control.config import Config
from dryport.host import namespaces
from dryport.host.client import HostClient
from tests.ports import free_port


class Daemon:
    """``python -m dryport.host.daemon`` on a state directory."""

    def __init__(self, state_dir: Path) -> None:
        # Slots 64 and up: those below are for whole platforms.
        self.config = Config(state_dir=state_dir, port=free_port(), slot=random.randrange(64, 128))
        self.config.run_dir.mkdir(parents=True, mode=0o700)
        (state_dir / "config.json").write_bytes(msgspec.json.encode(self.config, enc_hook=str))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.config.state_dir / "host.log").open("ab")
        command = [sys.executable, "-m", "dryport.host.daemon", "--state-dir", str(self.config.state_dir)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_until_listening()

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process is not None and self.process.poll() is None, self.log()
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.config.run_dir / "host.sock"))
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self.log())

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(10) == 0, self.log()

    def log(self) -> str:
        return (self.config.state_dir / "host.log").read_text()

    def client(self) -> HostClient:
        return HostClient(self.config.run_dir / "host.sock")


def traces(config: Config) -> str:
    """Everything on the machine that bears this Dryport's id or an address of its network."""
    text = ""
    for command in (
        "ip link",
        "ip address",
        "ip route show table all",
        "nft list tables",
        "iptables -S",
        "ls /run/netns",
    ):
        text += subprocess.run(command.split(), capture_output=True, text=True).stdout
    first, second, third, _ = config.public_network.split(".")
    blocks = [f" {first}.{second}.{int(third) + number}." for number in range(4)]
    return "\n".join(
        line for line in text.splitlines() if f"dp{config.id}" in line or any(block in f" {line}" for block in blocks)
    )


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-host-"))
    made = Daemon(state_dir)
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:

        async def teardown() -> None:
            client = made.client()
            await client.teardown()
            await client.close()

        asyncio.run(teardown())
        made.stop()
    for name in namespaces.names(f"dp{made.config.id}"):
        namespaces.delete(name)
    shutil.rmtree(state_dir)


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[HostClient]:
    made = daemon.client()
    yield made
    await made.close()


@pytest.fixture
def task_namespaces(daemon: Daemon) -> Iterator[list[str]]:
    """Four namespaces for near ends."""
    names = [f"dp{daemon.config.id}-t{number}" for number in range(4)]
    for name in names:
        namespaces.create(name)
    yield names
    for name in names:
        namespaces.delete(name)
