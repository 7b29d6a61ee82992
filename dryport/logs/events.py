"""Events in the event storage: functions that run on a connection of ``storage.LogStorage``."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from dryport.logs.admission import EVENT_OVERHEAD
from dryport.logs.tokens import Position

PAGE_EVENTS = 10_000
PAGE_BYTES = 1_048_576
_SCANNED = 50_000  # events that one call of ``search`` looks at


class Event(NamedTuple):
    """A stored event. Times are milliseconds since the epoch."""

    timestamp: int
    sequence: int
    ingested: int
    message: str
    stream: str = ""

    @property
    def position(self) -> Position:
        return Position(self.timestamp, self.sequence)


class Found(NamedTuple):
    """What one call of ``search`` found, and where the next one goes on (``None``: nothing is left)."""

    events: list[Event]
    next: Position | None


def append(
    connection: sqlite3.Connection, group: int, name: str, batch: Sequence[tuple[int, str]], size: int, now: int
) -> int | None:
    """Append time-ordered ``(timestamp, message)`` pairs; the last sequence number, or ``None`` without such a stream.

    ``size`` is what the batch counts towards stored bytes. An empty batch changes nothing.
    """
    row = connection.execute("SELECT id FROM streams WHERE log_group = ? AND name = ?", (group, name)).fetchone()
    if row is None:
        return None
    (stream,) = row
    (sequence,) = connection.execute("SELECT value FROM counters WHERE name = 'sequence'").fetchone()
    if not batch:
        return int(sequence)
    connection.executemany(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
        ((stream, stamp, number, now, text) for number, (stamp, text) in enumerate(batch, sequence + 1)),
    )
    connection.execute(
        "UPDATE streams SET first = min(coalesce(first, ?1), ?1), last = max(coalesce(last, ?2), ?2), "
        "ingested = ?3, bytes = bytes + ?4 WHERE id = ?5",
        (batch[0][0], batch[-1][0], now, size, stream),
    )
    connection.execute("UPDATE groups SET bytes = bytes + ? WHERE log_group = ?", (size, group))
    sequence += len(batch)
    connection.execute("UPDATE counters SET value = ? WHERE name = 'sequence'", (sequence,))
    return int(sequence)


def page(
    connection: sqlite3.Connection, stream: int, after: Position, before: Position, limit: int, backward: bool
) -> list[Event]:
    """Up to ``limit`` events, or 1 MB, strictly between two positions: the first of them, or the last (``backward``).

    The oldest comes first either way.
    """
    found: list[Event] = []
    room = PAGE_BYTES
    for event in _range(connection, stream, "", after, before, backward):
        room -= len(event.message) + EVENT_OVERHEAD
        if found and room < 0:
            break
        found.append(event)
        if len(found) == limit:
            break
    return found[::-1] if backward else found


def search(
    connection: sqlite3.Connection,
    streams: Sequence[tuple[int, str]],
    after: Position,
    before: Position,
    limit: int,
    backward: bool,
    matches: Callable[[str], bool] | None,
) -> Found:
    """The events of several streams strictly between two positions that match, interleaved by time.

    Stops at ``limit`` events, 1 MB, or after a bounded amount of work; go on from ``Found.next``.
    """
    found: list[Event] = []
    room = PAGE_BYTES
    last = before if backward else after
    ranges = [_range(connection, stream, name, after, before, backward) for stream, name in streams]
    merged = heapq.merge(*ranges, key=itemgetter(0, 1), reverse=backward)
    for scanned, event in enumerate(merged):
        if len(found) == limit or scanned == _SCANNED:
            return Found(found, last)
        if matches is None or matches(event.message):
            room -= len(event.message) + EVENT_OVERHEAD
            if found and room < 0:
                return Found(found, last)
            found.append(event)
        last = event.position
    return Found(found, None)


def _range(
    connection: sqlite3.Connection, stream: int, name: str, after: Position, before: Position, backward: bool
) -> Iterator[Event]:
    direction = "DESC" if backward else "ASC"
    rows = connection.execute(
        "SELECT timestamp, sequence, ingested, message FROM events WHERE stream = ? "
        f"AND (timestamp, sequence) > (?, ?) AND (timestamp, sequence) < (?, ?) "
        f"ORDER BY timestamp {direction}, sequence {direction}",
        (stream, *after, *before),
    )
    for timestamp, sequence, ingested, message in rows:
        yield Event(timestamp, sequence, ingested, message, name)
