"""Lets deleted task definitions go once nothing uses them: keyed by the revision's ARN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dryport.control.controller import Controller
from dryport.ecs.model import TASK_DEFINITIONS, TASKS, TaskDefinition
from dryport.store import Change, Reader, Transaction


def in_use(reader: Reader, definition: TaskDefinition) -> bool:
    """Whether a task that is not over was made from a revision."""
    return any(task.last_status != "STOPPED" for task in reader.find(TASKS, "task_definition", definition.arn))


class TaskDefinitionController(Controller):
    """A revision that is DELETE_IN_PROGRESS vanishes with its last task."""

    tables = (TASK_DEFINITIONS, TASKS)

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(TASK_DEFINITIONS) if each.status == "DELETE_IN_PROGRESS"]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == TASK_DEFINITIONS.name:
            return (change.key,) if change.new and change.new.status == "DELETE_IN_PROGRESS" else ()
        if change.old is None or (change.new and change.new.last_status != "STOPPED"):
            return ()
        return (change.old.task_definition_arn,)

    async def reconcile(self, key: str) -> float | None:
        if self._deletable(self.store.reader, key):
            await self.store.transact(lambda tx: self._delete(tx, key))
        return None

    def _deletable(self, reader: Reader, key: str) -> bool:
        definition = reader.get(TASK_DEFINITIONS, key)
        return definition is not None and definition.status == "DELETE_IN_PROGRESS" and not in_use(reader, definition)

    def _delete(self, tx: Transaction, key: str) -> None:
        if self._deletable(tx, key):
            tx.delete(TASK_DEFINITIONS, key)
