"""The store on one SQLite file: state in memory, every change durable before anyone is told of it.

Transactions run on the event loop, one after the other. Their changes are written in groups: while one group is
being flushed to disk (WAL, ``synchronous=FULL``), the next one gathers, so that many writers share a flush.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from dryport.store.interface import Change, R, Reader, Settled, StoreUnavailable, Table, Transaction
from dryport.store.memory import MemoryState

# Rows lie in the order of their births, and nothing else is indexed: new ones fill few pages, which is what a flush
# costs. Which row is which object's is known in memory.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (born INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL)
"""
_SEQUENCE = ""  # the kind of a sequence's row: its name, and the last number given in decimal digits
_MOST_ROWS = 64  # a statement
_CHECKPOINT_PAGES = 4000  # of 4 KiB in the log before they go into the file


log = logging.getLogger("dryport.store")


class _Group:
    """Changes that will be flushed together, and the waiters for it."""

    def __init__(self) -> None:
        self.changes: list[tuple[Change[Any], bytes | None, bytes | None]] = []
        self.sequences: dict[str, int] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._calls: list[Settled] = []

    def waiter(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future of one's own that ends with the group's flush."""
        future = loop.create_future()
        self._waiters.append(future)
        return future

    def call(self, told: Settled) -> None:
        """Have this called at the group's flush."""
        self._calls.append(told)

    def end(self, error: StoreUnavailable | None) -> None:
        """Tell every waiter that has not gone away."""
        for told in self._calls:
            try:
                told(error)
            except Exception:
                log.exception("what waited for a flush failed")
        for future in self._waiters:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)


# One statement for each number of rows.
_HEAD = "REPLACE INTO rows (born, kind, key, body) VALUES "
_PUT = [_HEAD + ", ".join(["(?, ?, ?, ?)"] * count) for count in range(_MOST_ROWS + 1)]


