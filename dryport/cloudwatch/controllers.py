"""The loops: what others hand in is written, history is written, old data age, and alarms are evaluated."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from dryport.cloudwatch import history, published, storage
from dryport.cloudwatch.model import ALARMS, HISTORY, INLET
from dryport.cloudwatch.storage import MetricStorage
from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.store import Change, Store, StoreUnavailable, Table, Transaction

_AGING = 60.0  # seconds
_TICK = 10  # seconds: alarms on periods of less than a minute are evaluated so often
_TOGETHER = 50  # alarms that are evaluated in one read
T = TypeVar("T", bound=msgspec.Struct)
log = logging.getLogger("dryport.cloudwatch")


class Intake(Controller):
    """Writes to the file what is handed in and what has happened to alarms, in order, each once."""

    tables = (INLET, HISTORY)
    concurrency = 1

    def __init__(self, store: Store, clock: Clock, file: MetricStorage) -> None:
        super().__init__(store, clock)
        self._file = file

    def existing(self) -> Iterable[str]:
        reader = self.store.reader
        there = {INLET.name: reader.count(INLET), HISTORY.name: reader.count(HISTORY)}
        return [name for name, count in there.items() if count]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        return () if change.new is None else (change.table.name,)

    async def reconcile(self, key: str) -> float | None:
        if key == INLET.name:
            await self._data()
        else:
            await write_history(self.store, self._file)
        return None

    async def _data(self) -> None:
        waiting = sorted(self.store.reader.all(INLET), key=lambda each: each.number)
        await self.store.settled()
        now = int(self.clock.time())

        def write(connection: sqlite3.Connection) -> None:
            for each in waiting:
                storage.put_once(connection, each.number, each.scope, published.data_of(each), now)

        if waiting:
            await self._file.write(write)
            await self.store.transact(lambda tx: _delete(tx, INLET, waiting))


async def write_history(store: Store, file: MetricStorage) -> None:
    """Move what has happened to alarms from the store to the file. Raises StoreUnavailable."""
    waiting = list(store.reader.all(HISTORY))
    await store.settled()
    if waiting:
        await file.write(lambda connection: history.write(connection, waiting))
        await store.transact(lambda tx: _delete(tx, HISTORY, waiting))


def _delete(tx: Transaction, table: Table[T], items: Iterable[T]) -> None:
    for each in items:
        tx.delete(table, table.key(each))


class Aging:
    """Makes old data points longer, and deletes what is too old."""

    def __init__(self, clock: Clock, file: MetricStorage) -> None:
        self._clock, self._file = clock, file

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                log.warning("old data points could not be put together: %s", error)
            await self._clock.sleep(_AGING)

    async def sweep(self) -> None:
        """Do all that is due."""
        if not self._file.there:
            return
        now = self._clock.time()
        while await self._file.write(lambda connection: storage.age(connection, int(now))):
            pass
        while await self._file.write(lambda connection: history.expire(connection, now)):
            pass


class Evaluation:
    """Evaluates metric alarms: each minute, or every ten seconds where their periods are shorter.

    What an alarm is evaluated on ends with a whole minute (or ten seconds). A new or changed one is evaluated at the
    next tick.
    """

    def __init__(self, store: Store, clock: Clock, file: MetricStorage) -> None:
        self._store, self._clock, self._file = store, clock, file
        self._evaluated: dict[str, tuple[int, float]] = {}  # until when, and which configuration

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self.tick()
            except StoreUnavailable as error:
                log.warning("alarms could not be evaluated: %s", error)
            now = self._clock.time()
            await self._clock.sleep(_TICK - (now - storage.LATENESS) % _TICK)

    async def tick(self) -> None:
        """Evaluate the alarms that are due."""
        reader = self._store.reader
        if not reader.count(ALARMS):
            self._evaluated.clear()
            return
        from dryport.cloudwatch import evaluating  # with the parser: not before there are alarms

        until = int(self._clock.time()) - storage.LATENESS
        all_of_them = [(alarm, evaluating.end(alarm, until)) for alarm in reader.all(ALARMS) if not alarm.rule]
        known = {alarm.arn: (end, alarm.configured_at) for alarm, end in all_of_them}
        due = [(alarm, end) for alarm, end in all_of_them if self._evaluated.get(alarm.arn) != known[alarm.arn]]
        for first in range(0, len(due), _TOGETHER):
            await evaluating.evaluate(self._store, self._file, due[first : first + _TOGETHER], self._clock.time())
        self._evaluated = known
