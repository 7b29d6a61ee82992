"""Deleting events for good: functions that run on a connection of ``storage.LogStorage``, a bounded step at a time."""

from __future__ import annotations

import sqlite3

from dryport.logs.admission import EVENT_OVERHEAD

_STEP = 5_000  # events
_PAGES = 500  # pages of the file given back to the system at once
_SLACK = 1_000  # free pages that stay in the file, for what comes next


def groups(connection: sqlite3.Connection) -> list[int]:
    """The groups that hold streams, or have."""
    return [number for (number,) in connection.execute("SELECT log_group FROM groups")]


def expire(connection: sqlite3.Connection, group: int, cutoff: int) -> bool:
    """Delete events of a group whose time stamps are before ``cutoff`` (ms); True while there are more."""
    row = connection.execute(
        "SELECT id FROM streams WHERE log_group = ? AND first < ? LIMIT 1", (group, cutoff)
    ).fetchone()
    if row is None:
        return False
    (stream,) = row
    rows = connection.execute(
        "SELECT timestamp, sequence, length(CAST(message AS BLOB)) FROM events WHERE stream = ? AND timestamp < ? "
        "ORDER BY timestamp, sequence LIMIT ?",
        (stream, cutoff, _STEP),
    ).fetchall()
    if rows:
        connection.execute(
            "DELETE FROM events WHERE stream = ? AND (timestamp, sequence) <= (?, ?)", (stream, *rows[-1][:2])
        )
        size = sum(length + EVENT_OVERHEAD for _, _, length in rows)
        connection.execute("UPDATE streams SET bytes = bytes - ? WHERE id = ?", (size, stream))
        connection.execute("UPDATE groups SET bytes = bytes - ? WHERE log_group = ?", (size, group))
    connection.execute(
        "UPDATE streams SET first = (SELECT min(timestamp) FROM events WHERE stream = ?1) WHERE id = ?1", (stream,)
    )
    return True


def purge(connection: sqlite3.Connection) -> bool:
    """Delete events of deleted streams and give room back to the system; True while there is more to do."""
    row = connection.execute("SELECT stream FROM doomed LIMIT 1").fetchone()
    if row is None:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        for _ in range(min(_PAGES, free - _SLACK)):
            # Python's driver makes one step of a statement without columns, and a step gives back one page.
            connection.execute("PRAGMA incremental_vacuum(1)")
        return bool(free - _SLACK > _PAGES)
    (stream,) = row
    last = connection.execute(
        "SELECT timestamp, sequence FROM events WHERE stream = ? ORDER BY timestamp, sequence LIMIT 1 OFFSET ?",
        (stream, _STEP - 1),
    ).fetchone()
    if last is None:
        connection.execute("DELETE FROM events WHERE stream = ?", (stream,))
        connection.execute("DELETE FROM doomed WHERE stream = ?", (stream,))
    else:
        connection.execute("DELETE FROM events WHERE stream = ? AND (timestamp, sequence) <= (?, ?)", (stream, *last))
    return True
