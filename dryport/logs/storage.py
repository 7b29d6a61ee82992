"""The file of streams and events. Events of a stream lie together, in order of their time stamps, so that a page is one
range.
"""

from __future__ import annotations

from dryport.store.file import SqliteFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT, log_group INTEGER NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
    first INTEGER, last INTEGER, ingested INTEGER, bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (log_group, name)
);
CREATE INDEX IF NOT EXISTS streams_by_last ON streams (log_group, coalesce(last, 0), name);
CREATE TABLE IF NOT EXISTS events (
    stream INTEGER NOT NULL, timestamp INTEGER NOT NULL, sequence INTEGER NOT NULL,
    ingested INTEGER NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (stream, timestamp, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups (log_group INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
-- Streams that are deleted but whose events still take room.
CREATE TABLE IF NOT EXISTS doomed (stream INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counters VALUES ('sequence', 0);
"""


class LogStorage(SqliteFile):
    """The file of streams and events."""

    name = "logs"
    schema = _SCHEMA
