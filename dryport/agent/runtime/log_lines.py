"""Lines put together again out of the parts in which a log keeps them, with cursors to resume after each.

A ``Place`` is a pair of numbers that grows along the log: segment and offset, or time and count.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from dryport.agent.runtime.interface import LogLine

MAX_LINE = 256 * 1024 - 26  # an event of CloudWatch Logs; a longer line comes in parts, as Docker's awslogs does it

Place = tuple[int, int]


class Entry:
    """A part of a line, or all of it; ``start`` and ``end`` are the places before and after it."""

    __slots__ = ("at", "end", "partial", "start", "stream", "text")

    def __init__(self, at: float, stream: str, text: bytes, partial: bool, start: Place, end: Place) -> None:
        self.at, self.stream, self.text, self.partial = at, stream, text, partial
        self.start, self.end = start, end


class Joiner:
    """Joins the parts of lines, a stream at a time, and gives every line the cursor that resumes after it.

    The cursor is ``place``, and where the other stream is in the middle of a line, also where that line began:
    whoever resumes reads from there on, but only that stream until ``place`` is reached.
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


def timestamp(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with nanoseconds (``2026-11-23T17:57:00.123456789+00:00``, or Z)."""
    return _second(text[:19] + text[29:]) + int(text[20:29]) / 1e9


def nanoseconds(text: str) -> int:
    """The same in whole nanoseconds, which a float cannot hold."""
    return round(_second(text[:19] + text[29:])) * 1_000_000_000 + int(text[20:29])


@lru_cache(maxsize=64)
def _second(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _place(text: str) -> Place:
    first, _, second = text.partition(":")
    return int(first), int(second)
