"""Has the tasks of services be instances of Cloud Map's while they run: keyed by the task's ARN.

A task that is to stop is deregistered first; its agent is told once the name servers have forgotten it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ecs import lifecycle
from dryport.ecs.model import TASK_DEFINITIONS, TASKS, Json, Task
from dryport.ecs.services import registries
from dryport.servicediscovery import published as cloudmap
from dryport.servicediscovery.model import OPERATIONS
from dryport.store import Change, Transaction

log = logging.getLogger("dryport.ecs")


class Registrations(Controller):
    """One pass looks at a task and does what is next, in one transaction."""

    tables = (TASKS, OPERATIONS)

    def __init__(self, context: Context) -> None:
        super().__init__(context.store, context.clock)
        self._random = context.random

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(TASKS) if each.registries]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        item = change.new or change.old
        if change.table.name == OPERATIONS.name:
            instance_id = item.targets.get("INSTANCE") if item is not None and not item.open else None
            return self.store.reader.keys(TASKS, "registered", instance_id) if instance_id else ()
        return (change.key,) if item is not None and item.registries else ()

    async def reconcile(self, key: str) -> float | None:
        await self.store.transact(lambda tx: self._pass(tx, key))
        return None

    def _pass(self, tx: Transaction, key: str) -> None:
        task = tx.get(TASKS, key)
        definition = tx.get(TASK_DEFINITIONS, task.task_definition_arn) if task is not None else None
        if task is None or definition is None or not task.registries:
            return
        if task.last_status == task.desired_status == lifecycle.RUNNING:
            if not task.registration:
                self._register(tx, task, definition.body)
                tx.put(TASKS, replace(task, registration="registered"))
            else:
                self._tell_health(tx, task, definition.body)
        elif task.registration == "registered":
            for service_id in service_ids(task):
                cloudmap.deregister(tx, self._random, self.clock.time(), service_id, instance_id(task))
            tx.put(TASKS, replace(task, registration="leaving"))
        elif task.registration == "leaving" and _forgotten(tx, task):
            tx.put(TASKS, replace(task, registration="gone"))

    def _register(self, tx: Transaction, task: Task, body: Json) -> None:
        for registry in task.registries:
            service = cloudmap.service(tx, registry["registryArn"])
            if service is None:
                log.warning("%s: there is no service registry %s", task.arn, registry["registryArn"])
                continue
            wanted = registries.attributes(tx, task, registry, service, body)
            try:
                cloudmap.register(tx, self._random, self.clock.time(), service, instance_id(task), wanted)
            except ServiceError as error:
                log.warning("%s cannot be registered: %s", task.arn, error)

    def _tell_health(self, tx: Transaction, task: Task, body: Json) -> None:
        for service_id in service_ids(task):
            cloudmap.set_health(tx, service_id, instance_id(task), healthy=registries.healthy(task, body))


def _forgotten(tx: Transaction, task: Task) -> bool:
    return all(cloudmap.settled(tx, each, instance_id(task)) for each in service_ids(task))


def instance_id(task: Task) -> str:
    """The id that a task has as an instance: its own."""
    return task.arn.rpartition("/")[2]


def service_ids(task: Task) -> list[str]:
    """The ids of the Cloud Map services that a task is an instance of."""
    return [registry["registryArn"].rpartition("/")[2] for registry in task.registries]
