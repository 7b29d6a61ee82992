"""Has the tasks of services found while they run: as instances of Cloud Map's, as targets of load balancers.

Keyed by the task's ARN; tasks of a service that are due at once are taken together, as their service tells of them.
A task is registered, then it is RUNNING. One that is to stop is deregistered first; its agent is told once the name
servers have forgotten it and its load balancers have drained it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ecs import lifecycle
from dryport.ecs.model import TASK_DEFINITIONS, TASKS, Json, Task, TaskTarget, registration_due
from dryport.ecs.services import balancers, events, registries, task_sets
from dryport.ecs.services.model import SERVICES, Service
from dryport.elb import published as elb
from dryport.elb.model import DRAINING, TARGETS, Target
from dryport.servicediscovery import published as cloudmap
from dryport.servicediscovery.model import OPERATIONS
from dryport.store import Change, Reader, Transaction

log = logging.getLogger("dryport.ecs")
_TOLD = 2.0  # seconds: Service Connect's proxies know by then that a task is left, and what they asked it is answered


class Registrations(Controller):
    """One pass does what is next for a task, and for those of its service that it is next for too, at once."""

    tables = (TASKS, OPERATIONS, TARGETS)

    def __init__(self, context: Context) -> None:
        super().__init__(context.store, context.clock)
        self._random = context.random

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(TASKS) if _concerned(each)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        item = change.new or change.old
        if change.table.name == OPERATIONS.name:
            instance_id = item.targets.get("INSTANCE") if item is not None and not item.open else None
            return self.store.reader.keys(TASKS, "registered", instance_id) if instance_id else ()
        if change.table.name == TARGETS.name:
            return self.store.reader.keys(TASKS, "target", change.key) if _over(change) else ()
        return (change.key,) if item is not None and _concerned(item) else ()

    async def reconcile(self, key: str) -> float | None:
        task = self.store.reader.get(TASKS, key)
        if task is not None and (registration_due(task) or (task.registries and task.registration == "registered")):
            return await self.store.transact(lambda tx: self._pass(tx, key))
        return None

    def _pass(self, tx: Transaction, key: str) -> float | None:
        task = tx.get(TASKS, key)
        if task is None:
            return None
        match registration_due(task):
            case "register":
                Together(self, tx, task).register()
            case "deregister":
                Together(self, tx, task).deregister()
            case "leave" if _forgotten(tx, task):
                told = (task.left_at or 0.0) + _TOLD if task.connect else 0.0
                if told > self.clock.time():
                    return told - self.clock.time()
                tx.put(TASKS, replace(task, registration="gone"))
            case "" if task.registration == "registered":
                self._tell_health(tx, task)
        return None

    def _tell_health(self, tx: Transaction, task: Task) -> None:
        body = _body(tx, task)
        for service_id in service_ids(task):
            cloudmap.set_health(tx, service_id, instance_id(task), healthy=registries.healthy(task, body))

    @property
    def random(self) -> Any:
        """The passed-in source."""
        return self._random


class Together:
    """The tasks of a service for which the same is next as for ``task``."""

    def __init__(self, owner: Registrations, tx: Transaction, task: Task) -> None:
        self._tx, self._random, self._now = tx, owner.random, owner.clock.time()
        self._tasks: Sequence[Task] = tx.find(TASKS, "due", f"{task.cluster_arn}/{task.group}/{registration_due(task)}")
        self._service_key = f"{task.cluster_arn}/{task.group}"

    def register(self) -> None:
        """Have them found, and RUNNING."""
        done, failed = Counter[tuple[str, str]](), Counter[tuple[str, str, str]]()
        for task in self._tasks:
            body = _body(self._tx, task)
            targets = balancers.targets(self._tx, task, body)
            if targets is None:
                continue  # until its agent has said at which ports it is
            for target in targets:
                error = balancers.unregistrable(self._tx, target)
                if error:
                    failed[self._task_set(task), target.group, error] += 1
                else:
                    elb.register(self._tx, target.group, target.id, target.port)
                    done[self._task_set(task), target.group] += 1
            self._register_with_cloudmap(task, body)
            changed = replace(task, registration="registered", targets=targets)
            self._tx.put(TASKS, lifecycle.advance(changed, lifecycle.RUNNING, self._now))
        for (task_set, group), count in done.items():
            self._say(events.registered(count, balancers.place(self._tx, group)), task_set)
        for task_set, group, error in failed:
            self._say(events.not_registered(balancers.place(self._tx, group), error), task_set)

    def deregister(self) -> None:
        """Have nobody led to them any more."""
        done, draining = Counter[tuple[str, str]](), Counter[str]()
        for task in self._tasks:
            left = [target for target in task.targets if self._leave(task, target)]
            done.update((self._task_set(task), target.group) for target in left)
            draining.update([task.started_by or ""] if left else [])
            for service_id in service_ids(task):
                cloudmap.deregister(self._tx, self._random, self._now, service_id, instance_id(task))
            self._tx.put(TASKS, replace(task, registration="leaving", left_at=self._now))
        for (task_set, group), count in done.items():
            self._say(events.deregistered(count, balancers.place(self._tx, group)), task_set)
        for deployment, count in draining.items():
            self._say(events.draining(count), deployment)

    def _task_set(self, task: Task) -> str:
        """The task set that a task is of, "" where its service has none."""
        service = self._service()
        has_sets = service is not None and task_sets.controlled_elsewhere(service)
        return (task.started_by or "") if has_sets else ""

    def _leave(self, task: Task, target: TaskTarget) -> bool:
        """Deregister a target, where it is one and no other task's by now; whether it was."""
        found = elb.target(self._tx, target.group, target.id, target.port)
        if found is None or found.state == DRAINING or _successor(self._tx, task, target):
            return False
        elb.deregister(self._tx, self._now, target.group, target.id, target.port)
        return True

    def _register_with_cloudmap(self, task: Task, body: Json) -> None:
        for registry in task.registries:
            service = cloudmap.service(self._tx, registry["registryArn"])
            if service is None:
                log.warning("%s: there is no service registry %s", task.arn, registry["registryArn"])
                continue
            wanted = registries.attributes(self._tx, task, registry, service, body)
            try:
                cloudmap.register(self._tx, self._random, self._now, service, instance_id(task), wanted)
            except ServiceError as error:
                log.warning("%s cannot be registered: %s", task.arn, error)

    def _service(self) -> Service | None:
        return next(iter(self._tx.find(SERVICES, "tasks", self._service_key)), None)

    def _say(self, message: str, deployment: str) -> None:
        service = self._service()
        if service is not None:
            self._tx.put(SERVICES, events.say(service, message, self._now, self._random, task_set=deployment))