def _adopt_sequences(connection: sqlite3.Connection) -> None:
    """Older stores kept their sequences in a table of their own: bring them over, once."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sequences'").fetchone() is None:
        return
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("SELECT name, value FROM sequences").fetchall()
    rows = [(_SEQUENCE, name, b"%d" % value) for name, value in found]
    connection.executemany("INSERT INTO rows (kind, key, body) VALUES (?, ?, ?)", rows)
    connection.execute("DROP TABLE sequences")
    connection.execute("COMMIT")


class SqliteStore:
    """Implements ``interface.Store``. One process at a time may open a file; make it with ``open``."""

    def __init__(self, connection: sqlite3.Connection, state: MemoryState, births: dict[str, dict[str, int]]) -> None:
        self._connection = connection
        self._state = state
        # By kind and key; after the opening the writer's thread alone looks at these two.
        self._births = births
        self._born = max((born for kind in births.values() for born in kind.values()), default=0)
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._gathering: _Group | None = None
        self._flushing: _Group | None = None
        self._watches: list[SqliteWatch] = []
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> SqliteStore:
        """Open, or make with mode 0600, the file at ``path``.

        Raises StoreUnavailable where another process has it open or it is no Dryport store.
        """
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute(_SCHEMA)
            _adopt_sequences(connection)
            stored: dict[str, dict[str, bytes]] = {}
            births: dict[str, dict[str, int]] = {}
            for born, kind, key, body in connection.execute("SELECT born, kind, key, body FROM rows ORDER BY born"):
                stored.setdefault(kind, {})[key] = body
                births.setdefault(kind, {})[key] = born
            sequences = {name: int(number) for name, number in stored.pop(_SEQUENCE, {}).items()}
        except sqlite3.Error as error:
            connection.close()
            raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
        return cls(connection, MemoryState(stored, sequences), births)

    @property
    def reader(self) -> Reader:
        return self._state

    async def transact(self, work: Callable[[Transaction], R]) -> R:
        result = self.apply(work)
        await self.settled()
        return result

    def apply(self, work: Callable[[Transaction], R]) -> R:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        state = self._state
        try:
            result = work(state)
        except BaseException:
            state.undo(state.changes)
            state.changes = []
            raise
        if state.changes or state.advanced:
            group = self._gathering
            if group is None:
                group = self._gathering = _Group()
                if self._flushing is None:
                    # At the end of this turn of the loop, with whatever else it brings.
                    self._loop.call_soon(self._flush)
            group.changes.extend(state.changes)
            group.sequences.update(state.advanced)
            state.changes, state.advanced = [], {}
        return result

    async def settled(self) -> None:
        group = self._gathering or self._flushing
        if group is not None:
            await group.waiter(self._loop)

    def once_settled(self, told: Settled) -> None:
        group = self._gathering or self._flushing
        if group is None:
            told(None)
        else:
            group.call(told)

    def _flush(self) -> None:
        group = self._gathering
        if group is None or self._flushing is not None:
            return
        self._gathering, self._flushing = None, group
        written = self._loop.run_in_executor(self._writer, self._write, group)
        written.add_done_callback(lambda future: self._flushed(group, future.exception()))

    def _write(self, group: _Group) -> None:
        latest: dict[tuple[str, str], bytes | None] = {}
        for change, _, encoded in group.changes:
            latest[change.table.name, change.key] = encoded
        for name, number in group.sequences.items():
            latest[_SEQUENCE, name] = b"%d" % number
        puts: list[tuple[int, str, str, bytes]] = []
        deletes: list[tuple[int]] = []
        for (kind, key), encoded in latest.items():
            born = self._births.get(kind, {}).get(key)
            if encoded is not None:
                if born is None:
                    self._born = born = self._born + 1
                puts.append((born, kind, key, encoded))
            elif born is not None:
                deletes.append((born,))
        self._execute(puts, deletes)
        for born, kind, key, _ in puts:
            self._births.setdefault(kind, {})[key] = born
        for (kind, key), encoded in latest.items():
            if encoded is None:
                self._births.get(kind, {}).pop(key, None)

    def _execute(self, puts: list[tuple[int, str, str, bytes]], deletes: list[tuple[int]]) -> None:
        """Write all of it or nothing, in as few statements as can be: each passes the interpreter's lock to and fro."""
        connection = self._connection
        batches = [puts[start : start + _MOST_ROWS] for start in range(0, len(puts), _MOST_ROWS)]
        if len(batches) == 1 and not deletes:
            connection.execute(_PUT[len(puts)], list(chain.from_iterable(puts)))  # a transaction by itself
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for batch in batches:
                connection.execute(_PUT[len(batch)], list(chain.from_iterable(batch)))
            connection.executemany("DELETE FROM rows WHERE born = ?", deletes)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _flushed(self, group: _Group, error: BaseException | None) -> None:
        self._flushing = None
        if error is not None:
            self._give_up(group, error)
            return
        self._flush()  # what gathered meanwhile is written while the others are told
        group.end(None)
        self._notify([change for change, _, _ in group.changes])

    def _give_up(self, group: _Group, error: BaseException) -> None:
        # What gathered meanwhile was decided on state that is now undone, so it goes too.
        refused = [group]
        if self._gathering is not None:
            refused.append(self._gathering)
            self._gathering = None
        for lost in reversed(refused):
            self._state.undo(lost.changes)
        for lost in refused:
            lost.end(StoreUnavailable(f"the state could not be written: {error}"))

    def _notify(self, changes: list[Change[Any]]) -> None:
        for watch in self._watches:
            wanted = [change for change in changes if change.table.name in watch.names]
            if wanted:
                watch.queue.put_nowait(wanted)

    def watch(self, *tables: Table[Any]) -> SqliteWatch:
        watch = SqliteWatch(self._watches, frozenset(table.name for table in tables))
        self._watches.append(watch)
        return watch

    async def close(self) -> None:
        self._closed = True
        while self._gathering is not None or self._flushing is not None:
            await self.settled()
            await asyncio.sleep(0)
        for watch in list(self._watches):
            watch.close()
        self._writer.shutdown()
        self._connection.close()


class SqliteWatch:
    """Implements ``interface.Watch``."""

    def __init__(self, registry: list[SqliteWatch], names: frozenset[str]) -> None:
        self._registry = registry
        self.names = names
        self.queue: asyncio.Queue[list[Change[Any]] | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[list[Change[Any]]]:
        while (changes := await self.queue.get()) is not None:
            yield changes

    def close(self) -> None:
        """End the iteration after what is already queued."""
        if self in self._registry:
            self._registry.remove(self)
            self.queue.put_nowait(None)

    async def __aenter__(self) -> SqliteWatch:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()
