"""What a task needs next: a pure function from its record to the steps that may be taken now."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dryport.agent.engine.dependencies import may_create, may_stop
from dryport.agent.model import ContainerRecord, ContainerStatus, TaskRecord, TaskStatus


class Verb(Enum):
    """What can be done with a container."""

    PULL = "pull"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    GIVE_UP = "give up"  # it was never created, and will not be


class Step(NamedTuple):
    """One thing to do with one container."""

    verb: Verb
    container: str
    reason: str = ""


class Plan(NamedTuple):
    """Steps to take now, and when to look again although nothing happened."""

    steps: list[Step]
    deadline: float | None = None


def plan(record: TaskRecord, *, fetched: bool, provisioned: bool, now: float) -> Plan:
    """The steps that may be taken now, whether or not they are under way already.

    ``fetched``: all that a container is made of is here (secrets, limits, volumes); ``provisioned``: all that it needs
    to run is (network, log streams).
    """
    steps: list[Step] = []
    deadlines: list[float] = []
    for container in record.payload.containers or ():
        state = record.containers[container.name]
        if ContainerStatus.STOPPED in (state.known, state.desired) or record.desired is TaskStatus.STOPPED:
            steps += _stopping(record, state)
        elif state.known is ContainerStatus.NONE:
            steps.append(Step(Verb.PULL, state.name))
        elif state.known is ContainerStatus.CREATED:
            steps += [Step(Verb.START, state.name)] if provisioned else []
        elif state.known is ContainerStatus.PULLED and fetched:
            verdict = may_create(record, container, now)
            if verdict.ready:
                steps.append(Step(Verb.CREATE, state.name))
            elif verdict.reason:
                steps.append(Step(Verb.GIVE_UP, state.name, f"TaskDependencyError: {verdict.reason}"))
            elif verdict.deadline is not None:
                deadlines.append(verdict.deadline)
    return Plan(steps, min(deadlines, default=None))


def _stopping(record: TaskRecord, state: ContainerRecord) -> list[Step]:
    match state.known:
        case ContainerStatus.STOPPED:
            return []
        case ContainerStatus.NONE | ContainerStatus.PULLED:
            return [Step(Verb.GIVE_UP, state.name)]
        case _:
            return [Step(Verb.STOP, state.name)] if may_stop(record, state.name) else []


def task_status(record: TaskRecord) -> TaskStatus:
    """The task's status, from its containers': as far as the one that is least far, and never less than it was."""
    least = min((c.known for c in record.containers.values()), default=ContainerStatus.STOPPED)
    if least is ContainerStatus.STOPPED:
        return TaskStatus.STOPPED
    if least is ContainerStatus.RUNNING:
        return max(record.known, TaskStatus.RUNNING)
    return max(record.known, TaskStatus.PENDING)


def essential_ended(record: TaskRecord) -> bool:
    """Whether a container has ended without which the task does not go on."""
    return any(
        record.containers[c.name].known is ContainerStatus.STOPPED and c.essential is not False
        for c in record.payload.containers or ()
    )
