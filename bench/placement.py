"""Placements a second: ten thousand instances in three zones, fifty task definitions, a hundred thousand tasks.

``python bench/placement.py [--rounds 3] [--keep]``. Each figure is of filling an empty cluster with all tasks, by the
processor seconds of this one process. One by one: each task is chosen and put on the board by calls of its own, in
random order. Batched: one call has all tasks as a queue, once in runs of one definition, as services that scale up make
them, once in random order (the engine places those of one definition together). ``--keep`` writes the table to
``bench/results/placement.md``.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from dryport.ecs.placement.batches import place
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.choice import choose
from dryport.ecs.placement.model import Instance, Needs, Occupant, Request, Strategy
from dryport.ecs.placement.query import parse
from dryport.platform.control_plane import GARBAGE

RESULTS = Path(__file__).parents[1] / "bench" / "results" / "placement.md"
ZONES = "abc"
TYPES = {"m5.large": (2048, 7_680), "m5.xlarge": (4096, 15_620), "c5.xlarge": (4096, 7_680)}
WANTED_BATCHED, WANTED_SINGLE = 100_000, 10_000

BINPACK, ZONE = Strategy("binpack", "MEMORY"), Strategy("spread", "attribute:ecs.availability-zone")
MEMBER = parse("attribute:ecs.instance-type =~ '.*\\.xlarge' and attribute:stack == prod")
SCENARIOS: dict[str, tuple[tuple[Strategy, ...], bool]] = {  # strategies; whether with memberOf and a host port
    "binpack": ((BINPACK,), False),
    "spread over zones, then binpack": ((ZONE, BINPACK), False),
    "spread over zones, then instances": ((ZONE, Strategy("spread", "instanceId")), False),
    "random": ((Strategy("random"),), False),
    "binpack, memberOf, a host port": ((BINPACK,), True),
    "spread, then binpack, memberOf, a host port": ((ZONE, BINPACK), True),
    "random, memberOf, a host port": ((Strategy("random"),), True),
}
Queue = list[tuple[str, Request]]


def cluster(count: int) -> Board:
    board = Board()
    names = list(TYPES)
    for number in range(count):
        # One type is for others; the two that the constraint allows have room for all.
        kind = names[number % len(names)]
        cpu, memory = TYPES[kind]
        board.put_instance(
            Instance(
                arn=f"arn:aws:ecs:us-east-1:000000000000:container-instance/bench/{number:032x}",
                ec2_instance_id=f"i-{number:017x}",
                attributes={
                    "ecs.availability-zone": f"us-east-1{ZONES[number // len(names) % len(ZONES)]}",
                    "ecs.instance-type": kind,
                    "stack": "prod" if kind != "m5.large" else "dev",
                },
                cpu=cpu,
                memory=memory,
                interfaces=3,
                ports=frozenset({("tcp", port) for port in (22, 2375, 2376, 51678, 51679)}),
            )
        )
    return board


def requests(count: int, strategies: tuple[Strategy, ...], bound: bool) -> list[Request]:
    random = Random(50)
    return [
        Request(
            group=f"service:{number}",
            needs=Needs(
                cpu=random.choice((64, 128, 128, 256, 256, 512)),
                memory=random.choice((128, 200, 256, 512, 512, 1024)),
                ports=frozenset({("tcp", 8000 + number)}) if bound else frozenset(),
                dynamic_tcp=0 if bound else 1,
            ),
            constraints=(MEMBER,) if bound else (),
            strategies=strategies,
        )
        for number in range(count)
    ]


def queue(definitions: Sequence[Request], tasks: int) -> Queue:
    each = tasks // len(definitions)
    return [
        (f"arn:aws:ecs:us-east-1:000000000000:task/bench/{place * each + number:032x}", request)
        for place, request in enumerate(definitions)
        for number in range(each)
    ]


def shuffled(tasks: Queue) -> Queue:
    tasks = tasks.copy()
    Random(100).shuffle(tasks)
    return tasks


def one_by_one(board: Board, tasks: Queue, random: Random) -> int:
    placed = 0
    for arn, request in tasks:
        chosen = choose(board, request, random)
        if chosen is not None:
            needs = request.needs
            board.put_task(
                Occupant(arn=arn, instance_arn=chosen.arn, group=request.group, needs=needs, ports=needs.ports)
            )
            placed += 1
    return placed


def batched(board: Board, tasks: Queue, random: Random) -> int:
    return sum(arn is not None for arn in place(board, tasks, random))


Work = Callable[[Board, Queue, Random], int]


def rate(work: Work, instances: int, tasks: Queue) -> float:
    """Placements a second of processor time. Raises SystemExit where a task found no instance."""
    board = cluster(instances)
    gc.collect()
    start = time.process_time()
    placed = work(board, tasks, Random(7))
    seconds = time.process_time() - start
    if placed != len(tasks):
        raise SystemExit(f"{len(tasks) - placed} of {len(tasks)} tasks were not placed")
    return placed / seconds


def table(found: dict[str, list[float]], arguments: argparse.Namespace, load: float) -> str:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        "# Placements a second",
        "",
        f"{time.strftime('%Y-%m-%d')}, one core of {os.cpu_count()}, {platform.machine()}, Python "
        f"{platform.python_version()}; {arguments.instances:,} instances in {len(ZONES)} zones, "
        f"{arguments.definitions} task definitions, {arguments.tasks:,} tasks onto an empty cluster; "
        f"by processor time, medians of {arguments.rounds} (`bench/placement.py`). Load average before: {load:.1f}. "
        f"Peak memory of the whole: {memory:,.0f} MiB.",
        "",
        f"| | one by one (wanted {WANTED_SINGLE:,}) | batched, in runs (wanted {WANTED_BATCHED:,}) "
        f"| batched, shuffled (wanted {WANTED_BATCHED:,}) |",
        "|---|---:|---:|---:|",
    ]
    for name, rates in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{each:,.0f}" for each in rates) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--definitions", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="a part of the scenario's name")
    parser.add_argument("--keep", action="store_true", help="write the results to bench/results/placement.md")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    gc.set_threshold(*GARBAGE)  # as the control plane has it
    found: dict[str, list[float]] = {}
    for name, (strategies, bound) in SCENARIOS.items():
        if arguments.only not in name:
            continue
        runs = queue(requests(arguments.definitions, strategies, bound), arguments.tasks)
        mixed = shuffled(runs)
        measured: list[float] = []
        for work, tasks in ((one_by_one, mixed), (batched, runs), (batched, mixed)):
            measured.append(statistics.median(rate(work, arguments.instances, tasks) for _ in range(arguments.rounds)))
        found[name] = measured
        print(name, *(f"{each:,.0f}" for each in measured), flush=True)
    text = table(found, arguments, load)
    print(text)
    if arguments.keep:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