def _over(change: Change[Target]) -> bool:
    """Whether a target is one no more, or was taken back."""
    return change.new is None or (change.old is not None and change.old.state == DRAINING != change.new.state)


def _concerned(task: Task) -> bool:
    return bool(task.registries or task.load_balancers)


def _body(reader: Reader, task: Task) -> Json:
    definition = reader.get(TASK_DEFINITIONS, task.task_definition_arn)
    assert definition is not None  # they stay while there are tasks of them
    return definition.body


def _forgotten(reader: Reader, task: Task) -> bool:
    """Whether nobody is led to a task any more."""
    by_name = all(cloudmap.settled(reader, each, instance_id(task)) for each in service_ids(task))
    return by_name and all(
        elb.target(reader, each.group, each.id, each.port) is None or _successor(reader, task, each)
        for each in task.targets
    )


def _successor(reader: Reader, task: Task, target: TaskTarget) -> bool:
    """Whether another task is what this one was: a port of an instance, or an address, that was given again."""
    others = (reader.get(TASKS, arn) for arn in reader.keys(TASKS, "target", target.key) if arn != task.arn)
    return any(each is not None and each.registration == "registered" for each in others)


def instance_id(task: Task) -> str:
    """The id that a task has as an instance: its own."""
    return task.arn.rpartition("/")[2]


def service_ids(task: Task) -> list[str]:
    """The ids of the Cloud Map services that a task is an instance of."""
    return [registry["registryArn"].rpartition("/")[2] for registry in task.registries]
