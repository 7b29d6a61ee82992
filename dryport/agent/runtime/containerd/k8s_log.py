"""The log that conmon writes: ``<RFC 3339 with nanoseconds> <stream> <F|P> <text>`` a line, P for one that goes on.

A container's log is a row of segments ``log.1``, ``log.2``, …; the newest one is also conmon's own ``log`` (a second
link to the same file). conmon starts a new ``log`` when one is full and drops its own link to the full one; ours keeps
it. So what was printed while the agent was away is still there, and at most ``KEPT`` segments lie on the disk: older
ones go, shipped or not, as with any of Docker's bounded log drivers.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dryport.agent.runtime.interface import LogLine
from dryport.agent.runtime.log_lines import Entry, Joiner, timestamp

SEGMENT_SIZE = 32 * 1024 * 1024  # bytes at which conmon starts a new file
KEPT = 4
_CHUNK = 256 * 1024
_TAIL = 1024 * 1024  # bytes at a log's end in which its last lines begin
_BATCH = 0.01  # seconds to wait for more after a change, so that a chatty container costs few wake-ups


def segments(home: Path) -> list[int]:
    """The numbers of the segments that are there, oldest first."""
    names = (name.removeprefix("log.") for name in os.listdir(home) if name.startswith("log."))
    return sorted(int(name) for name in names if name.isdigit())


def keep_segments(home: Path) -> None:
    """Link conmon's present file as the newest segment, and drop the oldest beyond ``KEPT``. Idempotent."""
    with suppress(FileNotFoundError):
        present = (home / "log").stat().st_ino
        numbers = segments(home)
        newest = numbers[-1] if numbers else 0
        if not newest or (home / f"log.{newest}").stat().st_ino != present:
            os.link(home / "log", home / f"log.{newest + 1}")
            numbers.append(newest + 1)
        for number in numbers[:-KEPT]:
            (home / f"log.{number}").unlink()


def end_lines(home: Path) -> None:
    """End the lines that a run left unfinished, so that those of the next run don't go on with them. Idempotent."""
    with suppress(FileNotFoundError), (home / "log").open("r+b") as log:
        size = log.seek(0, os.SEEK_END)
        begin = max(0, size - _TAIL)
        partial = {entry.stream: entry for entry in entries(os.pread(log.fileno(), _TAIL, begin), 0, 0)}
        for stream, entry in partial.items():
            if entry.partial:
                stamp = datetime.fromtimestamp(int(entry.at), UTC).strftime("%Y-%m-%dT%H:%M:%S")
                log.write(f"{stamp}.{int(entry.at % 1 * 1e9):09d}+00:00 {stream} F \n".encode())


async def read(
    home: Path, cursor: str, ended: Callable[[], bool], changed: Callable[[], Awaitable[None]] | None
) -> AsyncIterator[LogLine]:
    """The lines after ``cursor``; with ``changed`` (which waits for news) until ``ended`` and all has been given."""
    joiner = Joiner(cursor)
    number, offset = joiner.begin
    while True:
        over = changed is None or ended()  # asked before reading: what came before the end is then read
        there = segments(home) if home.exists() else []
        if there and number < there[0]:
            number, offset = there[0], 0
        data = _read(home / f"log.{number}", offset) if there else b""
        if data:
            for entry in entries(data, number, offset):
                offset = entry.end[1]
                for line in joiner.add(entry):
                    yield line
            await asyncio.sleep(0)
        elif there and number < there[-1]:
            number, offset = min(n for n in there if n > number), 0
        elif over:
            break
        else:
            assert changed is not None
            await changed()
            await asyncio.sleep(_BATCH)
    for line in joiner.rest():
        yield line


def entries(data: bytes, number: int, offset: int) -> list[Entry]:
    """The whole lines of ``data``, which lies at ``offset`` of a segment; lines that are none are skipped."""
    found = []
    for raw in data.split(b"\n")[:-1]:
        end = offset + len(raw) + 1
        with suppress(ValueError):
            stamp, stream, tag, text = raw.split(b" ", 3)
            partial = tag == b"P"
            at = timestamp(stamp.decode())
            found.append(Entry(at, stream.decode(), text, partial, (number, offset), (number, end)))
        offset = end
    return found


def _read(file: Path, offset: int) -> bytes:
    """Whole lines from ``offset`` on; nothing where there is no whole one yet."""
    try:
        with file.open("rb") as opened:
            data = os.pread(opened.fileno(), _CHUNK, offset)
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]
