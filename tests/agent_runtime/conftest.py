"""One suite for both runtimes, on real daemons, with a registry of its own."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dryport.agent.runtime.cgroups import Cgroups
from dryport.agent.runtime.interface import ContainerSpec, ContainerState, LogLine, Resources, Runtime
from tests.agent_runtime.daemons import ContainerdHost, DockerHost, Host
from tests.agent_runtime.registry import Registry, base

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory with a short path: sockets lie in it."""
    home = Path(tempfile.mkdtemp(prefix="dpr-", dir="/tmp"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def registry(scratch: Path) -> Iterator[Registry]:
    """A registry with ``app:1`` in it."""
    served = Registry(scratch / "registry")
    served.push("app", [base()], Cmd=["/bin/true"], Env=["PATH=/bin", "FROM_IMAGE=yes"], WorkingDir="/var")
    yield served
    served.stop()


@pytest.fixture(scope="session", params=[ContainerdHost, DockerHost], ids=["containerd", "docker"])
def host(request: pytest.FixtureRequest, scratch: Path) -> Iterator[Host]:
    """A container host with a daemon of its own."""
    home = scratch / request.param.name
    home.mkdir()
    made = request.param(home)
    yield made
    made.stop()
    Cgroups().remove("/dryport-test")


@pytest_asyncio.fixture
async def runtime(host: Host, image: str) -> AsyncIterator[Runtime]:
    """The runtime, with the image there; whatever a test leaves is removed."""
    made = host.agent()
    if await made.image(image) is None:
        await made.pull(image, None)
    yield made
    await made.close()
    cleaner = host.agent()
    for state in await cleaner.containers():
        await cleaner.remove(state.id)
    await cleaner.close()


@pytest.fixture
def image(registry: Registry) -> str:
    """A busybox."""
    return f"{registry.host}/app:1"


@pytest_asyncio.fixture
async def box(runtime: Runtime, image: str) -> Box:
    """Runs containers."""
    return Box(runtime, image)


class Box:
    """Short words for what tests do with a runtime."""

    def __init__(self, runtime: Runtime, image: str) -> None:
        self.runtime = runtime
        self.image = image

    def spec(self, script: str, **members: Any) -> ContainerSpec:
        """A container that runs a shell script."""
        members.setdefault("id", f"test-{next(_numbers)}")
        members.setdefault("image", self.image)
        members.setdefault("argv", ["/bin/sh", "-c", script])
        members.setdefault("resources", Resources(cgroup_parent="/dryport-test"))
        return ContainerSpec(name="app", **members)

    async def run(self, script: str, **members: Any) -> str:
        """Make and start a container; its id."""
        spec = self.spec(script, **members)
        await self.runtime.create(spec)
        await self.runtime.start(spec.id)
        return spec.id

    async def end(self, id: str) -> ContainerState:
        """Wait until it has ended."""
        async with asyncio.timeout(30):
            while True:
                state = await self.runtime.inspect(id)
                assert state is not None
                if state.status == "exited":
                    return state
                await asyncio.sleep(0.02)

    async def output(self, script: str, **members: Any) -> str:
        """What a script prints, standard output and error together; it has to end with 0."""
        id = await self.run(script, **members)
        lines = await self.lines(id)
        state = await self.end(id)
        text = "\n".join(line.line.decode() for line in lines)
        assert state.exit_code == 0, (state, text)
        return text

    async def lines(self, id: str, cursor: str = "") -> list[LogLine]:
        """All lines up to its end."""
        async with asyncio.timeout(30):
            return [line async for line in self.runtime.logs(id, cursor, follow=True)]
