"""An agent as a process of its own, against a control plane in the test, on a real runtime."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.agent.settings import Settings
from dryport.host import cgroups
from tests.agent.control import CLUSTER, Control
from tests.ports import free_port

Json = dict[str, Any]


class Agent:
    """The agent's process. ``kill`` is kill -9; ``start`` after it is what a supervisor does."""

    def __init__(self, control: Control, state_dir: Path, *options: str, **environment: str) -> None:
        self.control = control
        self.state_dir = state_dir
        self.metadata_port, self.introspection_port = free_port(), free_port()
        self._options = options
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        log = open(self.state_dir / "agent.log", "ab")  # noqa: ASYNC230, SIM115 (the process keeps it)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dryport.agent.main", "--endpoint", self.control.endpoint),
            *("--state-dir", str(self.state_dir), "--cluster", "test"),
            *("--metadata-port", str(self.metadata_port), "--introspection-port", str(self.introspection_port)),
            *self._options,
            stdout=log,
            stderr=log,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", **self._environment},
        )
        log.close()

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        return await self._process.wait()

    def log(self) -> str:
        return (self.state_dir / "agent.log").read_text()


def container(name: str, script: str, image: str = "", **members: Any) -> Json:
    """A container of a payload that runs a shell script. ``host`` and ``config`` are Docker's, as mappings."""
    host, config = members.pop("host", {}), members.pop("config", {})
    return {
        "name": name,
        "image": image,
        "essential": True,
        "command": ["sh", "-c", script],
        "overrides": "{}",
        "dockerConfig": {"version": "1.24", "config": json.dumps(config), "hostConfig": json.dumps(host)},
    } | members


def task(*containers: Json, **members: Any) -> Json:
    """A task of a payload."""
    return {
        "arn": f"arn:aws:ecs:us-east-1:000000000000:task/test/{uuid.uuid4().hex}",
        "taskClusterArn": CLUSTER,
        "family": "hello",
        "version": "3",
        "desiredStatus": "RUNNING",
        "overrides": "{}",
        "networkMode": "none",
        "launchType": "EC2",
        "volumes": [],
        "containers": list(containers),
    } | members


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def busybox_archive() -> bytes:
    """A root file system of busybox alone, as a tar archive."""
    busybox = Path("/bin/busybox")
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for directory in ("bin", "etc", "tmp", "data"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(busybox, "bin/busybox")
        for name in names:
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
    return stream.getvalue()


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """A busybox image that only Docker's own store has."""
    name = f"dryport-agent-test:{uuid.uuid4().hex[:8]}"
    done = subprocess.run(["docker", "import", "-", name], input=busybox_archive(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, timeout=60)


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    made = Control()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def state_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="dpa-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def agent_settings() -> dict[str, str]:
    """What a test sets in the agent's environment (parametrize it)."""
    return {}


@pytest.fixture
async def agent(control: Control, state_dir: Path, agent_settings: dict[str, str]) -> AsyncIterator[Agent]:
    """An agent on the machine's Docker; its containers go with the test."""
    settings = {"ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached"} | agent_settings
    made = Agent(control, state_dir, "--runtime", "docker", **settings)
    await made.start()
    try:
        await control.connected()
        yield made
    except TimeoutError:
        pytest.fail(made.log())
    finally:
        await made.stop()
        slug = Settings(endpoint="", state_dir=state_dir).slug
        left = docker("ps", "-aq", "--filter", f"label=dryport.instance={slug}").split()
        if left:
            docker("rm", "-f", "-v", *left)
        cgroups.delete(f"dryport/{slug}")
