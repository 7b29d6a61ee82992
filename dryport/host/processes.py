"""Processes that outlive who started them: known by process id and start time, so that none is taken for another."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_STEP = 0.01  # seconds
FIRST, LAST = -10, 5  # of what carries users' requests, and of what starts and stops things


def started(pid: int) -> int:
    """When a process started, in clock ticks since the machine did (proc(5)); 0 where it is gone or dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def alive(pid: int, start: int) -> bool:
    """Whether the process that started then still runs."""
    return start != 0 and started(pid) == start


def set_precedence(leader: int, nice: int) -> None:
    """Have a session's processes get the processor before others (negative) or after them, by its leader's id.

    Linux weighs sessions, not processes, against each other (autogroup, sched(7)); containers are in cgroups of their
    own. Nothing where the process leads no session, or Linux does not group them.
    """
    with contextlib.suppress(OSError):
        if os.getsid(leader) == leader:
            Path(f"/proc/{leader}/autogroup").write_text(str(nice))


def kill_group(pid: int, start: int) -> None:
    """Kill a process that leads a group, with what it started, if it still runs; blocks until it is gone."""
    while alive(pid, start):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        time.sleep(_STEP)
