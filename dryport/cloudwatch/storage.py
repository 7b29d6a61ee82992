"""The file of metrics, their data points, and alarms' history; made when the first of these is written or asked for.

A data point is a row: a metric's values of a unit in an interval of 1, 60, 300 or 3600 seconds (``resolution``). Rows
are made longer as they age, as CloudWatch's are (``retention``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from dryport.cloudwatch import summaries
from dryport.cloudwatch.summaries import Summary
from dryport.store.file import SqliteFile, Work

R = TypeVar("R")
SECOND, MINUTE, FIVE_MINUTES, HOUR = 1, 60, 300, 3600
DAY = 86400
# For how long rows of a resolution are kept as they are, and which they become then ("GetMetricStatistics").
TIERS = ((SECOND, 3 * HOUR, MINUTE), (MINUTE, 15 * DAY, FIVE_MINUTES), (FIVE_MINUTES, 63 * DAY, HOUR))
KEPT = 455 * DAY
LATENESS = 2  # seconds after its end that a period is taken to have all its data
_LISTED = 14 * DAY  # ListMetrics has those with data since
_STEP = 500  # rows, or metrics, a transaction
_SCHEMA = """
CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    dimensions TEXT NOT NULL, last INTEGER NOT NULL,
    UNIQUE (scope, namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS points (
    metric INTEGER NOT NULL, resolution INTEGER NOT NULL, at INTEGER NOT NULL, unit TEXT NOT NULL,
    count REAL NOT NULL, total REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, distribution BLOB,
    PRIMARY KEY (metric, resolution, at, unit)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS points_by_age ON points (resolution, at);
CREATE TABLE IF NOT EXISTS history (
    number INTEGER PRIMARY KEY, scope TEXT NOT NULL, alarm TEXT NOT NULL, type TEXT NOT NULL, at REAL NOT NULL,
    kind TEXT NOT NULL, summary TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS history_by_time ON history (scope, at);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counters VALUES ('inlet', 0);
"""


class _File(SqliteFile):
    name = "metrics"
    schema = _SCHEMA
    readers = 1
    kibibytes = 256


class MetricStorage:
    """The file, which is opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: _File | None = None

    @property
    def there(self) -> bool:
        """Whether anything was ever written."""
        return self._file is not None or self._path.exists()

    async def write(self, work: Work[R]) -> R:
        """``SqliteFile.write``."""
        return await self._opened().write(work)

    async def read(self, work: Work[R]) -> R:
        """``SqliteFile.read``."""
        return await self._opened().read(work)

    def _opened(self) -> _File:
        if self._file is None:
            self._file = _File.open(self._path)
        return self._file


class Metric(msgspec.Struct, frozen=True):
    """``dimensions`` are names with values, sorted."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


class Datum(msgspec.Struct, frozen=True):
    """What is put: values of an interval of 1 or 60 seconds that begins ``at``."""

    metric: Metric
    resolution: int
    at: int
    unit: str
    summary: Summary


class Row(msgspec.Struct, frozen=True):
    """A data point as it is stored."""

    resolution: int
    at: int
    unit: str
    summary: Summary


def metric(namespace: str, name: str, dimensions: Iterable[tuple[str, str]]) -> Metric:
    """A metric, whatever the order of its dimensions."""
    return Metric(namespace, name, tuple(sorted(dimensions)))


def put(connection: sqlite3.Connection, scope: str, data: Sequence[Datum], now: int) -> None:
    """Add values to what is there of their intervals."""
    for each in data:
        _add(connection, _made(connection, scope, each.metric, now), each, now)


def put_once(connection: sqlite3.Connection, number: int, scope: str, data: Sequence[Datum], now: int) -> None:
    """Add what another service handed in, unless that was done: numbers grow."""
    (done,) = connection.execute("SELECT value FROM counters WHERE name = 'inlet'").fetchone()
    if number > done:
        put(connection, scope, data, now)
        connection.execute("UPDATE counters SET value = ? WHERE name = 'inlet'", (number,))


def _made(connection: sqlite3.Connection, scope: str, metric: Metric, now: int) -> int:
    key = (scope, metric.namespace, metric.name, _written(metric.dimensions))
    found = connection.execute(
        "INSERT INTO metrics (scope, namespace, name, dimensions, last) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET last = max(last, excluded.last) RETURNING id",
        (*key, now),
    ).fetchone()
    return int(found[0])


def _add(connection: sqlite3.Connection, number: int, datum: Datum, now: int) -> None:
    resolution = datum.resolution
    for short, age, longer in TIERS:  # what comes late is stored as it would be by now
        if resolution == short and datum.at < now - age:
            resolution = longer
    _fold(connection, (number, resolution, datum.at - datum.at % resolution, datum.unit), datum.summary)


def _fold(connection: sqlite3.Connection, key: tuple[int, int, int, str], summary: Summary) -> None:
    there = connection.execute(
        "SELECT count, total, low, high, distribution FROM points"
        " WHERE metric = ? AND resolution = ? AND at = ? AND unit = ?",
        key,
    ).fetchone()
    if there is not None:
        summary = summaries.unpacked(*there).plus(summary)
    connection.execute(
        "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*key, summary.count, summary.total, summary.low, summary.high, summaries.packed(summary)),
    )


def rows(
    connection: sqlite3.Connection, scope: str, metric: Metric, start: int, end: int, unit: str | None
) -> Iterator[Row]:
    """The data points of a metric from ``start`` to ``end`` (exclusive), of one unit or of all, in no order."""
    found = connection.execute(
        "SELECT id FROM metrics WHERE scope = ? AND namespace = ? AND name = ? AND dimensions = ?",
        (scope, metric.namespace, metric.name, _written(metric.dimensions)),
    ).fetchone()
    if found is None:
        return
    for resolution in (SECOND, MINUTE, FIVE_MINUTES, HOUR):
        for at, known, *stored in connection.execute(
            "SELECT at, unit, count, total, low, high, distribution FROM points"
            " WHERE metric = ? AND resolution = ? AND at >= ? AND at < ?",
            (found[0], resolution, start, end),
        ):
            if unit is None or known == unit:
                yield Row(resolution, at, known, summaries.unpacked(*stored))


def listed(
    connection: sqlite3.Connection,
    scope: str,
    wanted: tuple[str | None, str | None],
    dimensions: Sequence[tuple[str, str | None]],
    since: int,
    after: int,
    limit: int,
) -> list[tuple[int, Metric]]:
    """Metrics with data put since a time, with their numbers, from after a number on: up to ``limit``.

    ``wanted`` are a namespace and a name, ``None`` for any; ``dimensions`` are those it must have, with any value
    where that is ``None``.
    """
    found: list[tuple[int, Metric]] = []
    cursor = connection.execute(
        "SELECT id, namespace, name, dimensions FROM metrics WHERE id > ? AND scope = ? AND last >= ?"
        " AND namespace = coalesce(?, namespace) AND name = coalesce(?, name) ORDER BY id",
        (after, scope, since, *wanted),
    )
    for number, namespace, name, text in cursor:
        each = Metric(namespace, name, msgspec.json.decode(text, type=tuple[tuple[str, str], ...]))
        here = dict(each.dimensions)
        if all(key in here and value in (None, here[key]) for key, value in dimensions):
            found.append((number, each))
            if len(found) == limit:
                break
    return found


def listed_since(now: float, *, recent: bool) -> int:
    """Since when a metric has to have data to be listed."""
    return int(now) - (3 * HOUR if recent else _LISTED)


def age(connection: sqlite3.Connection, now: int) -> bool:
    """Make longer, or delete, some of what is old enough; whether there may be more."""
    for short, kept, longer in TIERS:
        cutoff = now - kept
        cutoff -= cutoff % longer
        found = connection.execute(
            "SELECT metric, at, unit, count, total, low, high, distribution FROM points"
            " WHERE resolution = ? AND at < ? ORDER BY at LIMIT ?",
            (short, cutoff, _STEP),
        ).fetchall()
        for number, at, unit, *stored in found:
            _fold(connection, (number, longer, at - at % longer, unit), summaries.unpacked(*stored))
            connection.execute(
                "DELETE FROM points WHERE metric = ? AND resolution = ? AND at = ? AND unit = ?",
                (number, short, at, unit),
            )
        if len(found) == _STEP:
            return True
    gone = connection.execute(
        "SELECT metric, at, unit FROM points WHERE resolution = ? AND at < ? LIMIT ?", (HOUR, now - KEPT, _STEP)
    ).fetchall()
    connection.executemany(f"DELETE FROM points WHERE metric = ? AND resolution = {HOUR} AND at = ? AND unit = ?", gone)
    if len(gone) == _STEP:
        return True
    connection.execute("DELETE FROM metrics WHERE last < ?", (now - KEPT,))
    connection.execute("PRAGMA incremental_vacuum(64)")
    return False


def _written(dimensions: tuple[tuple[str, str], ...]) -> str:
    return msgspec.json.encode(dimensions).decode()
