"""Processes of the host that may be gone, and whose number may by now be another's."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from dryport.agent.runtime.interface import Data, RuntimeFailure


class Process(Data, frozen=True, kw_only=True):
    """A process, told from a later one of the same number by when it started (clock ticks since boot)."""

    pid: int  # 0: one that had ended before it could be looked at
    ticks: int

    def open(self) -> int | None:
        """A pidfd of it; None where it has ended."""
        if self.pid == 0:
            return None
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if _ticks(self.pid) != self.ticks:
            os.close(handle)
            return None
        return handle

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.pid != 0 and _ticks(self.pid) == self.ticks

    def signal(self, number: int) -> None:
        """Send a signal; nothing where it has ended."""
        handle = self.open()
        if handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            os.close(handle)


def process(pid: int) -> Process:
    """The process that has this number now; 0 if it has ended."""
    ticks = _ticks(pid)
    return Process(pid=0, ticks=0) if ticks is None else Process(pid=pid, ticks=ticks)


def session(members: list[int], leader: int) -> list[int]:
    """Those of ``members`` that are in the session that ``leader`` began."""
    found = []
    for pid in members:
        fields = _stat(pid)
        if fields and int(fields[3]) == leader:
            found.append(pid)
    return found


def signal_number(name: str) -> int:
    """A signal's number by name (``SIGTERM``, ``term``), number, or ``RTMIN+n``. Raises RuntimeFailure."""
    text = name.upper().removeprefix("SIG")
    if text.isdigit() and 0 < int(text) <= 64:
        return int(text)
    for base, least in (("RTMIN", signal.SIGRTMIN), ("RTMAX", signal.SIGRTMAX)):
        if text.startswith(base):
            with suppress(ValueError):
                return int(least) + int(text.removeprefix(base) or 0)
    with suppress(KeyError):
        return int(signal.Signals[f"SIG{text}"])
    raise RuntimeFailure("InvalidSignal", f"Invalid signal: {name}")


def _ticks(pid: int) -> int | None:
    fields = _stat(pid)
    # A zombie has ended: only its parent has not looked yet.
    return int(fields[19]) if fields and fields[0] not in ("Z", "X") else None


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
