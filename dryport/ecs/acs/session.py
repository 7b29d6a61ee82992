"""One agent's control connection.

Level-triggered: whoever changes a task wakes the session, which compares the task as it is with what it has told the
agent on this connection. A new connection starts from the store alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from dryport.aws.identifiers import uuid4
from dryport.control.context import Context
from dryport.ecs.acs import messages, payload, sources
from dryport.ecs.acs.instructions import Instruction, confirmed_stops, instruction
from dryport.ecs.acs.model import TASK_GRANTS
from dryport.ecs.connect import message, tasks
from dryport.ecs.model import CONTAINER_INSTANCES, TASK_DEFINITIONS, TASKS, ContainerInstance, Task
from dryport.gateway.http import WebSocket
from dryport.store import StoreUnavailable, Transaction

HEARTBEAT_SECONDS = 20.0  # AWS's agent gives up after 60 s of silence
SILENCE_SECONDS = 45.0  # the agent answers each heartbeat: the third is not sent where two went unanswered
RESEND_SECONDS = 30.0  # a payload that nobody acknowledged is sent again
log = logging.getLogger("dryport.ecs.acs")


class Session:
    """Speaks ACS with the agent of one container instance until either side closes.

    ``endpoint`` is the platform's URL as the agent reached it; ``versions`` are members of ``ContainerInstance`` that
    the handshake told; ``send_credentials``: the agent has just started and knows no credentials.
    """

    def __init__(
        self,
        context: Context,
        socket: WebSocket,
        instance_arn: str,
        *,
        endpoint: str,
        versions: Mapping[str, str],
        send_credentials: bool,
    ) -> None:
        self.instance_arn = instance_arn
        self.connected = False  # noted in the store
        self._store = context.store
        self._clock = context.clock
        self._random = context.random
        self._socket = socket
        self._endpoint = endpoint
        self._versions = versions
        self._send_credentials = send_credentials
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._told: dict[str, Instruction] = {}
        self._unacknowledged: dict[str, tuple[str, Instruction, float]] = {}  # by message: task, what, when
        self._renewals: dict[str, int] = {}  # of each task's credentials, as the agent knows them
        self._reached: dict[str, Any] = {}  # by each task's Service Connect proxy, as told on this connection
        self._sequence = 0
        self._heard = self._clock.monotonic()
        self._ended = asyncio.Event()

    def look_at(self, task_arns: Iterable[str]) -> None:
        """Have tasks compared with what the agent was told."""
        self._dirty.update(dict.fromkeys(task_arns))
        self._wake.set()

    async def run(self) -> None:
        """Speak until the connection ends. Raises StoreUnavailable where the store cannot keep what it must."""
        instance = await self._store.transact(self._connect)
        if instance is None:
            return
        self.connected = True
        with contextlib.suppress(ConnectionError):
            await self._greet(instance)
            work = (self._listen(), self._speak(instance), self._beat(), self._ended.wait())
            loops: list[asyncio.Task[Any]] = [asyncio.create_task(each) for each in work]
            try:
                done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
                for loop in done:
                    loop.result()
            finally:
                for loop in loops:
                    loop.cancel()
                await asyncio.gather(*loops, return_exceptions=True)

    def end(self) -> None:
        """Have ``run`` return."""
        self._ended.set()

    async def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(ConnectionError):
            await self._socket.close()

    def _connect(self, tx: Transaction) -> ContainerInstance | None:
        instance = tx.get(CONTAINER_INSTANCES, self.instance_arn)
        if instance is None or instance.status == "INACTIVE":
            return None
        instance = replace(
            instance, agent_connected=True, manifest_timeline=instance.manifest_timeline + 1, **self._versions
        )
        tx.put(CONTAINER_INSTANCES, instance)
        return instance

    async def _greet(self, instance: ContainerInstance) -> None:
        await self._socket.send(messages.heartbeat(self._id()))
        tasks = self._store.reader.find(TASKS, "unstopped", self.instance_arn)
        frames = [messages.manifest(instance, self._id(), self._clock.time(), tasks)]
        for task in tasks:
            frames += self._credentials(task, everything=self._send_credentials)
        await self._store.settled()
        for frame in frames:
            await self._socket.send(frame)
        self.look_at(task.arn for task in tasks)

    async def _speak(self, instance: ContainerInstance) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            dirty, self._dirty = self._dirty, {}
            frames: list[str] = []
            for task_arn in dirty:
                frames += self._frames(instance, task_arn)
            if not frames:
                continue
            # What was read may be newer than what is on disk: an agent must not know more than the store. Where the
            # disk refuses, the connection ends, and the next one starts from what is there then.
            await self._store.settled()
            for frame in frames:
                await self._socket.send(frame)

    def _frames(self, instance: ContainerInstance, task_arn: str) -> list[str]:
        reader = self._store.reader
        task = reader.get(TASKS, task_arn)
        if task is None or task.last_status == "STOPPED":
            self._told.pop(task_arn, None)
            self._renewals.pop(task_arn, None)
            self._reached.pop(task_arn, None)
            return []
        what = instruction(task, self.instance_arn, self._told.get(task_arn))
        if what is None:
            return [*self._credentials(task), *self._endpoints(task)] if task.sent else []
        now = self._clock.time()
        if what is Instruction.STOP:
            known = reader.get(CONTAINER_INSTANCES, self.instance_arn)
            if known is None or known.status == "INACTIVE":
                return []  # given up with its tasks; once it returns, the manifest ends what it runs
            definition = reader.get(TASK_DEFINITIONS, task.task_definition_arn)
            body = payload.stop(task, str(definition.revision) if definition else "0")
            return [messages.payload(instance, self._tell(task_arn, what), self._next_sequence(now), now, body)]
        source = sources.source_of(reader, task, self._endpoint)
        if source is None:
            return []  # not prepared yet; the change that prepares it wakes us
        frames: list[str] = []
        if source.interface and task_arn not in self._told:
            interface = payload.interface_json(source.interface)
            message_id = self._tell(task_arn, Instruction.ATTACH)
            frames.append(messages.attach_interface(instance, message_id, now, task, interface))
        if what is Instruction.CONFIRM and source.block_volume:
            attachment = payload.attachment_json(source.block_volume)
            message_id = self._tell(task_arn, what)
            frames.append(messages.confirm_attachment(instance, message_id, now, task, attachment))
        if what is Instruction.START:
            self._remember_renewals(task_arn)
            body, message_id = payload.start(source), self._tell(task_arn, what)
            frames.append(messages.payload(instance, message_id, self._next_sequence(now), now, body))
        return frames

    def _endpoints(self, task: Task) -> list[str]:
        """The message that tells where a task's Service Connect proxy reaches its services, where that is news."""
        if not task.connect:
            return []
        reached = tasks.reached(self._store.reader, task)
        if self._reached.get(task.arn) == reached:
            return []
        self._reached[task.arn] = reached
        return [messages.encode(*message.endpoints(self._id(), task.arn, reached))]

    def _tell(self, task_arn: str, what: Instruction) -> str:
        """Note what a message says of a task; the message's id."""
        message_id = self._id()
        self._told[task_arn] = what
        self._unacknowledged[message_id] = (task_arn, what, self._clock.monotonic())
        return message_id

    def _credentials(self, task: Task, *, everything: bool = False) -> list[str]:
        """The messages with keys that the agent does not know yet; with ``everything`` all of an accepted task's."""
        grant = self._store.reader.get(TASK_GRANTS, task.arn)
        keys = sources.keys_of(self._store.reader, task.arn)
        if grant is None or keys is None or not task.sent:
            return []
        if not everything and grant.renewals == self._renewals.get(task.arn, 0):
            return []
        self._renewals[task.arn] = grant.renewals
        return [
            messages.credentials(self._id(), task.arn, role_type, payload.credentials_json(credentials))
            for role_type, credentials in (("TaskApplication", keys.task), ("TaskExecution", keys.execution))
            if credentials
        ]

    def _remember_renewals(self, task_arn: str) -> None:
        grant = self._store.reader.get(TASK_GRANTS, task_arn)
        self._renewals[task_arn] = grant.renewals if grant else 0

    def _forget(self, task_arns: Iterable[str]) -> None:
        """Nobody acknowledged these: look at them again as if new."""
        forgotten = set(task_arns)
        for task_arn in forgotten:
            self._told.pop(task_arn, None)
            self._renewals.pop(task_arn, None)
        self._unacknowledged = {
            message_id: sent for message_id, sent in self._unacknowledged.items() if sent[0] not in forgotten
        }
        self.look_at(forgotten)

    async def _listen(self) -> None:
        async with asyncio.TaskGroup() as group:
            while (text := await self._socket.receive()) is not None:
                self._heard = self._clock.monotonic()
                frame = messages.decode(text)
                if frame is None:
                    log.warning("%s sent a frame that is no message", self.instance_arn)
                elif frame.type == "AckRequest":
                    group.create_task(self._acknowledged(str(frame.message.get("messageId"))))
                elif frame.type == "TaskStopVerificationMessage":
                    await self._verify_stops(frame.message)
                elif frame.type == "NackRequest":
                    log.info("%s declined message %s", self.instance_arn, frame.message.get("messageId"))

    async def _acknowledged(self, message_id: str) -> None:
        task_arn, what, _ = self._unacknowledged.pop(message_id, (None, None, 0.0))
        if task_arn is None or what is not Instruction.START:
            return

        def mark(tx: Transaction) -> None:
            task = tx.get(TASKS, task_arn)
            if task is not None and task.instance_arn == self.instance_arn and not task.sent:
                tx.put(TASKS, replace(task, sent=True))

        # Not kept: the task is sent again on the next connection, and the agent recognizes it.
        with contextlib.suppress(StoreUnavailable):
            await self._store.transact(mark)

    async def _verify_stops(self, message: Mapping[str, Any]) -> None:
        candidates = [each for each in message.get("stopCandidates") or () if isinstance(each, dict)]
        reader = self._store.reader
        found = (reader.get(TASKS, str(candidate.get("taskArn"))) for candidate in candidates)
        known = {task.arn: task for task in found if task is not None}
        stops = confirmed_stops(candidates, known, self.instance_arn)
        try:
            await self._store.settled()
        except StoreUnavailable:
            return  # the agent asks again on its next connection
        frame = messages.stop_verification(str(message.get("messageId", "")), self._clock.time(), stops)
        await self._socket.send(frame)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            now = self._clock.monotonic()
            if now - self._heard > SILENCE_SECONDS:
                log.warning("%s has been silent for %.0f s", self.instance_arn, now - self._heard)
                return
            await self._socket.send(messages.heartbeat(self._id()))
            overdue = {
                task_arn for task_arn, _, sent_at in self._unacknowledged.values() if now - sent_at > RESEND_SECONDS
            }
            self._forget(overdue)

    def _id(self) -> str:
        return uuid4(self._random)

    def _next_sequence(self, now: float) -> int:
        # Grows through restarts too, without being stored: time does.
        self._sequence = max(self._sequence + 1, int(now * 1000))
        return self._sequence
