"""A service's own SQLite file beside the store, for what is too much to hold in memory.

Everything that writes runs in one thread, many callers' work in one durable transaction (WAL, ``synchronous=FULL``);
an answer waits for the flush. Reads have connections of their own and see what is durable.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from dryport.store.interface import StoreUnavailable

R = TypeVar("R")
Work = Callable[[sqlite3.Connection], R]


class SqliteFile:
    """Subclasses say what is in the file. Make one with ``open``, in the event loop that will use it.

    ``schema`` is run at each opening. ``kibibytes`` is what each connection may keep of the file in memory.
    """

    name = ""
    schema = ""
    readers = 2
    kibibytes = 2000

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{self.name}-write")
        self._readers = ThreadPoolExecutor(self.readers, thread_name_prefix=f"{self.name}-read")
        self._local = threading.local()
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._flushing: asyncio.Future[None] | None = None

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open, or make with mode 0600, the file at ``path``. Raises StoreUnavailable where that fails."""
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            connection = cls._connect(path)
            connection.execute("PRAGMA page_size=8192")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(cls.schema)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
        return cls(path, connection)

    @classmethod
    def _connect(cls, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{cls.kibibytes}")
        return connection

    async def write(self, work: Work[R]) -> R:
        """Run ``work`` in a transaction and return its result once that is durable.

        An exception from ``work`` undoes what it wrote, nothing else. Raises StoreUnavailable where the write cannot
        be kept.
        """
        future: asyncio.Future[R] = self._loop.create_future()
        self._waiting.append((work, future))
        if self._flushing is None:
            self._flush()
        return await future

    async def read(self, work: Work[R]) -> R:
        """Run ``work``, which only reads, beside the writes: it sees what is durable when it starts."""
        return await self._loop.run_in_executor(self._readers, self._read, work)

    async def close(self) -> None:
        """Make durable what is waiting, then let go of the file."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
            await asyncio.sleep(0)
        self._writer.shutdown()
        self._readers.shutdown()
        self._connection.close()

    def _read(self, work: Work[R]) -> R:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(self._path)
            connection.execute("PRAGMA query_only=ON")
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")

    def _flush(self) -> None:
        group, self._waiting = self._waiting, []
        self._flushing = self._loop.run_in_executor(self._writer, self._commit, group)
        self._flushing.add_done_callback(lambda done: self._flushed())

    def _flushed(self) -> None:
        self._flushing = None
        if self._waiting:
            self._flush()

    def _commit(self, group: list[tuple[Work[Any], asyncio.Future[Any]]]) -> None:
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in group:
                outcomes.append((future, *_attempt(connection, work)))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            lost = StoreUnavailable(f"{self._path.name} could not be written: {error}")
            outcomes = [(future, None, lost) for _, future in group]
        self._loop.call_soon_threadsafe(_settle, outcomes)


def _attempt(connection: sqlite3.Connection, work: Work[R]) -> tuple[R | None, Exception | None]:
    connection.execute("SAVEPOINT work")
    try:
        result = work(connection)
    except sqlite3.Error:
        raise
    except Exception as error:
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return None, error
    connection.execute("RELEASE work")
    return result, None


def _settle(outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, result, error in outcomes:
        if future.done():  # its caller went away
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
