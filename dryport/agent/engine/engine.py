"""The engine: which tasks there are, who runs them, and what becomes of what is left of them."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Coroutine
from typing import Any

import msgspec

from dryport.agent.connect.ways import Reached
from dryport.agent.engine import accept, block_volumes, events, file_systems, sandbox
from dryport.agent.engine.actor import TaskActor
from dryport.agent.engine.errors import TaskFailure
from dryport.agent.engine.host import Host
from dryport.agent.engine.messages import ContainerExited, Observed, Stop
from dryport.agent.engine.provision import release, remove_files
from dryport.agent.engine.submit import Outbox, Submitter
from dryport.agent.model import Event, TaskRecord, TaskStatus
from dryport.agent.payload import Attachment, Credentials, NetworkInterface, Task
from dryport.agent.runtime import ContainerState, RuntimeFailure

log = logging.getLogger("dryport.agent")
_LOOK_AGAIN = 30.0  # seconds between looks at every container, in case an event was lost
_REMEMBER = 3 * 3600.0  # seconds for which a task that is over is not run again


class Finished(msgspec.Struct):
    """What is remembered of a task that is over: should it be sent again, this is said again."""

    at: float
    event: Event


class Engine:
    """All tasks of this agent."""

    def __init__(self, host: Host, submitter: Submitter) -> None:
        self._host = host
        self._submitter = submitter
        self._actors: dict[str, TaskActor] = {}
        self._records: dict[str, TaskRecord] = {}
        self._finished: dict[str, Finished] = {}
        self._owners: dict[str, tuple[str, str]] = {}  # container id: task, container
        self._attached: set[str] = set()
        self._mounting: dict[str, asyncio.Task[None]] = {}  # by task: its volume, before it is here itself
        self._tasks: set[asyncio.Task[Any]] = set()
        self._recovered = asyncio.Event()

    @property
    def records(self) -> dict[str, TaskRecord]:
        """The tasks that run or whose end is not yet acknowledged and cleaned, by ARN."""
        return self._records

    def load(self) -> None:
        """Read what an earlier agent left."""
        state = self._host.state
        now = time.time()
        for arn, row in state.load("task").items():
            self._records[arn] = msgspec.json.decode(row, type=TaskRecord)
        for arn, row in state.load("finished").items():
            finished = msgspec.json.decode(row, type=Finished)
            if finished.at + _REMEMBER > now:
                self._finished[arn] = finished
            else:
                state.delete("finished", arn)

    async def run(self) -> None:
        """Take up the tasks that were there, then follow the containers' ends. Runs until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                in_use = {r.namespace for r in self._records.values() if r.namespace}
                await self._host.network.sweep(in_use=in_use)
                if self._host.runtime.sandboxes is None:
                    group.create_task(self._host.network.fill())
                await self._recover()
                group.create_task(self._follow_exits())
                group.create_task(self._look_now_and_then())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._host.network.empty()

    # Taking up what was there

    async def _recover(self) -> None:
        here = {record.payload.id for record in self._records.values()}
        await asyncio.to_thread(file_systems.sweep, self._host.settings, here)
        await asyncio.to_thread(block_volumes.sweep, here)
        states = await self._host.patiently(self._host.runtime.containers)
        for record in self._records.values():
            self._run(record, {s.id: s for s in states})
        known = self._owners.keys()
        for state in states:
            if state.id not in known:
                log.warning("container %s belongs to no task that is known here: removed", state.id)
                self._spawn(self._remove(state.id))
        self._recovered.set()

    async def _follow_exits(self) -> None:
        while True:
            try:
                async for end in self._host.runtime.exits():
                    if owner := self._owners.get(end.id):
                        task, name = owner
                        self._tell(task, ContainerExited(name, end.exit_code, end.at, end.out_of_memory))
            except RuntimeFailure as failure:
                log.warning("the containers' ends cannot be followed: %s", failure.message)
            await self._host.until_reachable()
            await self._look()
            await asyncio.sleep(0.5)

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            await self._look()

    async def _look(self) -> None:
        try:
            states = {s.id: s for s in await self._host.runtime.containers()}
        except RuntimeFailure:
            return  # nothing is known while the daemon is away
        for actor in list(self._actors.values()):
            actor.post(Observed({id: states[id] for id in actor.record.runtime_ids if id in states}))

    # What the control plane wants

    async def want(self, task: Task) -> None:
        """Run a task, or stop it; returns once that is durable."""
        await self._recovered.wait()
        if task.desired_status == "STOPPED":
            self.stop(task.arn)
        elif task.arn in self._finished and task.arn not in self._records:
            self._say(task.arn, self._finished[task.arn].event)
        elif task.arn not in self._records:
            self._begin(task)
        await self._host.state.flushed()

    def _begin(self, task: Task) -> None:
        docker = self._host.settings.runtime == "docker"
        if reason := accept.refusal(task, docker=docker):
            self.refuse(task.arn, f"ResourceInitializationError: {reason}")
            return
        log.debug("task %s has come", task.arn)
        record = accept.record_of(task, time.time(), _token, docker=docker)
        if task.awsvpc:
            held = self._host.runtime.sandboxes is not None  # then no namespace can be made before its holder
            record.namespace = self._host.network.reserve(made=not held)
            record.sandbox = sandbox.record_of(task, _token) if held else None
        self._records[task.arn] = record
        self._run(record, None)

    def refuse(self, task: str, reason: str) -> None:
        """Tell the control plane that a task cannot be run here."""
        event = Event(status="STOPPED", reason=reason, execution_stopped_at=time.time())
        self._remember(task, event)
        self._say(task, event)

    def stop(self, task: str) -> None:
        """Stop a task; one that is not known here is said to be stopped."""
        if task in self._records:
            self._tell(task, Stop())
        elif task in self._finished:
            self._say(task, self._finished[task].event)
        else:
            self._spawn(self._give_up(task))

    async def _give_up(self, task: str) -> None:
        """Let go of what a task had before it came itself, and say that it has stopped."""
        if mounting := self._mounting.pop(task, None):
            await asyncio.wait([mounting])
        await asyncio.to_thread(block_volumes.release, task.rpartition("/")[2])
        await self._submitter.submit(task, Event(status="STOPPED", execution_stopped_at=time.time()))

    def renew(self, task: str, role_type: str, credentials: Credentials) -> bool:
        """New credentials of a task's role; false where the task is not known."""
        record = self._records.get(task)
        if record is None:
            return False
        if role_type == "TaskExecution":
            record.execution_credentials = credentials
        else:
            record.role_credentials = credentials
        self._host.state.put("task", task, msgspec.json.encode(record))
        return True

    async def reach(self, task: str, reached: Reached) -> None:
        """Have a task's Service Connect proxy lead to where its services are reached now."""
        await self._recovered.wait()
        if record := self._records.get(task):
            self._spawn(self._host.proxies.tell(record.payload, reached))  # in their order; other tasks do not wait

    def attach(self, task: str, interface: NetworkInterface, timeout: float) -> None:
        """Say ATTACHED once an interface is here; nothing where it does not come within ``timeout`` seconds."""
        if interface.attachment_arn not in self._attached:
            self._attached.add(interface.attachment_arn)
            self._spawn(self._attach(task, interface, timeout))

    async def _attach(self, task: str, interface: NetworkInterface, timeout: float) -> None:
        try:
            await self._host.network.arrived(interface.mac_address, timeout)
        except TimeoutError:
            log.warning("interface %s of %s did not come", interface.mac_address, task)
            self._attached.discard(interface.attachment_arn)
            return
        change = {"attachmentArn": interface.attachment_arn, "status": "ATTACHED"}
        await self._submitter.submit(task, Event(status="", attachments=[change]))
        self._attached.discard(interface.attachment_arn)

    async def confirm(self, task: str, attachment: Attachment, timeout: float) -> None:
        """Mount a task's volume and say ATTACHED, or FAILED and why. Raises ValueError where it cannot be read."""
        volume = block_volumes.volume_of(attachment)
        await self._recovered.wait()
        if task not in self._mounting and task not in self._records:
            self._mounting[task] = asyncio.create_task(self._mount(task, attachment.attachment_arn, volume, timeout))
            self._tasks.add(self._mounting[task])
            self._mounting[task].add_done_callback(self._done)

    async def _mount(self, task: str, attachment: str, volume: block_volumes.BlockVolume, timeout: float) -> None:
        event = Event(status="", attachments=[{"attachmentArn": attachment, "status": "ATTACHED"}])
        try:
            await asyncio.to_thread(block_volumes.mount, volume, timeout)
        except TaskFailure as failure:
            failed = [{"attachmentArn": attachment, "status": "FAILED"}]
            event = Event(status="", reason=str(failure), attachments=failed)
        self._mounting.pop(task, None)
        await self._submitter.submit(task, event)

    # Running and ending

    def _run(self, record: TaskRecord, states: dict[str, ContainerState] | None) -> None:
        for container in record.containers.values():
            self._owners[container.id] = (record.arn, container.name)
        if record.sandbox is not None:
            self._owners[record.sandbox.id] = (record.arn, record.sandbox.name)
        outbox = Outbox(self._host.state, record, self._submitter)
        outbox.save()
        acknowledged = asyncio.Event()
        self._spawn(outbox.run(acknowledged.set))
        own = None if states is None else {id: states[id] for id in record.runtime_ids if id in states}
        actor = TaskActor(self._host, record, outbox, recovered=own)
        self._spawn(self._live(actor, outbox, acknowledged))

    async def _live(self, actor: TaskActor, outbox: Outbox, acknowledged: asyncio.Event) -> None:
        record = actor.record
        if record.known is not TaskStatus.STOPPED:
            self._actors[record.arn] = actor
            try:
                await actor.run()
            finally:
                del self._actors[record.arn]
        await release(self._host, record)
        # The last event is durable before what it tells of is deleted.
        await self._host.state.flushed()
        if not record.payload.fargate:
            stopped = record.stopped_at or time.time()
            wait = self._host.settings.task_cleanup_wait + random.uniform(0, self._host.settings.task_cleanup_jitter)
            await asyncio.sleep(max(0.0, stopped + wait - time.time()))
        await self._host.logs.shipped(record)
        for container in record.containers.values():
            await self._remove(container.id)
        await asyncio.to_thread(remove_files, self._host, record.payload.id)
        while record.outbox:
            acknowledged.clear()
            if record.outbox:
                await acknowledged.wait()
        self._forget(record, outbox)

    def _forget(self, record: TaskRecord, outbox: Outbox) -> None:
        containers = list(record.containers.values())
        record.cleaned = True
        self._remember(record.arn, events.event(record, containers))
        outbox.forget()
        self._records.pop(record.arn, None)
        for container in containers:
            self._owners.pop(container.id, None)
            self._host.metadata.forget(container.id)
        if record.sandbox is not None:
            self._owners.pop(record.sandbox.id, None)

    def _remember(self, task: str, event: Event) -> None:
        self._finished[task] = Finished(time.time(), event)
        self._host.state.put("finished", task, msgspec.json.encode(self._finished[task]))

    async def _remove(self, container: str) -> None:
        while True:
            try:
                return await self._host.patiently(lambda: self._host.runtime.remove(container))
            except RuntimeFailure as failure:
                log.warning("container %s could not be removed: %s", container, failure.message)
                await asyncio.sleep(5.0)

    def _tell(self, task: str, message: ContainerExited | Stop) -> None:
        if actor := self._actors.get(task):
            actor.post(message)

    def _say(self, task: str, event: Event) -> None:
        self._spawn(self._submitter.submit(task, event))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a task's work failed", exc_info=error)


def _token(digits: int) -> str:
    return secrets.token_hex(digits)[:digits]
