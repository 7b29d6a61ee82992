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
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from dryport.agent.runtime.interface import LogLine

SEGMENT_SIZE = 32 * 1024 * 1024  # bytes at which conmon starts a new file
KEPT = 4
MAX_LINE = 256 * 1024 - 26  # an event of CloudWatch Logs; a longer line comes in parts, as Docker's awslogs does it
_CHUNK = 256 * 1024
_BATCH = 0.01  # seconds to wait for more after a change, so that a chatty container costs few wake-ups

Place = tuple[int, int]  # segment, offset


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


class Entry:
    """A line of a segment, with the place where it starts and the one after it."""

    __slots__ = ("at", "end", "partial", "start", "stream", "text")

    def __init__(self, raw: bytes, start: Place, end: Place) -> None:
        stamp, stream, tag, self.text = raw.split(b" ", 3)
        self.at = timestamp(stamp.decode())
        self.stream = stream.decode()
        self.partial = tag == b"P"
        self.start, self.end = start, end


class Joiner:
    """Joins the parts of lines, a stream at a time, and gives every line the cursor that resumes after it.

    The cursor is ``segment:offset``, and where the other stream is in the middle of a line, also where that line began:
    whoever resumes reads from there on, but only that stream until ``segment:offset`` is reached.
    """

    def __init__(self, cursor: str) -> None:
        self.begin: Place = (0, 0)
        self._given: Place = (0, 0)
        self._only = ""
        self._pending: dict[str, list[Entry]] = {}
        if cursor:
            given, _, pending = cursor.partition("/")
            self.begin = self._given = _place(given)
            if pending:
                self._only, _, began = pending.partition("@")
                self.begin = _place(began)

    def add(self, entry: Entry) -> list[LogLine]:
        """The lines that an entry completes."""
        if entry.end <= self._given and entry.stream != self._only:
            return []
        parts = self._pending.setdefault(entry.stream, [])
        made = []
        if parts and sum(len(part.text) for part in parts) + len(entry.text) > MAX_LINE:
            made.append(self._line(entry.stream))
            parts = self._pending.setdefault(entry.stream, [])
        parts.append(entry)
        if not entry.partial:
            made.append(self._line(entry.stream))
        return made

    def rest(self) -> list[LogLine]:
        """The lines that never got their end."""
        waiting = sorted(self._pending, key=lambda stream: self._pending[stream][0].start)
        return [self._line(stream) for stream in waiting]

    def _line(self, stream: str) -> LogLine:
        parts = self._pending.pop(stream)
        cursor = "{}:{}".format(*max(parts[-1].end, self._given))
        for other, waiting in self._pending.items():
            cursor += "/{}@{}:{}".format(other, *waiting[0].start)
        self._given = max(parts[-1].end, self._given)
        return LogLine(at=parts[0].at, stream=stream, line=b"".join(part.text for part in parts), cursor=cursor)


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
            found.append(Entry(raw, (number, offset), (number, end)))
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


def timestamp(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with nanoseconds (``2026-11-23T17:57:00.123456789+00:00``)."""
    return _second(text[:19] + text[29:]) + int(text[20:29]) / 1e9


@lru_cache(maxsize=64)
def _second(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _place(text: str) -> Place:
    segment, _, offset = text.partition(":")
    return int(segment), int(offset)
