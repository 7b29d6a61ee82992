"""Live through random histories of services: ``python -m tests.ecs.simulation [--histories N] [--first SEED]``.

A seed that fails is printed, with the command that lives through it again; ``--log`` also prints what happened. The
process starts itself again with Python's hashes fixed, without which a seed would not always be the same history.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.ecs.simulation.history import run


class Result(NamedTuple):
    """Of one seed."""

    seed: int
    failure: str
    trace: str
    transactions: int
    taken: Counter[str]
    log: list[str]


def lived(seed: int) -> Result:
    """Live through one history."""
    logging.disable(logging.CRITICAL)  # what is killed complains
    try:
        history = run(seed)
        return Result(seed, "", history.judge.trace, history.judge.transactions, history.taken, history.log)
    except Exception as error:
        found = getattr(error, "history", None)
        text = "".join(traceback.format_exception(error))
        if found is None:
            return Result(seed, text, "", 0, Counter(), [])
        return Result(seed, text, found.judge.trace, found.judge.transactions, found.taken, found.log)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed; the others follow it")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--log", action="store_true", help="print what happened, and a digest of all that changed")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.histories)
    began = time.monotonic()
    failed, transactions, taken = 0, 0, Counter[str]()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for result in pool.map(lived, seeds, chunksize=4):
            transactions += result.transactions
            taken += result.taken
            if arguments.log:
                print("\n".join(result.log), f"\nseed {result.seed}: trace {result.trace}")
            if result.failure:
                failed += 1
                print(f"seed {result.seed} failed; again: python -m tests.ecs.simulation --log --first {result.seed}")
                print(result.failure, flush=True)
    spent = time.monotonic() - began
    print(f"{len(seeds)} histories, {failed} failed, {transactions} transactions, {spent:.0f} s")
    print(", ".join(f"{name} {count}" for name, count in sorted(taken.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.ecs.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    sys.exit(main())
