"""Streams in the event storage: functions that run on a connection of ``storage.LogStorage``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Stream(NamedTuple):
    """A log stream. Times are milliseconds since the epoch, ``None`` while it has had no event."""

    id: int
    name: str
    created: int
    first: int | None
    last: int | None
    ingested: int | None


_COLUMNS = "id, name, created, first, last, ingested"


def find(connection: sqlite3.Connection, group: int, name: str) -> Stream | None:
    """The stream of this name in a group, or ``None``."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM streams WHERE log_group = ? AND name = ?", (group, name)
    ).fetchone()
    return None if row is None else Stream(*row)


def create(connection: sqlite3.Connection, group: int, name: str, now: int) -> bool:
    """Make a stream; False where there is one of this name."""
    connection.execute("INSERT OR IGNORE INTO groups VALUES (?, 0)", (group,))
    made = connection.execute(
        "INSERT OR IGNORE INTO streams (log_group, name, created) VALUES (?, ?, ?)", (group, name, now)
    )
    return made.rowcount == 1


def delete(connection: sqlite3.Connection, group: int, name: str) -> bool:
    """Delete a stream: its events are out of sight at once, and gone once ``purge`` comes by."""
    row = connection.execute("SELECT id, bytes FROM streams WHERE log_group = ? AND name = ?", (group, name)).fetchone()
    if row is None:
        return False
    stream, size = row
    connection.execute("DELETE FROM streams WHERE id = ?", (stream,))
    connection.execute("INSERT INTO doomed VALUES (?)", (stream,))
    connection.execute("UPDATE groups SET bytes = bytes - ? WHERE log_group = ?", (size, group))
    return True


def delete_group(connection: sqlite3.Connection, group: int) -> None:
    """Delete whatever a group holds, as ``delete`` does."""
    connection.execute("INSERT INTO doomed SELECT id FROM streams WHERE log_group = ?", (group,))
    connection.execute("DELETE FROM streams WHERE log_group = ?", (group,))
    connection.execute("DELETE FROM groups WHERE log_group = ?", (group,))


def group_bytes(connection: sqlite3.Connection, groups: Sequence[int]) -> dict[int, int]:
    """How many bytes each of these groups holds; a group that never had a stream is left out."""
    marks = ",".join("?" * len(groups))
    rows = connection.execute(f"SELECT log_group, bytes FROM groups WHERE log_group IN ({marks})", groups)
    return dict(rows.fetchall())


def by_name(
    connection: sqlite3.Connection, group: int, prefix: str, after: str | None, descending: bool, limit: int
) -> list[Stream]:
    """Up to ``limit`` streams whose names start with ``prefix``, in order of their names, beyond ``after``."""
    wanted, values = _prefixed(prefix)
    if after is not None:
        wanted += " AND name < ?" if descending else " AND name > ?"
        values.append(after)
    direction = "DESC" if descending else "ASC"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM streams WHERE log_group = ? AND {wanted} ORDER BY name {direction} LIMIT ?",
        (group, *values, limit),
    )
    return [Stream(*row) for row in rows]


def by_last_event(
    connection: sqlite3.Connection, group: int, after: tuple[int, str] | None, descending: bool, limit: int
) -> list[Stream]:
    """Up to ``limit`` streams in order of their last events' time stamps (0 without events), then of their names."""
    direction = "DESC" if descending else "ASC"
    beyond = "" if after is None else f"AND (coalesce(last, 0), name) {'<' if descending else '>'} (?, ?)"
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM streams WHERE log_group = ? {beyond} "
        f"ORDER BY coalesce(last, 0) {direction}, name {direction} LIMIT ?",
        (group, *(after or ()), limit),
    )
    return [Stream(*row) for row in rows]


def with_events(
    connection: sqlite3.Connection, group: int, names: Iterable[str] | None, prefix: str, start: int, end: int
) -> list[tuple[int, str]]:
    """Ids and names of the streams, of these names or this prefix, that may have events from ``start`` to ``end``."""
    overlap = "first <= ? AND last >= ?"
    if names is not None:
        wanted, values = f"name IN ({','.join('?' * len(names := list(names)))})", list(names)
    else:
        wanted, values = _prefixed(prefix)
    rows = connection.execute(
        f"SELECT id, name FROM streams WHERE log_group = ? AND {wanted} AND {overlap}", (group, *values, end, start)
    )
    return rows.fetchall()


def _prefixed(prefix: str) -> tuple[str, list[str]]:
    if not prefix:
        return "1", []
    # No name of a stream goes beyond U+10FFFF, so this range is exactly the names with the prefix.
    return "name >= ? AND name < ?", [prefix, prefix + "\U0010ffff" * 2]
