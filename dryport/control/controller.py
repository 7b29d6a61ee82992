"""A keyed, level-triggered control loop.

A controller names what it watches and how a change maps to keys; ``reconcile`` looks at the state of one key as it
is now and does the next right thing. Events only wake it: a lost, doubled or reordered event changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import islice
from typing import Any

from dryport.control.agenda import Agenda
from dryport.control.clock import Clock
from dryport.store import Change, Store, Table

_FIRST_RETRY = 0.1  # seconds
_LAST_RETRY = 30.0
log = logging.getLogger("dryport.control")


class Controller(ABC):
    """Base of the controllers: override ``tables``, ``existing``, ``keys`` and ``reconcile``.

    Different keys are reconciled at the same time (``concurrency`` of them); one key never twice at once. A failure
    is logged and tried again with growing delays (0.1 s to 30 s).
    """

    tables: tuple[Table[Any], ...] = ()
    concurrency: int = 64

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._wanted: dict[str, None] = {}
        self._running: set[str] = set()
        self._agenda = Agenda(clock, self.enqueue)
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()

    def existing(self) -> Iterable[str]:
        """The keys to look at when the controller starts."""
        return ()

    def keys(self, change: Change[Any]) -> Iterable[str]:
        """The keys that a change concerns."""
        return (change.key,)

    @abstractmethod
    async def reconcile(self, key: str) -> float | None:
        """Bring one key nearer to what is wanted; idempotent.

        Return seconds after which to look again even if nothing changes, or ``None``.
        """

    def enqueue(self, key: str) -> None:
        """Have a key looked at soon."""
        self._agenda.drop(key)
        self._wanted[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with self.store.watch(*self.tables) as watch, asyncio.TaskGroup() as group:
            for key in self.existing():
                self.enqueue(key)
            group.create_task(self._follow(watch))
            group.create_task(self._agenda.run())
            while True:
                await self._wake.wait()
                self._wake.clear()
                room = max(0, self.concurrency - len(self._running))
                for key in list(islice((key for key in self._wanted if key not in self._running), room)):
                    del self._wanted[key]
                    self._running.add(key)
                    group.create_task(self._attend(key))

    async def _follow(self, watch: Any) -> None:
        async for changes in watch:
            for change in changes:
                for key in self.keys(change):
                    self.enqueue(key)

    async def _attend(self, key: str) -> None:
        try:
            again = await self.reconcile(key)
            self._failures.pop(key, None)
        except Exception:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            again = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** (failures - 1))
            log.exception("%s could not reconcile %s; again in %.1f s", type(self).__name__, key, again)
        finally:
            self._running.discard(key)
            self._wake.set()
        if again is not None and key not in self._wanted:
            self._agenda.set(key, again)
