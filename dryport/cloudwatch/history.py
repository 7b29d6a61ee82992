"""Alarms' history in the file of metrics: functions that run on a connection of ``storage.MetricStorage``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from dryport.cloudwatch.model import HistoryItem
from dryport.cloudwatch.storage import DAY

_KEPT = 30 * DAY  # "Amazon CloudWatch alarm history", CloudWatch user guide
_MOST = 100_000  # items of all alarms: those that change every ten seconds would fill the disk
_STEP = 1000


def write(connection: sqlite3.Connection, items: Sequence[HistoryItem]) -> None:
    """Keep what has happened; what is there already stays."""
    connection.executemany(
        "INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (each.number, each.scope, each.alarm, each.type, each.at, each.kind, each.summary, each.data)
            for each in items
        ],
    )


class Wanted(msgspec.Struct, frozen=True):
    """Which items: of an alarm or all, of a kind or all, of these types, of a time (``until`` inclusive)."""

    scope: str
    alarm: str | None
    kind: str | None
    types: Sequence[str]
    since: float
    until: float
    newest_first: bool


def read(connection: sqlite3.Connection, wanted: Wanted, limit: int, offset: int) -> list[HistoryItem]:
    """What has happened, from the item at ``offset`` on."""
    order = "DESC" if wanted.newest_first else "ASC"
    found = connection.execute(
        "SELECT number, scope, alarm, type, at, kind, summary, data FROM history"
        " WHERE scope = ? AND at >= ? AND at <= ?"
        " AND alarm = coalesce(?, alarm) AND kind = coalesce(?, kind)"
        f" AND type IN ({', '.join('?' * len(wanted.types))})"
        f" ORDER BY at {order}, number {order} LIMIT ? OFFSET ?",
        (wanted.scope, wanted.since, wanted.until, wanted.alarm, wanted.kind, *wanted.types, limit, offset),
    )
    names = ("number", "scope", "alarm", "type", "at", "kind", "summary", "data")
    return [HistoryItem(**dict(zip(names, row, strict=True))) for row in found]


def expire(connection: sqlite3.Connection, now: float) -> bool:
    """Delete some of what is too old, or too much; whether there may be more."""
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM history").fetchone()
    gone = connection.execute(
        "SELECT number FROM history WHERE at < ? OR number <= ? LIMIT ?", (now - _KEPT, last - _MOST, _STEP)
    ).fetchall()
    connection.executemany("DELETE FROM history WHERE number = ?", gone)
    return len(gone) == _STEP
