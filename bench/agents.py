"""Agents by the thousand against one control plane: how fast they register, how fast their tasks run, what it costs.

``python bench/agents.py [--agents 1000] [--tasks 10000]`` starts the control plane's process alone (all its services
and loops, as ``dryport up`` starts it; no host driver, no containers), simulates the agents in this process
(``simulated_agents.py``: signed calls, signed websockets), and asks for the tasks with RunTask. ``--keep`` writes the
table to ``bench/results/agents.md``. Both processes share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import uvloop
from roles import make_roles
from simulated_agents import Agent, Caller, Counts, Platform, Refused

from dryport.control.config import Config, save
from dryport.platform import credentials

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "agents.md"
CLUSTER = "fleet"
CALLERS = 8  # that ask for tasks at the same time
BATCH = 10  # tasks a RunTask
IDLE_SECONDS = float(os.environ.get("IDLE", "40"))  # for how long the idle fleet is watched
DEFINITION = {
    "family": "web",
    "taskRoleArn": "arn:aws:iam::000000000000:role/web",
    "containerDefinitions": [
        {
            "name": "web",
            "image": "web:1",
            "cpu": 256,
            "memory": 512,
            "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
            "environment": [{"name": "STAGE", "value": "bench"}],
        }
    ],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ControlPlane:
    """The process, and what it has used."""

    def __init__(self, state_dir: Path, command: list[str]) -> None:
        self.port = free_port()
        for name in ("run", "log"):
            (state_dir / name).mkdir()
        save(Config(state_dir=state_dir, port=self.port, slot=127))
        self._log = (state_dir / "log" / "control.log").open("wb")
        self._state_dir = state_dir
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "2"}
        self._process = subprocess.Popen(
            [*command, "-m", "dryport.platform.control_plane", "--state-dir", str(state_dir)],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
        )

    def platform(self) -> Platform:
        """Where it is, once it listens. Raises SystemExit."""
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                key = credentials.read(credentials.root_key_path(self._state_dir))
                return Platform(self.port, key.access_key_id, key.secret_access_key)
        raise SystemExit((self._state_dir / "log" / "control.log").read_text())

    def processor(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident MiB."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        self._log.close()


class Phase:
    """One part of the run: wall and processor seconds."""

    def __init__(self, control: ControlPlane) -> None:
        self._control = control
        self._wall, self._processor = time.monotonic(), control.processor()
        self.wall = self.processor = self.memory = 0.0

    def end(self) -> Phase:
        self.wall = time.monotonic() - self._wall
        self.processor = self._control.processor() - self._processor
        self.memory = self._control.memory()
        return self


@asynccontextmanager
async def fleet(where: Platform, number: int, counts: Counts) -> AsyncIterator[list[Agent]]:
    """Agents that live until the end of the block."""
    agents = [Agent(where, CLUSTER, each, counts) for each in range(number)]
    running = [asyncio.create_task(agent.run()) for agent in agents]
    try:
        yield agents
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} took longer than {seconds:.0f} s")
        await asyncio.sleep(0.02)


async def run_tasks(where: Platform, number: int) -> list[float]:
    """Ask for tasks; seconds that each call took. Raises SystemExit where one is not placed."""
    batches = iter(range(number // BATCH))
    taken: list[float] = []

    async def ask() -> None:
        caller = Caller(where)
        request = {"cluster": CLUSTER, "taskDefinition": "web", "launchType": "EXTERNAL", "count": BATCH}
        for _ in batches:
            began = time.monotonic()
            answer = await caller.call("RunTask", request)
            taken.append(time.monotonic() - began)
            if answer["failures"]:
                raise SystemExit(f"not placed: {answer['failures'][:3]}")
        caller.close()

    await asyncio.gather(*(ask() for _ in range(CALLERS)))
    return taken


async def counted(caller: Caller) -> tuple[int, int]:
    """How many instances are connected, and how many tasks run, by the API."""
    request = {"clusters": [CLUSTER]}
    cluster = (await caller.call("DescribeClusters", request))["clusters"][0]
    connected, token = 0, ""
    while True:
        query = {"cluster": CLUSTER, "filter": "agentConnected == true", **({"nextToken": token} if token else {})}
        page = await caller.call("ListContainerInstances", query)
        connected += len(page["containerInstanceArns"])
        token = page.get("nextToken", "")
        if not token:
            return connected, cluster["runningTasksCount"]


async def define(where: Platform, caller: Caller) -> None:
    """Make the cluster, the roles and the task definition."""
    await caller.call("CreateCluster", {"clusterName": CLUSTER})
    make_roles(
        boto3.client(
            "iam",
            endpoint_url=f"http://{where.host}",
            region_name="us-east-1",
            aws_access_key_id=where.key,
            aws_secret_access_key=where.secret,
        )
    )
    await caller.call("RegisterTaskDefinition", DEFINITION)


async def measure(control: ControlPlane, agents: int, tasks: int) -> dict[str, Any]:
    where = control.platform()
    caller = Caller(where)
    await define(where, caller)
    counts = Counts()
    found: dict[str, Any] = {"before": control.memory()}
    registering = Phase(control)
    async with fleet(where, agents, counts):
        await until(lambda: counts.connected == agents, 300, "registering")
        found["registered"] = registering.end()
        assert (await counted(caller))[0] == agents
        running = Phase(control)
        found["run_task"] = await run_tasks(where, tasks)
        found["placed"] = running.end().wall
        await until(lambda: counts.running == tasks, 300, "running the tasks")
        found["running"] = running.end()
        assert (await counted(caller))[1] == tasks
        idle = Phase(control)
        await asyncio.sleep(IDLE_SECONDS)
        found["idle"] = idle.end()
        assert await counted(caller) == (agents, tasks)
    found["counts"] = counts
    caller.close()
    return found


def table(found: dict[str, Any], agents: int, tasks: int, load: float) -> str:
    registered, running, idle = found["registered"], found["running"], found["idle"]
    calls = sorted(found["run_task"])
    reports = sorted(found["counts"].latencies)
    rows = [
        (f"{agents:,} agents registered and connected", f"{registered.wall:.1f} s", "under 30 s"),
        ("… control plane's processor time", f"{registered.processor:.1f} s", ""),
        ("… resident", f"{registered.memory:.0f} MiB ({found['before']:.0f} MiB before)", ""),
        (f"{tasks:,} tasks placed by RunTask, {BATCH} a call, {CALLERS} callers", f"{found['placed']:.1f} s", ""),
        ("… a RunTask, median and 99th percentile", f"{percentiles(calls)}", ""),
        ("… acknowledged and reported RUNNING", f"{running.wall:.1f} s ({tasks / running.wall:,.0f} a second)", ""),
        ("… a report's answer, median and 99th percentile", f"{percentiles(reports)}", ""),
        ("… control plane's processor time", f"{running.processor:.1f} s", ""),
        ("… resident", f"{running.memory:.0f} MiB", ""),
        (
            "all of it idle: heartbeats, metrics and status every 20 s",
            f"{100 * idle.processor / idle.wall:.0f} % of a processor, {idle.memory:.0f} MiB",
            "",
        ),
    ]
    lines = [
        "# Agents by the thousand",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}; one control plane and the simulator on the same machine "
        f"(`bench/agents.py`), whose load average was {load:.1f} before. Every call and handshake is signed and "
        "checked, every write is on disk before it is answered.",
        "",
        "| | measured | wanted |",
        "|---|---:|---:|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def percentiles(ordered: list[float]) -> str:
    return f"{1000 * statistics.median(ordered):.1f} ms, {1000 * ordered[int(len(ordered) * 0.99)]:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--python", default=sys.executable, help="what runs the control plane (a profiler, say)")
    parser.add_argument("--keep", action="store_true", help="write the results to bench/results/agents.md")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="dp-agents-") as scratch:
        control = ControlPlane(Path(scratch), arguments.python.split())
        try:
            found = uvloop.run(measure(control, arguments.agents, arguments.tasks))
        except Refused as refusal:
            raise SystemExit(str(refusal)) from refusal
        finally:
            control.stop()
    text = table(found, arguments.agents, arguments.tasks, load)
    print(text)
    if arguments.keep:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
