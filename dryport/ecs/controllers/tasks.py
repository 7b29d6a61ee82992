"""Brings every task along its life: keyed by the task's ARN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ec2 import published as ec2
from dryport.ec2.model import INSTANCES, NETWORK_INTERFACES, VOLUMES, Instance
from dryport.ecs import ebs, file_systems, lifecycle
from dryport.ecs.acs.model import TASK_GRANTS
from dryport.ecs.controllers import steps
from dryport.ecs.controllers.decisions import (
    Abandon,
    Advance,
    Connect,
    Fail,
    FailVolume,
    Finish,
    Forget,
    Grant,
    HostView,
    InterfaceView,
    Mount,
    OfferVolume,
    Provision,
    Release,
    Renew,
    Snapshot,
    Step,
    UseVolume,
    VolumeView,
    Wait,
    next_step,
)
from dryport.ecs.controllers.instances import ended
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, ContainerInstance, Task
from dryport.elb import published as elb
from dryport.store import Change, Reader, Transaction

# More steps than a life has: a decision that does not move on must not hold the loop.
_MAX_STEPS = 16


class TaskController(Controller):
    """Level-triggered: takes as many steps at once as the present state allows, in one transaction."""

    tables = (TASKS, NETWORK_INTERFACES, CONTAINER_INSTANCES, INSTANCES, VOLUMES)
    concurrency = 256

    def __init__(self, context: Context) -> None:
        super().__init__(context.store, context.clock)
        self._random = context.random
        self._config = context.config
        self._away_since: dict[str, float] = {}  # by instance; the clock's monotonic seconds

    def existing(self) -> Iterable[str]:
        return [task.arn for task in self.store.reader.all(TASKS)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == NETWORK_INTERFACES.name:
            interface = change.new or change.old
            return (interface.owner,) if interface and interface.owner else ()
        if change.table.name == CONTAINER_INSTANCES.name:
            return self._tasks_concerned(change)
        if change.table.name == VOLUMES.name:
            sides = [each.attachment for each in (change.old, change.new) if each is not None]
            return {each.resource for each in sides if each is not None and each.resource}
        if change.table.name == INSTANCES.name:
            return self._tasks_of_machine(change)
        return (change.key,) if _decisive(change.old) != _decisive(change.new) else ()

    async def reconcile(self, key: str) -> float | None:
        task = self.store.reader.get(TASKS, key)
        if task is None:
            return None
        step = next_step(self._snapshot(self.store.reader, task))
        if isinstance(step, Provision):
            await self._provision(key)
        elif isinstance(step, Wait):
            return step.seconds
        return await self.store.transact(lambda tx: self._walk(tx, key))

    def _tasks_concerned(self, change: Change[ContainerInstance]) -> Iterable[str]:
        old, new = change.old, change.new
        if old and new and (old.agent_connected, old.status) == (new.agent_connected, new.status):
            return ()
        keys = list(steps.unstopped_tasks(self.store.reader, change.key))
        if new and new.capacity == "FARGATE" and new.agent_connected:
            keys += self.store.reader.keys(TASKS, "status", lifecycle.PROVISIONING)
        return keys

    def _tasks_of_machine(self, change: Change[Instance]) -> Iterable[str]:
        if change.old and change.new and change.old.state == change.new.state:
            return ()
        instances = self.store.reader.keys(CONTAINER_INSTANCES, "ec2_instance", change.key)
        return [task for instance in instances for task in steps.unstopped_tasks(self.store.reader, instance)]

    async def _provision(self, key: str) -> None:
        """Try each of the task's subnets, in any order; where none has an interface to give, the task fails."""
        task = self.store.reader.get(TASKS, key)
        if task is None:
            return
        subnets = steps.subnets_of(task)
        self._random.shuffle(subnets)
        refusal = Fail(lifecycle.TASK_FAILED_TO_START, "The task has no subnet for its network interface.")
        for subnet_id in subnets:
            try:
                # What it wrote before it was refused is undone with the transaction.
                await self.store.transact(lambda tx, subnet_id=subnet_id: self._provision_in(tx, key, subnet_id))  # type: ignore[misc]
                return
            except ServiceError as error:
                refusal = steps.interface_refused(task, subnet_id, error)
        await self.store.transact(lambda tx: self._fail(tx, key, refusal))

    def _provision_in(self, tx: Transaction, key: str, subnet_id: str) -> None:
        task = tx.get(TASKS, key)
        if task is not None and isinstance(next_step(self._snapshot(tx, task)), Provision):
            steps.provision(tx, self._random, task, subnet_id, self.clock.time(), self._namespace_of)

    def _namespace_of(self, instance_id: str) -> str:
        return ec2.namespace(self._config.id, instance_id)

    def _fail(self, tx: Transaction, key: str, failure: Fail) -> None:
        task = tx.get(TASKS, key)
        if task is not None:
            tx.put(TASKS, lifecycle.request_stop(task, failure.code, failure.reason, self.clock.time()))

    def _walk(self, tx: Transaction, key: str) -> float | None:
        for _ in range(_MAX_STEPS):
            task = tx.get(TASKS, key)
            if task is None:
                return None
            step = next_step(self._snapshot(tx, task))
            if isinstance(step, Wait):
                return step.seconds
            if isinstance(step, Provision):
                return 0.0  # has transactions of its own
            self._take(tx, task, step)
        raise RuntimeError(f"{key} does not come to rest")

    def _take(self, tx: Transaction, task: Task, step: Step) -> None:
        now = self.clock.time()
        match step:
            case Grant():
                steps.place(tx, self._random, task, now)
            case Connect():
                steps.connect(tx, task, now)
            case FailVolume(reason):
                steps.fail_volume(tx, task, reason, now)
            case OfferVolume():
                tx.put(TASKS, ebs.offer(task))
            case UseVolume():
                volume = ec2.task_volume(tx, task.arn)
                if volume is not None:
                    steps.use_volume(tx, task, str(self._config.state_dir / "mounts" / volume.id))
            case Mount():
                steps.mount(tx, task)
            case Fail(code, reason):
                tx.put(TASKS, lifecycle.request_stop(task, code, reason, now))
            case Advance(status):
                tx.put(TASKS, lifecycle.advance(task, status, now))
            case Abandon():
                steps.abandon(tx, task, now)
            case Release():
                steps.release(tx, task)
            case Finish():
                steps.finish(tx, task, now)
            case Renew():
                steps.renew(tx, self._random, task, now)
            case Forget():
                tx.delete(TASKS, task.arn)

    def _snapshot(self, reader: Reader, task: Task) -> Snapshot:
        grant = reader.get(TASK_GRANTS, task.arn)
        interfaces = reader.find(NETWORK_INTERFACES, "owner", task.arn)
        # An interface that is going counts only once no other is there.
        interface = min(interfaces, key=lambda each: each.device == "unplugging", default=None)
        return Snapshot(
            task=task,
            now=self.clock.time(),
            host=self._host(reader, task.instance_arn),
            capacity=task.instance_arn is None and steps.connected_fargate_host(reader) is not None,
            granted=grant is not None,
            credentials_expire=grant.expires if grant else None,
            interface=InterfaceView(device=interface.device, error=interface.device_error) if interface else None,
            volume=_volume(reader, task),
            mount_refusal=file_systems.refusal(reader, task) if task.file_systems == "wanted" else "",
            drained_at=_drained_at(reader, task) if task.registration == "leaving" else 0.0,
        )

    def _host(self, reader: Reader, instance_arn: str | None) -> HostView | None:
        instance = reader.get(CONTAINER_INSTANCES, instance_arn) if instance_arn else None
        if instance is None:
            return None
        away_for = 0.0
        if instance.agent_connected:
            self._away_since.pop(instance.arn, None)
        else:
            now = self.clock.monotonic()
            # At least a moment, so that whoever is away is not taken for connected.
            away_for = max(0.001, now - self._away_since.setdefault(instance.arn, now))
        return HostView(
            registered=instance.status != "INACTIVE",
            ec2_instance_id=instance.ec2_instance_id,
            ended=ended(reader, instance),
            away_for=away_for,
        )


def _volume(reader: Reader, task: Task) -> VolumeView | None:
    """A task's volume; after its end only while there is something to let go of."""
    if not task.volume:
        return None
    volume = ec2.task_volume(reader, task.arn)
    if volume is None and task.last_status in (lifecycle.DEPROVISIONING, lifecycle.STOPPED):
        return None
    attached = volume is not None and volume.attachment is not None and volume.attachment.state == "attached"
    return VolumeView(attached=attached, error="" if attached else ebs.trouble(task, volume))


def _drained_at(reader: Reader, task: Task) -> float:
    found = (elb.target(reader, each.group, each.id, each.port) for each in task.targets)
    return max((each.gone_at or 0.0 for each in found if each is not None), default=0.0)


def _decisive(task: Task | None) -> tuple[object, ...] | None:
    """What of a task a decision depends on and changes in its life: most changes are the agent's reports."""
    if task is None:
        return None
    attachments = [(each.status, len(each.details)) for each in task.attachments]
    return task.last_status, task.desired_status, task.instance_arn, attachments, task.registration
