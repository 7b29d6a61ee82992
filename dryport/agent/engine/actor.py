"""One task's actor: it alone changes the task's record.

Messages come in one at a time; after each the plan is made anew, and steps that are not under way yet are started.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any

from dryport.agent.engine import events, health, sandbox
from dryport.agent.engine.errors import OUT_OF_MEMORY, TaskFailure
from dryport.agent.engine.host import Host
from dryport.agent.engine.messages import (
    ContainerExited,
    Fetched,
    LogsShipped,
    Message,
    Observed,
    Probed,
    ProvisionDone,
    StepDone,
    Stop,
    Wake,
)
from dryport.agent.engine.plan import Step, Verb, essential_ended, plan, task_status
from dryport.agent.engine.ports import grouped
from dryport.agent.engine.provision import Provisioned, cgroup_of, provision, resume
from dryport.agent.engine.restart import should_restart
from dryport.agent.engine.steps import Steps
from dryport.agent.engine.submit import Outbox
from dryport.agent.model import ContainerRecord, ContainerStatus, Health, TaskRecord, TaskStatus
from dryport.agent.runtime import ContainerState, Image
from dryport.host import cgroups

log = logging.getLogger("dryport.agent")
_KILLED = 137


class TaskActor:
    """Runs one task until it has stopped. ``run`` ends then; what is left is for the engine to clean."""

    def __init__(
        self, host: Host, record: TaskRecord, outbox: Outbox, *, recovered: dict[str, ContainerState] | None = None
    ) -> None:
        """``recovered``: the task was an earlier agent's; what the runtime has of it."""
        self.record = record
        self._host = host
        self._outbox = outbox
        self._recovered = recovered
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._work: dict[str, tuple[Verb, asyncio.Task[None]]] = {}
        self._others: set[asyncio.Task[None]] = set()
        self._provisioning: asyncio.Task[None] | None = None
        self._found: Provisioned | None = None
        self._provisioned = False
        self._provision_over = asyncio.Event()
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._early: dict[str, ContainerExited] = {}
        self._finishing = False
        self._timer: asyncio.TimerHandle | None = None
        self._definitions = {c.name: c for c in record.payload.containers or ()}
        self._steps = Steps(host, record)

    def post(self, message: Message) -> None:
        """Tell the actor something."""
        self._inbox.put_nowait(message)

    async def run(self) -> None:
        """Run the task until it has stopped and said so (not: until that is acknowledged)."""
        try:
            self._begin()
            while self.record.known is not TaskStatus.STOPPED:
                self._advance()
                self._apply(await self._inbox.get())
                self._report()
                self._save()
        finally:
            await self._let_go()

    def _begin(self) -> None:
        containers = self.record.containers.values()
        if self._recovered is not None:
            for container in containers:
                if container.known is ContainerStatus.RUNNING:
                    self._attend(container)
            self._apply(Observed(self._recovered))
            self._report()
            self._save()
        if self.record.desired is TaskStatus.STOPPED:
            self._provision_over.set()
        elif self._recovered is None or any(c.known < ContainerStatus.RUNNING for c in containers):
            self._provisioning = self._spawn(self._provision())
        else:
            self._provisioned = True
            self._provision_over.set()
            self._spawn(self._resume())

    async def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        pending = [*(task for _, task in self._work.values()), *self._others, *self._checks.values()]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    # What is told

    def _apply(self, message: Message) -> None:
        match message:
            case Stop(reason):
                self._stop(reason)
            case Fetched(result):
                self._found = result
            case ProvisionDone(reason):
                self._provisioned = not reason
                self._provision_over.set()
                if reason:
                    self._stop(reason)
            case StepDone():
                self._step_done(message)
            case ContainerExited(name=sandbox.NAME):
                self._stop("")  # its containers have no network any more that others could join
            case ContainerExited(name=name) if self._work.get(name, (None,))[0] is Verb.START:
                self._early[name] = message  # looked at once the start has been told of
            case ContainerExited(name, exit_code, at, out_of_memory, reason):
                self._exited(self.record.containers[name], exit_code, at, out_of_memory, reason)
            case Observed(states):
                for container in self.record.containers.values():
                    self._observe(container, states.get(container.id))
                self._observe_sandbox(states)
            case Probed(name, probe):
                self._probed(self.record.containers[name], probe)
            case LogsShipped():
                self.record.known = TaskStatus.STOPPED
                self.record.stopped_at = time.time()
                self._outbox.add(events.event(self.record, list(self.record.containers.values())))
            case Wake():
                pass

    def _stop(self, reason: str) -> None:
        if self.record.desired is TaskStatus.STOPPED:
            return
        self.record.desired = TaskStatus.STOPPED
        self.record.reason = self.record.reason or reason
        for container in self.record.containers.values():
            container.desired = ContainerStatus.STOPPED
        if self._provisioning is not None:
            self._provisioning.cancel()
        for verb, task in self._work.values():
            if verb is Verb.PULL:
                task.cancel()

    def _step_done(self, done: StepDone) -> None:
        container = self.record.containers[done.step.container]
        self._work.pop(container.name, None)
        if done.step.verb is Verb.PULL and done.started_at:
            record = self.record
            record.pull_started_at = min(record.pull_started_at or done.started_at, done.started_at)
            record.pull_stopped_at = max(record.pull_stopped_at or 0.0, done.ended_at)
        if done.reason:
            self._failed(container, done.reason)
            return
        match done.step.verb:
            case Verb.PULL if isinstance(done.result, Image):
                container.image_digest = done.result.digest
                self._raise(container, ContainerStatus.PULLED)
            case Verb.CREATE:
                container.created_at = time.time()
                self._raise(container, ContainerStatus.CREATED)
            case Verb.START if isinstance(done.result, ContainerState):
                self._started(container, done.result)
                if early := self._early.pop(container.name, None):
                    self._apply(early)
            case Verb.STOP:
                if container.known is ContainerStatus.CREATED:
                    self._ended(container, None, "")
            case _:
                pass

    def _started(self, container: ContainerRecord, state: ContainerState) -> None:
        container.network_bindings = grouped(self._definitions[container.name], state.network_bindings)
        if container.started_at is None:
            container.started_at = state.started_at or time.time()
        elif container.restart_pending:
            container.restarted_at = max(state.started_at or time.time(), (container.last_exit_at or 0) + 1e-6)
            self._attend(container)
        if container.known < ContainerStatus.RUNNING:
            self._raise(container, ContainerStatus.RUNNING)
            self._attend(container)
            self._changed(container)

    def _exited(self, c: ContainerRecord, exit_code: int | None, at: float, oom: bool, reason: str) -> None:
        if c.known in (ContainerStatus.STOPPED, ContainerStatus.NONE, ContainerStatus.PULLED):
            return
        if c.last_exit_at is not None and at <= c.last_exit_at:
            if c.restart_pending and c.name not in self._work:
                self._restart_or_end(c)  # the agent before this one decided on it and went
            return  # told twice
        c.last_exit_at = at
        if c.known is ContainerStatus.CREATED:
            if exit_code is None:
                return
            self._started(c, ContainerState(id=c.id, status="exited", started_at=at))
        policy = self._definitions[c.name].restart_policy
        again = exit_code is not None and should_restart(policy, exit_code, at - (c.last_started_at or at))
        if again and self._wanted(c):
            c.restarts += 1
            c.restarted_at = at
            c.exit_code = exit_code
            self._restart_or_end(c)
            return
        c.finished_at = at
        if exit_code == _KILLED and (oom or self._killed_for_memory()):
            reason = OUT_OF_MEMORY
        self._ended(c, exit_code, reason)

    def _wanted(self, container: ContainerRecord) -> bool:
        return container.desired is ContainerStatus.RUNNING and self.record.desired is not TaskStatus.STOPPED

    def _killed_for_memory(self) -> bool:
        path = cgroup_of(self._host, self.record.payload)
        kills = cgroups.oom_kills(path) if path else 0
        if kills <= self.record.oom_kills:
            return False
        self.record.oom_kills = kills
        return True

    def _observe(self, container: ContainerRecord, state: ContainerState | None) -> None:
        if container.name in self._work or container.known is ContainerStatus.STOPPED:
            return
        if state is None:
            if container.known in (ContainerStatus.CREATED, ContainerStatus.RUNNING):
                reason = "CannotInspectContainerError: Could not find container"
                if container.known is ContainerStatus.CREATED:
                    self._failed(container, reason)
                else:
                    self._exited(container, None, time.time(), False, reason)
            return
        if container.known < ContainerStatus.CREATED and state.status in ("running", "exited"):
            container.created_at = container.created_at or state.started_at or time.time()
            self._raise(container, ContainerStatus.CREATED)
        if state.status == "running" and (container.known is ContainerStatus.CREATED or container.restart_pending):
            self._started(container, state)
        elif state.status == "created" and container.restart_pending:
            self._restart_or_end(container)
        elif state.status == "exited" and container.known >= ContainerStatus.CREATED:
            if container.known is ContainerStatus.CREATED:
                self._started(container, state)
            at = state.finished_at or time.time()
            self._exited(container, state.exit_code if state.exit_code is not None else 0, at, state.out_of_memory, "")

    def _observe_sandbox(self, states: dict[str, ContainerState]) -> None:
        own = self.record.sandbox
        if own is not None and own.known is ContainerStatus.RUNNING:
            state = states.get(own.id)
            if state is None or state.status == "exited":
                self._stop("")

    def _probed(self, container: ContainerRecord, probe: health.Probe) -> None:
        check = self._health_check(container.name)
        if check is None or container.health is None or container.known is not ContainerStatus.RUNNING:
            return
        before = container.health.status
        container.health = health.observe(container.health, check, probe, container.last_started_at or probe.at)
        if container.health.status != before:
            self._host.health_changed()

    # What follows

    def _failed(self, container: ContainerRecord, reason: str) -> None:
        if self.record.desired is TaskStatus.STOPPED and container.known < ContainerStatus.CREATED:
            reason = ""  # it was told to stop meanwhile
        self._ended(container, None, reason)

    def _ended(self, container: ContainerRecord, exit_code: int | None, reason: str) -> None:
        container.exit_code = exit_code
        container.reason = container.reason or reason
        self._raise(container, ContainerStatus.STOPPED)
        container.desired = ContainerStatus.STOPPED
        self._steps.ended(container.name)
        self._host.logs.ended(container.id)
        self._check_no_more(container)
        if essential_ended(self.record):
            if self.record.execution_stopped_at is None:
                self.record.execution_stopped_at = container.finished_at or time.time()
            never_ran = container.started_at is None and self._definitions[container.name].essential is not False
            self._stop(reason if never_ran else "")
        self._changed(container)

    def _raise(self, container: ContainerRecord, status: ContainerStatus) -> None:
        container.known = max(container.known, status)

    def _changed(self, container: ContainerRecord) -> None:
        status = task_status(self.record)
        if status is not TaskStatus.STOPPED:  # then all of them are in the last event
            self.record.known = status
            self._outbox.add(events.event(self.record, [container]))

    def _report(self) -> None:
        if task_status(self.record) is TaskStatus.STOPPED and not self._finishing:
            self._finishing = True
            self.record.desired = TaskStatus.STOPPED
            self.record.execution_stopped_at = self.record.execution_stopped_at or time.time()
            self._spawn(self._ship_the_rest())

    def _advance(self) -> None:
        made = plan(self.record, fetched=self._found is not None, provisioned=self._provisioned, now=time.time())
        taken = [step for step in made.steps if step.container not in self._work]
        for step in taken:
            self._take(step)
        if any(step.verb is Verb.GIVE_UP for step in taken):
            self.post(Wake())  # what was given up may set others free
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if made.deadline is not None:
            delay = max(0.0, made.deadline - time.time()) + 0.001
            self._timer = asyncio.get_running_loop().call_later(delay, self.post, Wake())

    def _take(self, step: Step) -> None:
        if step.verb is Verb.GIVE_UP:
            self._ended(self.record.containers[step.container], None, step.reason)
            return
        definition = self._definitions[step.container]
        work = self._steps.take(step, definition, self._found, self._provision_over, self.post)
        self._work[step.container] = (step.verb, asyncio.get_running_loop().create_task(work))

    def _restart_or_end(self, container: ContainerRecord) -> None:
        """Start a container again whose end was told; if the task stops meanwhile, it stays ended."""
        if not self._wanted(container):
            container.finished_at = container.last_exit_at
            self._ended(container, container.exit_code, "")
            return
        step = Step(Verb.START, container.name)
        work = self._steps.take(step, self._definitions[container.name], None, self._provision_over, self.post)
        self._work[container.name] = (Verb.START, asyncio.get_running_loop().create_task(work))
        if container.health is not None:
            container.health = Health(since=time.time())
            self._host.health_changed()
        self._check_no_more(container)

    def _attend(self, container: ContainerRecord) -> None:
        """Look after a running container: ship what it prints, check its health."""
        self._host.logs.follow(self.record, container, again=container.restarts > 0)
        check = self._health_check(container.name)
        if check is None:
            return
        if container.health is None:
            container.health = Health(since=time.time())
        self._check_no_more(container)
        work = self._steps.check_health(container, check, self.post)
        self._checks[container.name] = asyncio.get_running_loop().create_task(work)

    def _check_no_more(self, container: ContainerRecord) -> None:
        if check := self._checks.pop(container.name, None):
            check.cancel()

    def _health_check(self, name: str) -> health.HealthCheck | None:
        return health.from_docker(self._definitions[name].config().get("Healthcheck"))

    # Work beside the steps

    async def _provision(self) -> None:
        reason, began = "", time.time()
        try:
            again = self._recovered is not None
            await provision(self._host, self.record, lambda found: self.post(Fetched(found)), again=again)
            log.debug("task %s was provisioned in %.0f ms", self.record.arn, (time.time() - began) * 1000)
        except TaskFailure as failure:
            reason = str(failure)
        except Exception as error:
            log.exception("task %s could not be provisioned", self.record.arn)
            reason = f"ResourceInitializationError: {error}"
        self.post(ProvisionDone(reason))

    async def _resume(self) -> None:
        with contextlib.suppress(TaskFailure):  # a namespace that is gone shows in its containers' ends
            await resume(self._host, self.record)

    async def _ship_the_rest(self) -> None:
        await self._host.logs.drained(self.record)
        self.post(LogsShipped())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
        return task

    def _save(self) -> None:
        self._outbox.save()
