"""Sees how instances fare: that a boot is complete, that one ended by itself or was killed, that the driver came back.

After each new connection to the host driver what really runs is compared with what should: strays are removed, and what
should run and does not has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from msgspec.structs import replace

from dryport.control.context import Context
from dryport.ec2 import attachments, lifecycle, model
from dryport.ec2.controllers.metadata import InstanceMetadata
from dryport.ec2.drivers import InstanceDriver
from dryport.ec2.model import Instance
from dryport.host.client import HostError
from dryport.host.messages import InstanceState
from dryport.store import Reader, Transaction, Watch

_FIRST_WAIT, _LAST_WAIT = 0.05, 2.0  # seconds between attempts to reach the driver
_LOOK = 0.5  # seconds between two looks at those that are booting
log = logging.getLogger("dryport.ec2")


class Ends:
    """Runs for as long as the control plane does."""

    def __init__(self, context: Context, driver: InstanceDriver, metadata: InstanceMetadata) -> None:
        self._store = context.store
        self._clock = context.clock
        self._driver = driver
        self._metadata = metadata
        self._wake = asyncio.Event()
        self._waits: dict[asyncio.Task[Mapping[str, InstanceState]], list[str]] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        await self._store.transact(_unpark)
        async with self._store.watch(model.INSTANCES) as watch, asyncio.TaskGroup() as group:
            group.create_task(self._listen(watch))
            wait = _FIRST_WAIT
            while True:
                try:
                    await self._driver.connect()
                    await self._converge()
                    wait = _FIRST_WAIT
                    await self._follow()
                except HostError as error:
                    log.debug("the host driver is away: %s", error)
                finally:
                    await self._let_go()
                await self._clock.sleep(wait)
                wait = min(_LAST_WAIT, wait * 2)

    async def _listen(self, watch: Watch) -> None:
        async for _ in watch:
            self._wake.set()

    async def _converge(self) -> None:
        for vpc_id in self._metadata.existing():
            self._metadata.enqueue(vpc_id)
        running = [each.id for each in _running(self._store.reader)]  # as it was before the driver tells
        states = await self._driver.instances()
        for instance_id in states:
            instance = self._store.reader.get(model.INSTANCES, instance_id)
            if instance is None or instance.disposed:
                await self._driver.delete_instance(instance_id)
        await self._settle(states, running)

    async def _follow(self) -> None:
        """Wait for ends while the driver is there. Each instance is waited for once."""
        lost = asyncio.create_task(self._driver.lost.wait())
        try:
            while not lost.done():
                self._wake.clear()
                watched = {each for ids in self._waits.values() for each in ids}
                running = _running(self._store.reader)
                new = [each.id for each in running if each.id not in watched]
                if new:
                    self._waits[asyncio.create_task(self._driver.await_end(new))] = new
                await self._next_event(lost, look=any(not each.ready for each in running))
        finally:
            lost.cancel()

    async def _next_event(self, lost: asyncio.Task[bool], *, look: bool) -> None:
        woken = asyncio.create_task(self._wake.wait())
        try:
            done, _ = await asyncio.wait(
                [woken, lost, *self._waits],
                timeout=_LOOK if look else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            woken.cancel()
        for task in [each for each in self._waits if each.done()]:
            ids = self._waits.pop(task)
            await self._settle(task.result(), ids)
        if look and not done:
            ids = [each.id for each in _running(self._store.reader) if not each.ready]
            await self._settle(await self._driver.instances(), ids)

    async def _settle(self, states: Mapping[str, InstanceState], ids: list[str]) -> None:
        """Note what is true now of some instances that should run."""
        reader = self._store.reader
        if any(note(reader.get(model.INSTANCES, each), states.get(each)) for each in ids):
            await self._store.transact(lambda tx: _note_all(tx, states, ids))

    async def _let_go(self) -> None:
        waits, self._waits = self._waits, {}
        for task in waits:
            task.cancel()
        for task in waits:
            with contextlib.suppress(asyncio.CancelledError, HostError):
                await task


def note(instance: Instance | None, state: InstanceState | None) -> Instance | None:
    """An instance with what is true of its run, ``None`` where nothing is new. Pure.

    ``state`` is the host driver's, ``None`` where it knows no such instance.
    """
    if instance is None or not _should_run(instance):
        return None
    if state is not None and state.running:
        return replace(instance, ready=state.ready) if state.ready != instance.ready else None
    if state is None:
        return lifecycle.ended(instance, "killed")
    if state.boot == 0:
        return lifecycle.recover(instance)
    if state.boot >= instance.booted:
        return lifecycle.ended(instance, state.ended_by or "killed")
    return None


def _should_run(instance: Instance) -> bool:
    """Whether it came up and nothing else is wanted of it."""
    return instance.state == lifecycle.RUNNING and instance.boot == instance.booted and not instance.parking


def _running(reader: Reader) -> list[Instance]:
    return [each for each in reader.find(model.INSTANCES, "state", lifecycle.RUNNING) if _should_run(each)]


def _note_all(tx: Transaction, states: Mapping[str, InstanceState], ids: list[str]) -> None:
    for instance_id in ids:
        instance = tx.get(model.INSTANCES, instance_id)
        noted = note(instance, states.get(instance_id))
        if instance is None or noted is None:
            continue
        tx.put(model.INSTANCES, noted)
        if noted.boot > instance.boot:
            attachments.plug_in_again(tx, instance_id)


def _unpark(tx: Transaction) -> None:
    """What ``dryport down`` shut down boots again."""
    for state in (lifecycle.PENDING, lifecycle.RUNNING):
        for instance in tx.find(model.INSTANCES, "state", state):
            if instance.parking:
                tx.put(model.INSTANCES, lifecycle.unpark(instance))
                attachments.plug_in_again(tx, instance.id)
