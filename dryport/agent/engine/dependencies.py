"""Which container may be created, and which may be stopped: pure functions over a task's record.

Conditions and time-outs are those of "ContainerDependency" in the Amazon ECS API reference. A container is created
only when everything that it depends on is as it wishes; it is stopped only after everything that depends on it.
"""

from __future__ import annotations

from typing import NamedTuple

from dryport.agent.model import ContainerRecord, ContainerStatus, TaskRecord
from dryport.agent.payload import Container


class Verdict(NamedTuple):
    """``READY``; or wait, at most until ``deadline``; or with ``reason`` never."""

    ready: bool
    reason: str = ""
    deadline: float | None = None


READY = Verdict(True)
WAIT = Verdict(False)


def links_of(container: Container) -> list[str]:
    """The names of the containers that it is linked to, without their aliases."""
    return [link.partition(":")[0] for link in container.links or ()]


def dependencies_of(container: Container) -> set[str]:
    """Every container that this one needs."""
    return {
        *(d.container_name for d in container.depends_on or ()),
        *(v.source_container for v in container.volumes_from or ()),
        *links_of(container),
    }


def flaw(containers: list[Container]) -> str:
    """What makes the graph impossible (a cycle, an unknown name), or "" where it is sound."""
    needs = {c.name: dependencies_of(c) for c in containers}
    for name, wanted in needs.items():
        if missing := sorted(wanted - needs.keys()):
            return f"container {name} depends on {missing[0]}, which the task does not have"
    while free := [name for name, wanted in needs.items() if not wanted & needs.keys()]:
        for name in free:
            del needs[name]
    return f"the dependencies of container {min(needs)} form a cycle" if needs else ""


def condition(wanted: str, on: ContainerRecord, start_timeout: int | None, now: float) -> Verdict:
    """Whether one dependency is as the condition wishes.

    ``start_timeout`` is the dependency's own, in seconds from its start; START has none.
    """
    stopped = on.known is ContainerStatus.STOPPED
    started = on.started_at is not None
    if stopped and not started:
        return Verdict(False, f"{on.name} did not start")
    match wanted:
        case "START":
            return READY if started else WAIT
        case "COMPLETE":
            met, never = stopped, False
        case "SUCCESS":
            met, never = stopped and on.exit_code == 0, stopped
        case "HEALTHY":
            healthy = on.health is not None and on.health.status == "HEALTHY"
            met, never = healthy and not stopped, stopped
        case _:
            return Verdict(False, f"condition {wanted} is unknown")
    if met:
        return READY
    if never:
        return Verdict(False, f"{on.name} exited before it was {wanted}")
    if start_timeout is None or on.started_at is None:
        return WAIT
    deadline = on.started_at + start_timeout
    return (
        Verdict(False, f"{on.name} was not {wanted} within its start timeout")
        if now >= deadline
        else Verdict(False, deadline=deadline)
    )


def may_create(record: TaskRecord, container: Container, now: float) -> Verdict:
    """Whether a container may be created now."""
    definitions = {c.name: c for c in record.payload.containers or ()}
    verdicts = [
        condition(d.condition, record.containers[d.container_name], definitions[d.container_name].start_timeout, now)
        for d in container.depends_on or ()
    ]
    verdicts += [condition("START", record.containers[name], None, now) for name in links_of(container)]
    first = next(iter(record.containers))
    if "task" in (record.payload.pid_mode, record.payload.ipc_mode) and container.name != first:
        verdicts.append(condition("START", record.containers[first], None, now))  # whose namespaces it shares
    for volume in container.volumes_from or ():
        source = record.containers[volume.source_container]
        if source.created_at is None:
            gone = source.known is ContainerStatus.STOPPED
            verdicts.append(Verdict(False, f"{source.name} was not created") if gone else WAIT)
    waiting = [v for v in verdicts if not v.ready]
    for verdict in waiting:
        if verdict.reason:
            return verdict
    deadlines = [v.deadline for v in waiting if v.deadline is not None]
    return Verdict(False, deadline=min(deadlines, default=None)) if waiting else READY


def may_stop(record: TaskRecord, name: str) -> bool:
    """Whether nothing that depends on a container can still be running."""
    return all(
        record.containers[c.name].known in (ContainerStatus.STOPPED, ContainerStatus.NONE, ContainerStatus.PULLED)
        for c in record.payload.containers or ()
        if name in dependencies_of(c)
    )
