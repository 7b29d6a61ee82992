"""Whether an event's cost grows with the number of services: tasks exit and are replaced, among 10, 100, 1,000 of them.

``python bench/fleet.py [--services 10 100 1000] [--exits 400]`` starts a control plane's process for each number (as
``bench/agents.py`` does: all loops, no host driver, no containers) with the same 1,000 simulated agents, has ten tasks
of each service run, and then ends tasks, 8 at a time, each time waiting until a replacement RUNS. The cost is the
control plane's processor time beyond what the idle fleet takes. ``--keep`` writes ``bench/results/fleet.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import uvloop
from agents import CLUSTER, ROOT, ControlPlane, Phase, define, fleet, until
from simulated_agents import Agent, Caller, Counts, Platform, Refused

RESULTS = ROOT / "bench" / "results" / "fleet.md"
AGENTS = 1000
EACH = 10  # tasks a service
AT_ONCE = 8
_IDLE_SECONDS = 20.0  # one period of the agents' metrics


class Row(NamedTuple):
    """Of one number of services."""

    services: int
    steady: float  # seconds from the first CreateService until all tasks run
    idle: float  # the idle control plane's processor seconds a second
    cost: float  # processor milliseconds an exit, the idle part taken off
    times: list[float]  # from each exit to RUNNING of a replacement, seconds


async def create(where: Platform, number: int) -> None:
    """Make the services."""
    left = iter(range(number))

    async def ask() -> None:
        caller = Caller(where)
        for each in left:
            request = {"cluster": CLUSTER, "serviceName": f"web{each}", "taskDefinition": "web", "desiredCount": EACH}
            await caller.call("CreateService", {**request, "launchType": "EXTERNAL"})
        caller.close()

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))


async def replace(agents: list[Agent], counts: Counts, exits: int, random: Random) -> list[float]:
    """End tasks, a few at a time; seconds until as many more run."""
    times: list[float] = []
    for _ in range(exits // AT_ONCE):
        before, began = counts.running, time.monotonic()
        busy = random.sample([agent for agent in agents if agent.tasks], AT_ONCE)
        for agent in busy:
            agent.end(random.choice(sorted(agent.tasks)))
        for number in range(1, AT_ONCE + 1):
            deadline = began + 60
            while counts.running < before + number:
                if time.monotonic() > deadline:
                    raise SystemExit("a task was not replaced within a minute")
                await asyncio.sleep(0.001)
            times.append(time.monotonic() - began)
    return times


async def measure(control: ControlPlane, services: int, exits: int) -> Row:
    where = control.platform()
    caller = Caller(where)
    await define(where, caller)
    counts = Counts()
    async with fleet(where, AGENTS, counts) as agents:
        await until(lambda: counts.connected == AGENTS, 300, "registering")
        began = time.monotonic()
        await create(where, services)
        await until(lambda: counts.running == services * EACH, 600, "running the tasks")
        steady = time.monotonic() - began
        await asyncio.sleep(3.0)
        idle = Phase(control)
        await asyncio.sleep(_IDLE_SECONDS)
        idle.end()
        rate = idle.processor / idle.wall
        busy = Phase(control)
        times = await replace(agents, counts, exits, Random(services))
        busy.end()
    caller.close()
    cost = (busy.processor - rate * busy.wall) / len(times)
    return Row(services, steady, rate, 1000 * cost, times)


def table(rows: list[Row], load: float) -> str:
    lines = [
        "# Services by the thousand",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; one control plane and {AGENTS:,} simulated agents on the same machine "
        f"(`bench/fleet.py`), whose load average was {load:.1f} before. {EACH} tasks a service; {len(rows[0].times)} "
        f"tasks exit, {AT_ONCE} at a time.",
        "",
        "| services | tasks | from CreateService to all RUNNING | idle | an exit and its replacement, processor time "
        "| exit to replacement RUNNING, median and 99th percentile |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        ordered = sorted(row.times)
        late = ordered[int(len(ordered) * 0.99)]
        lines.append(
            f"| {row.services:,} | {row.services * EACH:,} | {row.steady:.1f} s | {100 * row.idle:.0f} % of a "
            f"processor | {row.cost:.1f} ms | {1000 * statistics.median(ordered):.0f} ms, {1000 * late:.0f} ms |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--exits", type=int, default=400)
    parser.add_argument("--keep", action="store_true", help="write the results to bench/results/fleet.md")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = os.getloadavg()[0]
    rows = []
    for services in arguments.services:
        with tempfile.TemporaryDirectory(prefix="dp-fleet-") as scratch:
            control = ControlPlane(Path(scratch), [sys.executable])
            try:
                rows.append(uvloop.run(measure(control, services, arguments.exits)))
            except Refused as refusal:
                raise SystemExit(str(refusal)) from refusal
            finally:
                control.stop()
    text = table(rows, load)
    print(text)
    if arguments.keep:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
