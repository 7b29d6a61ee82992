"""SubmitTaskStateChange: every event of a task, in order, until it is acknowledged, through deaths of either side."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import msgspec

from dryport.agent.engine import events
from dryport.agent.identity import Identity, NoCredentials
from dryport.agent.model import Event, TaskRecord
from dryport.agent.state import State
from dryport.client import ApiError, Client, Unreachable

log = logging.getLogger("dryport.agent")
_FIRST_RETRY, _LAST_RETRY = 0.25, 30.0  # seconds
_AT_ONCE = 16


class Submitter:
    """Sends state changes; ``online`` ends a wait early when the control plane is back."""

    def __init__(self, client: Client, identity: Identity) -> None:
        self._client = client
        self._identity = identity
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._online = asyncio.Event()

    def online(self) -> None:
        """The control plane has been heard of: what waits is tried now."""
        self._online.set()

    async def submit(self, task: str, event: Event) -> None:
        """Return once it is acknowledged, or refused for good."""
        delay = _FIRST_RETRY
        while not await self._try(task, event):
            self._online.clear()
            try:
                await asyncio.wait_for(self._online.wait(), delay * random.uniform(0.8, 1.2))
                delay = _FIRST_RETRY
            except TimeoutError:
                delay = min(_LAST_RETRY, delay * 2)

    async def _try(self, task: str, event: Event) -> bool:
        body = events.body(self._identity.cluster, task, event)
        try:
            async with self._slots:
                await self._client.call("ecs", "SubmitTaskStateChange", body, self._identity.credentials())
        except ApiError as error:
            if error.code == "InvalidParameterException":
                log.warning("%s of %s was refused for good: %s", event.status, task, error)
                return True
            log.warning("%s of %s was refused: %s", event.status, task, error)
            return False
        except (Unreachable, NoCredentials) as error:
            log.info("%s of %s could not be submitted: %s", event.status, task, error)
            return False
        return True


class Outbox:
    """One task's events: kept in its record, so that they are as durable as what they tell of."""

    def __init__(self, state: State, record: TaskRecord, submitter: Submitter) -> None:
        self._state = state
        self._record = record
        self._submitter = submitter
        self._busy = False
        self._waiting = asyncio.Event()
        self._gone = False

    def add(self, event: Event) -> None:
        """Have an event sent after those that wait."""
        self._record.outbox = events.append(self._record.outbox, event, first_in_flight=self._busy)
        self.save()
        self._waiting.set()

    def save(self) -> None:
        """Write the task's record."""
        if not self._gone:
            self._state.put("task", self._record.arn, msgspec.json.encode(self._record))

    def forget(self) -> None:
        """Delete the task's record; nothing writes it again."""
        self._gone = True
        self._state.delete("task", self._record.arn)

    async def run(self, idle: Callable[[], None]) -> None:
        """Send events until cancelled; ``idle`` is called whenever all of them are acknowledged."""
        while True:
            while self._record.outbox:
                self._busy = True
                await self._submitter.submit(self._record.arn, self._record.outbox[0])
                self._busy = False
                self._record.outbox = self._record.outbox[1:]
                self.save()
            idle()
            self._waiting.clear()
            await self._waiting.wait()
