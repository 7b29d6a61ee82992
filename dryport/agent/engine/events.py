"""What the control plane is told of a task, and in which order: pure functions over the task's outbox.

Source: SubmitTaskStateChange as AWS's agent sends it.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.agent.model import ContainerRecord, ContainerStatus, Event, TaskRecord, TaskStatus

_REASON_LIMIT = 1024


def container_change(container: ContainerRecord) -> dict[str, Any]:
    """A container as a ContainerStateChange; what is not known is left out."""
    status = {ContainerStatus.RUNNING: "RUNNING", ContainerStatus.STOPPED: "STOPPED"}.get(container.known, "PENDING")
    change: dict[str, Any] = {"containerName": container.name, "status": status}
    if container.created_at is not None:
        change["runtimeId"] = container.id
    if container.image_digest:
        change["imageDigest"] = container.image_digest
    if container.exit_code is not None:
        change["exitCode"] = container.exit_code
    if container.reason:
        change["reason"] = container.reason[:_REASON_LIMIT]
    if container.network_bindings:
        change["networkBindings"] = container.network_bindings
    return change


def event(record: TaskRecord, changed: list[ContainerRecord]) -> Event:
    """The event that tells of these containers and of the task as they are now."""
    stopped = record.known is TaskStatus.STOPPED
    return Event(
        status={TaskStatus.RUNNING: "RUNNING", TaskStatus.STOPPED: "STOPPED"}.get(record.known, "PENDING"),
        reason=record.reason[:_REASON_LIMIT] if stopped else "",
        containers=[container_change(c) for c in changed],
        pull_started_at=record.pull_started_at,
        pull_stopped_at=record.pull_stopped_at,
        execution_stopped_at=record.execution_stopped_at,
    )


def append(outbox: list[Event], new: Event, *, first_in_flight: bool) -> list[Event]:
    """The outbox with one more event.

    It joins the last one where both have the same status and that one is not on its way: a container's changes
    stay in order within an event, and events stay in order.
    """
    busy = 1 if first_in_flight else 0
    if len(outbox) <= busy or outbox[-1].status != new.status or outbox[-1].attachments or new.attachments:
        return [*outbox, new]
    last = outbox[-1]
    containers = [*last.containers]
    containers += [c for c in new.containers if c not in containers]
    return [*outbox[:-1], replace(new, containers=containers)]


def body(cluster: str, task: str, event: Event) -> dict[str, Any]:
    """The SubmitTaskStateChange request of an event."""
    request: dict[str, Any] = {"cluster": cluster, "task": task}
    if event.attachments:
        return request | {"attachments": event.attachments} | ({"reason": event.reason} if event.reason else {})
    request |= {"status": event.status, "reason": event.reason, "containers": event.containers}
    times = {
        "pullStartedAt": event.pull_started_at,
        "pullStoppedAt": event.pull_stopped_at,
        "executionStoppedAt": event.execution_stopped_at,
    }
    return request | {name: round(at, 3) for name, at in times.items() if at is not None}
