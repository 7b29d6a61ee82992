"""The agent's durable state: named rows in one SQLite file of mode 0600 (it holds credentials).

Writes are collected and committed together by one thread, so that the event loop never waits for the disk; who
needs a write to be durable awaits ``flushed``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_Key = tuple[str, str]

log = logging.getLogger("dryport.agent")


class State:
    """Rows of bytes by kind and key. Raises sqlite3.Error from ``flushed`` where the disk refuses."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS state (kind TEXT, key TEXT, value BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        self._waiting: dict[_Key, bytes | None] = {}
        self._flush: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "state")

    def load(self, kind: str) -> dict[str, bytes]:
        """Every row of a kind, as it is on disk."""
        rows = self._connection.execute("SELECT key, value FROM state WHERE kind = ?", (kind,))
        return {key: bytes(value) for key, value in rows}

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Write a row soon."""
        self._change((kind, key), value)

    def delete(self, kind: str, key: str) -> None:
        """Delete a row soon."""
        self._change((kind, key), None)

    async def flushed(self) -> None:
        """Wait until everything written so far is durable."""
        while self._flush is not None:
            await asyncio.shield(self._flush)

    async def close(self) -> None:
        """Make durable what waits and let go of the file."""
        try:
            await self.flushed()
        except sqlite3.Error:
            log.exception("the agent's last state could not be written")
        self._thread.shutdown()
        self._connection.close()

    def _change(self, key: _Key, value: bytes | None) -> None:
        self._waiting[key] = value
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                try:
                    await loop.run_in_executor(self._thread, self._commit, batch)
                except sqlite3.Error:
                    self._waiting = batch | self._waiting
                    await asyncio.sleep(
                        1.0
                    )  # a full disk: nothing that waits for ``flushed`` goes on before it is well
        finally:
            self._flush = None

    def _commit(self, batch: dict[_Key, bytes | None]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for (kind, key), value in batch.items():
                if value is None:
                    self._connection.execute("DELETE FROM state WHERE kind = ? AND key = ?", (kind, key))
                else:
                    self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (kind, key, value))
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
