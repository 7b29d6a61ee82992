"""ECS's control plane on a simulated disk: it can be killed at any instant, and starts again on what the disk has."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.control.config import DEFAULT_ACCOUNT, DEFAULT_REGION, Config
from dryport.control.context import Context
from dryport.ec2 import published as ec2
from dryport.ecs.acs.hub import Hub
from dryport.ecs.api import SERVICE
from dryport.ecs.controllers.hooks import Hooks
from dryport.ecs.controllers.instances import InstanceController
from dryport.ecs.controllers.registrations import Registrations
from dryport.ecs.controllers.services import ServiceController
from dryport.ecs.controllers.task_definitions import TaskDefinitionController
from dryport.ecs.controllers.tasks import TaskController
from dryport.ecs.model import CLUSTERS, Cluster
from dryport.ecs.services.model import FUNCTIONS, Functions
from dryport.elb.controllers import Drains
from dryport.gateway.service import Call, principal_of
from dryport.iam import credentials
from dryport.iam.model import CREDENTIALS, Credential
from dryport.store import Change, Reader, StoreUnavailable, Transaction
from dryport.store.memory import MemoryState
from dryport.store.sqlite import SqliteStore
from tests.ecs.control.plane import DEMO
from tests.ecs.simulation.functions import SimulatedFunctions
from tests.ecs.simulation.links import End, link, upgrade
from tests.ecs.simulation.loop import VirtualClock

_SUPERVISOR_SECONDS = 1.0  # until a control plane that died is started again
_LATENCY = (0.0005, 0.02)  # seconds, of a call's way there or back
Observer = Callable[[list[Change[Any]], Transaction], None]
Anew = Callable[[Reader], None]


class Unavailable(Exception):
    """No answer, or one of 5xx: the caller tries again."""


class Disk:
    """What survives. ``full``: it takes nothing."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, str, bytes]] = {}
        self.full = False


class SimulatedStore(SqliteStore):
    """The real store, groups and all, but for SQLite itself. ``observe`` sees each transaction's changes and result."""

    def __init__(self, disk: Disk, observe: Observer, anew: Anew) -> None:
        stored: dict[str, dict[str, bytes]] = {}
        births: dict[str, dict[str, int]] = {}
        for born, (kind, key, body) in sorted(disk.rows.items()):
            stored.setdefault(kind, {})[key] = body
            births.setdefault(kind, {})[key] = born
        sequences = {name: int(number) for name, number in stored.pop("", {}).items()}
        nothing: Any = None
        super().__init__(nothing, MemoryState(stored, sequences), births)
        self._disk = disk
        self._observe = observe
        self._anew = anew
        self._dead = False

    def apply(self, work: Callable[[Transaction], Any]) -> Any:
        if self._dead:
            raise StoreUnavailable("killed")
        before = len(self._gathering.changes) if self._gathering else 0
        result = super().apply(work)
        changes = self._gathering.changes[before:] if self._gathering else ()
        if changes:
            self._observe([change for change, _, _ in changes], self._state)
        return result

    async def settled(self) -> None:
        if self._dead:
            raise StoreUnavailable("killed")
        await super().settled()

    def kill(self, random: Random) -> None:
        """End as ``kill -9`` does: what gathers is lost, what is on its way to the disk has arrived or not."""
        flushing, gathering = self._flushing, self._gathering
        self._flushing = self._gathering = None
        if flushing is not None and not self._disk.full and random.random() < 0.5:
            self._write(flushing)
        self._dead = True
        for group in (flushing, gathering):
            if group is not None:
                group.end(StoreUnavailable("killed"))

    def _execute(self, puts: list[tuple[int, str, str, bytes]], deletes: list[tuple[int]]) -> None:
        if self._dead:
            return
        if self._disk.full:
            raise sqlite3.OperationalError("database or disk is full")
        self._disk.rows.update({born: (kind, key, body) for born, kind, key, body in puts})
        for (born,) in deletes:
            self._disk.rows.pop(born, None)

    def _flushed(self, group: Any, error: BaseException | None) -> None:
        if not self._dead:
            super()._flushed(group, error)
            if error is not None:
                self._anew(self._state)  # what could not be written is undone


