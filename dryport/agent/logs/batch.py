"""Lines into events, events into requests: pure.

Limits: "PutLogEvents", CloudWatch Logs API reference. An event counts its UTF-8 bytes plus 26.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dryport.agent.runtime import LogLine

OVERHEAD = 26
MAX_EVENT = (256 << 10) - OVERHEAD
MAX_BYTES = 1 << 20
MAX_EVENTS = 10_000
_MAX_SPAN = 24 * 3600 * 1000  # ms


class LogEvent(NamedTuple):
    """An event: ms since the epoch, text, and the cursor after which reading goes on once it is shipped."""

    timestamp: int
    message: str
    cursor: str

    @property
    def size(self) -> int:
        """What it counts towards a request's limit, in bytes."""
        return len(self.message.encode()) + OVERHEAD


class Joiner:
    """Joins lines into events: with a pattern, every line that does not match it belongs to the event before."""

    def __init__(self, first_line: re.Pattern[bytes] | None) -> None:
        self._first_line = first_line
        self._held: list[LogLine] = []
        self._bytes = 0

    @property
    def holds(self) -> bool:
        """Whether an event waits for its next line."""
        return bool(self._held)

    def add(self, line: LogLine) -> list[LogEvent]:
        """The events that a further line completes."""
        if self._first_line is None:
            return list(split([line]))
        done: list[LogEvent] = []
        if self._held and (self._first_line.search(line.line) or self._bytes + len(line.line) > MAX_EVENT):
            done = self.flush()
        self._held.append(line)
        self._bytes += len(line.line) + 1
        return done

    def flush(self) -> list[LogEvent]:
        """The event that is being joined, as far as it has come."""
        held, self._held, self._bytes = self._held, [], 0
        return list(split(held)) if held else []


def split(lines: list[LogLine]) -> Iterator[LogEvent]:
    """One event of these lines, or several where it is too long; none where they are empty (CloudWatch refuses it)."""
    text = b"\n".join(line.line for line in lines).decode(errors="replace")
    at, cursor = round(lines[0].at * 1000), lines[-1].cursor
    pieces = list(_pieces(text))
    for number, piece in enumerate(pieces, 1):
        # Only the last piece moves the cursor past the line.
        yield LogEvent(at, piece, cursor if number == len(pieces) else "")


def _pieces(text: str) -> Iterator[str]:
    data = text.encode()
    while len(data) > MAX_EVENT:
        cut = MAX_EVENT
        while data[cut] & 0xC0 == 0x80:  # within a character
            cut -= 1
        yield data[:cut].decode()
        data = data[cut:]
    if data:
        yield data.decode()


def batches(events: list[LogEvent]) -> Iterator[list[LogEvent]]:
    """The events as requests, each within the limits and in order of time."""
    batch: list[LogEvent] = []
    size, first, last = 0, 0, 0
    for event in events:
        first, last = min(first, event.timestamp), max(last, event.timestamp)
        full = len(batch) >= MAX_EVENTS or size + event.size > MAX_BYTES or last - first > _MAX_SPAN
        if batch and full:
            yield sorted(batch, key=lambda e: e.timestamp)
            batch, size = [], 0
        if not batch:
            first = last = event.timestamp
        batch.append(event)
        size += event.size
    if batch:
        yield sorted(batch, key=lambda e: e.timestamp)
