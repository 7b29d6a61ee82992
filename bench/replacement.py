"""From a task's exit to its replacement RUNNING, beside a bare ``docker run -d`` of the same image.

``python bench/replacement.py [--rounds 20]`` (as root, dockerd running) starts a Dryport of its own with a Fargate
service of one busybox task, and takes turns: it kills the task's program (SIGKILL), and asks the API until a new task
is RUNNING; then it starts a container with ``docker run -d``. The medians go to ``bench/results/replacement.md``.
"""

from __future__ import annotations

import argparse
import os
import platform as machine
import signal
import statistics
import time
from pathlib import Path

from services import IMAGE, NAME, ROOT, Fargate, dryport, image, sh, timed, until

RESULTS = ROOT / "bench" / "results" / "replacement.md"
MARK = f"replacement-{os.getpid()}"
PROGRAM = f": {MARK}; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
_PAUSE = 2.0  # seconds, between one and the next


def program() -> int:
    """The task's process. Raises ProcessLookupError."""
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) != os.getpid():
            try:
                command = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if command[:2] == [b"sh", b"-c"] and MARK.encode() in command[2]:
                return int(each.name)
    raise ProcessLookupError("the task's program")


def replaced(service: Fargate) -> float:
    """Kill the task; seconds until another one runs."""
    before = service.running()
    began = time.monotonic()
    os.kill(program(), signal.SIGKILL)
    until(lambda: service.running() - before, pause=0.005)
    return time.monotonic() - began


def docker() -> float:
    """Start a container; seconds until ``docker run -d`` is back."""
    name = f"dryport-{MARK}"
    try:
        return timed(lambda: sh("docker", "run", "-d", "--name", name, IMAGE, "sh", "-c", "sleep 60"))
    finally:
        sh("docker", "rm", "-f", name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    ours: list[float] = []
    theirs: list[float] = []
    load = os.getloadavg()[0]
    with image(), dryport(PROGRAM) as service:
        service.create(1)
        for _ in range(rounds):
            time.sleep(_PAUSE)
            ours.append(replaced(service))
            time.sleep(_PAUSE)
            theirs.append(docker())
        service.remove()
    a, b = statistics.median(ours), statistics.median(theirs)
    text = (
        "# From a task's exit to its replacement\n\n"
        f"`python bench/replacement.py`, medians of {rounds}, {os.cpu_count()} CPUs, Linux {machine.release()}, "
        f"{time.strftime('%Y-%m-%d')}, load average before {load:.1f}. A service `{NAME}` of one Fargate task.\n\n"
        "| | median | slowest | |\n|---|---:|---:|---:|\n"
        f"| SIGKILL of the task's program to another task RUNNING, by the API | {1000 * a:.0f} ms "
        f"| {1000 * max(ours):.0f} ms | {a / b:.2f} × |\n"
        f"| `docker run -d`, bridge network | {1000 * b:.0f} ms | {1000 * max(theirs):.0f} ms | |\n"
    )
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