class Plane:
    """One control plane, its loops and agents' sessions.

    ``observe`` is told of every transaction; ``anew`` of what there is after some of them were lost: with each start,
    and where the disk is full.
    """

    def __init__(self, random: Random, observe: Observer, anew: Anew) -> None:
        self.random = random
        self._anew = anew
        self.disk = Disk()
        self.up = False
        self.store: SimulatedStore
        self.key: Credential
        self._observe = observe
        self._clock = VirtualClock()
        self._hub: Hub
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ends: list[End] = []
        self._failures: list[BaseException] = []
        self._restarting = asyncio.Lock()
        self._supervising: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it on its disk; again, as the supervisor does, where the disk does not let it."""
        while True:
            self._begin()
            self._anew(self.store.reader)
            try:
                await self.store.transact(self._world)
            except StoreUnavailable:
                await self._kill()
                await self._clock.sleep(_SUPERVISOR_SECONDS)
            else:
                self.up = True
                return

    async def restart(self, seconds: float) -> None:
        """``kill -9``, and so many seconds later a start."""
        async with self._restarting:
            await self._kill()
            await self._clock.sleep(seconds)
            await self.start()

    def _begin(self) -> None:
        self.store = SimulatedStore(self.disk, self._observe, self._anew)
        self.context = Context(self.store, self._clock, self.random, Config(state_dir=Path("/nowhere"), port=4566))
        self._hub = Hub(self.context)
        for loop in (
            self._hub,
            TaskController(self.context),
            InstanceController(self.store, self._clock),
            ServiceController(self.context),
            Registrations(self.context),
            Hooks(self.context, SimulatedFunctions(self.random, self._clock)),
            Drains(self.store, self._clock),
            TaskDefinitionController(self.store, self._clock),
        ):
            self._run(loop.run()).add_done_callback(self._ended)

    def _ended(self, loop: asyncio.Task[Any]) -> None:
        """A loop that ends takes the process with it, and the supervisor starts it anew. Only the disk is a reason."""
        if loop.cancelled():
            return
        error = loop.exception()
        if not isinstance(error, StoreUnavailable):
            self._failures.append(error or RuntimeError("a loop ended"))
        elif self.up:
            self._supervising = asyncio.get_running_loop().create_task(self._supervise(self.store))

    async def _supervise(self, store: SimulatedStore) -> None:
        async with self._restarting:
            if store is self.store:
                await self._kill()
                await self._clock.sleep(_SUPERVISOR_SECONDS)
                await self.start()

    def _world(self, tx: Transaction) -> None:
        found = next(iter(tx.find(CREDENTIALS, "account", DEFAULT_ACCOUNT)), None)
        self.key = found or credentials.create_root_key(tx, self.random, DEFAULT_ACCOUNT)
        if found is None:
            ec2.ensure_region(tx, self.random, DEFAULT_ACCOUNT, DEFAULT_REGION)
            tx.put(FUNCTIONS, Functions(configured=True))
            tx.put(CLUSTERS, Cluster(arn=DEMO, name="demo", account=DEFAULT_ACCOUNT, region=DEFAULT_REGION))

    async def end(self) -> None:
        """``kill -9``, for good."""
        async with self._restarting:
            await self._kill()

    async def _kill(self) -> None:
        self.up = False
        self.store.kill(self.random)
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self._ends:
            await end.close()
        self._tasks.clear()
        self._ends.clear()

    def check(self) -> None:
        """Raise what a loop died of."""
        if self._failures:
            raise self._failures[0]

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call ECS's handler, as the gateway does. Raises Unavailable, ServiceError."""
        await self._clock.sleep(self.random.uniform(*_LATENCY))
        store = self.store
        if not self.up:
            raise Unavailable("connection refused")
        call = Call(
            service="ecs",
            operation=operation,
            request_id="",
            principal=principal_of(self.key),
            region=DEFAULT_REGION,
            now=self._clock.time(),
            store=store,
            clock=self._clock,
            random=self.random,
            host="localhost",
        )
        handler: Any = SERVICE.operations[operation].handler

        def work(tx: Transaction) -> Any:
            call._tx = tx
            return handler(call, request)

        try:
            answer = await store.transact(work)
            await self._clock.sleep(self.random.uniform(*_LATENCY))
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from None
        except ServiceError:
            await self._clock.sleep(self.random.uniform(*_LATENCY))
            raise
        if store is not self.store or not self.up:
            raise Unavailable("killed before the answer left")
        return dict(answer or {})

    async def until_answered(self, operation: str, **request: Any) -> dict[str, Any]:
        """``call`` until there is an answer. Raises ServiceError."""
        while True:
            try:
                return await self.call(operation, **request)
            except Unavailable:
                await self._clock.sleep(self.random.uniform(0.05, 0.5))

    def connect(self, instance_arn: str) -> End:
        """An agent's end of a new control connection. Raises Unavailable; a refused one is closed."""
        if not self.up:
            raise Unavailable("connection refused")
        agent, server = link(self.random)
        self._ends.append(server)
        shake = upgrade(self.key, instance_arn, server, self._clock.time())

        async def serve() -> None:
            try:
                await self._hub.acs(shake)
            finally:
                await server.close()

        task = self._run(serve())
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return agent

    async def write(self, work: Callable[[Transaction], Any]) -> Any:
        """Have another service of the platform write something."""
        while True:
            try:
                return await self.store.transact(work)
            except StoreUnavailable:
                await self._clock.sleep(0.1)

    def _run(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        return task


def tables(changes: Iterable[Change[Any]], name: str) -> list[Change[Any]]:
    """The changes of one table."""
    return [change for change in changes if change.table.name == name]
