"""How long a launch takes: from the call to the container's first instruction, the image being here.

    .venv/bin/python bench/launch.py                      # the runtime alone against ``docker run -d``
    .venv/bin/python bench/launch.py --endpoint URL       # RunTask through a running Dryport as well

One table (kept in bench/results/launch.md), medians of runs that alternate, ratios to Docker's in the same run. The
first instruction of the program opens a pipe that this script listens on; through the platform, where a task cannot be
given a directory of the host, it prints a line, whose time stamp CloudWatch Logs gives. Needs root, dockerd,
containerd, conmon, docker-registry and a static busybox.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.launch_platform import Platform
from dryport.agent.runtime import factory
from dryport.agent.runtime.interface import ContainerSpec, Mount, Resources
from dryport.host import cgroups
from dryport.platform import containerd
from tests.agent_runtime.registry import Registry, base

RESULTS = Path(__file__).parent / "results" / "launch.md"
GROUP = "dryport-bench"  # cgroup of the containers
IMAGE = f"dryport-bench/launch:{uuid.uuid4().hex[:8]}"
SCRIPT = "echo > /pipes/$NAME; exec sleep 300"
SIDE_BY_SIDE = 8  # ``docker run`` commands at a time, which is when 50 of them take the least time here

Launch = Callable[[str], Coroutine[Any, Any, None]]


class Pipes:
    """Named pipes through which containers say that they run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()

    async def time(self, name: str, launch: Launch) -> float:
        """Seconds from the call of ``launch`` to the first instruction."""
        os.mkfifo(self.home / name)
        handle = os.open(self.home / name, os.O_RDONLY | os.O_NONBLOCK)
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, heard.set)
        began = time.perf_counter()
        launching = asyncio.create_task(launch(name))
        try:
            async with asyncio.timeout(60):
                await heard.wait()
            return time.perf_counter() - began
        finally:
            loop.remove_reader(handle)
            os.close(handle)
            await launching


class Docker:
    """``docker run -d`` with Docker's own network."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def launch(self, name: str) -> None:
        """One container."""
        async with self._places:
            options = ["--name", f"bench-{name}", "--env", f"NAME={name}", "--volume", f"{self._pipes.home}:/pipes"]
            await run("docker", "run", "-d", *options, IMAGE, "/bin/sh", "-c", SCRIPT)

    async def clear(self, names: list[str]) -> None:
        """Remove containers."""
        await run("docker", "rm", "-f", *(f"bench-{name}" for name in names))


class Ours:
    """Fargate's runtime, each container in a network namespace that is ready beforehand."""

    def __init__(self, pipes: Pipes, state_dir: Path, reference: str) -> None:
        self._pipes = pipes
        self._reference = reference
        self._runtime = factory.make(
            "containerd",
            state_dir,
            instance_id="bench",
            containerd_socket=containerd.socket(state_dir),
            containerd_registries=containerd.registries(state_dir),
        )

    async def prepare(self, names: list[str]) -> None:
        """Pull the image and make the namespaces."""
        await self._runtime.pull(self._reference, None)
        for name in names:
            await run("ip", "netns", "add", f"bench-{name}")

    async def launch(self, name: str) -> None:
        """One container."""
        spec = ContainerSpec(
            id=name,
            name=name,
            image=self._reference,
            argv=["/bin/sh", "-c", SCRIPT],
            environment={"NAME": name},
            mounts=[Mount(target="/pipes", source=str(self._pipes.home))],
            network=f"/run/netns/bench-{name}",
            resources=Resources(cgroup_parent=f"/{GROUP}"),
        )
        await self._runtime.create(spec)
        await self._runtime.start(spec.id)

    async def clear(self, names: list[str]) -> None:
        """Remove containers and namespaces."""
        for name in names:
            await self._runtime.remove(name)
            if Path(f"/run/netns/bench-{name}").exists():
                await run("ip", "netns", "delete", f"bench-{name}")

    async def close(self) -> None:
        """Let go."""
        await self._runtime.close()
        await asyncio.to_thread(cgroups.delete, GROUP)


async def run(*command: str) -> None:
    """Run a command that has to succeed."""
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, error = await child.communicate()
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: {error.decode()}")


async def burst(pipes: Pipes, launch: Launch, names: list[str]) -> float:
    """Seconds until the first instruction of the last of all ``names``, launched at once."""
    began = time.perf_counter()
    await asyncio.gather(*(pipes.time(name, launch) for name in names))
    return time.perf_counter() - began


async def compare(home: Path, pipes: Pipes, reference: str, runs: int, count: int) -> list[tuple[str, float, float]]:
    """Launch one by one in turns, then all at once."""
    assert await containerd.ready(home)
    docker, ours = Docker(pipes), Ours(pipes, home, reference)
    single, many = [f"o{n}" for n in range(runs)], [f"p{n}" for n in range(count)]
    await ours.prepare(single + many)
    docker_single, docker_many = [f"d{name}" for name in single], [f"d{name}" for name in many]
    seconds: dict[str, list[float]] = {"ours": [], "docker": []}
    try:
        for name in single:
            seconds["ours"].append(await pipes.time(name, ours.launch))
            seconds["docker"].append(await pipes.time(f"d{name}", docker.launch))
        await ours.clear(single)
        await docker.clear(docker_single)
        both = (await burst(pipes, ours.launch, many), await burst(pipes, docker.launch, docker_many))
    finally:
        await ours.clear(single + many)
        await docker.clear(docker_single + docker_many)
        await ours.close()
    medians = statistics.median(seconds["ours"]), statistics.median(seconds["docker"])
    return [("first instruction", *medians), (f"{count} at once, all running", *both)]


def runtimes(home: Path, runs: int, count: int) -> list[tuple[str, float, float]]:
    """Rows of the table: what, our seconds, Docker's seconds."""
    registry = Registry(home / "registry")
    pipes = Pipes(home / "pipes")
    containerd.write_config(home)
    daemon = subprocess.Popen(containerd.argv(home), stdout=subprocess.DEVNULL, stderr=(home / "log").open("w"))
    try:
        registry.push("launch", [base()])
        make_docker_image(home)
        return uvloop.run(compare(home, pipes, f"{registry.host}/launch:1", runs, count))
    finally:
        daemon.kill()
        daemon.wait()
        registry.stop()


def make_docker_image(home: Path) -> None:
    """The same busybox for Docker."""
    (home / "image.tar").write_bytes(base().tar())
    subprocess.run(["docker", "import", str(home / "image.tar"), IMAGE], check=True, stdout=subprocess.DEVNULL)


def table(rows: list[tuple[str, float, float]]) -> str:
    """The rows as Markdown, in milliseconds."""
    lines = ["| | Dryport | docker run -d | ratio |", "|---|---|---|---|"]
    lines += [f"| {what} | {a * 1e3:.0f} ms | {b * 1e3:.0f} ms | {a / b:.2f} |" for what, a, b in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="launches one by one")
    parser.add_argument("--count", type=int, default=50, help="launches at once")
    parser.add_argument("--endpoint", help="a running Dryport, whose credentials are in the environment")
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="dpb-", dir="/tmp"))
    try:
        rows = runtimes(home, arguments.runs, arguments.count)
        if arguments.endpoint:
            make_docker_image(home)
            rows += Platform(arguments.endpoint, IMAGE).measure(arguments.runs, arguments.count, rows)
    finally:
        subprocess.run(["docker", "image", "rm", "-f", IMAGE], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)
    text = table(rows)
    print(text)
    RESULTS.write_text(f"# Launch\n\n{text}\n\nMade by `bench/launch.py` on {os.cpu_count()} processors.\n")


if __name__ == "__main__":
    main()
