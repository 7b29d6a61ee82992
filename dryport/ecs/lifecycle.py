"""The life of a task, as pure functions: what a report, a stop or a step of the control plane makes of it.

Statuses only go forward, times only rise, what was once reported of a container (its exit code, say) is never lost: so
reports may come twice, late or out of order. Source: "Amazon ECS task lifecycle" and "Amazon ECS stopped tasks error
messages", developer guide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from dryport.ecs.model import Attachment, Container, Json, Task

PROVISIONING: Final = "PROVISIONING"
PENDING: Final = "PENDING"
ACTIVATING: Final = "ACTIVATING"
RUNNING: Final = "RUNNING"
DEACTIVATING: Final = "DEACTIVATING"
STOPPING: Final = "STOPPING"
DEPROVISIONING: Final = "DEPROVISIONING"
STOPPED: Final = "STOPPED"

STATUSES: Final = (PROVISIONING, PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING, STOPPED)
_ORDER: Final = {status: position for position, status in enumerate(STATUSES)}
_CONTAINER_ORDER: Final = {PENDING: 0, RUNNING: 1, STOPPED: 2}
_ATTACHMENT_ORDER: Final = {
    status: position
    for position, status in enumerate(
        ("PRECREATED", "CREATED", "ATTACHING", "ATTACHED", "DETACHING", "DETACHED", "FAILED", "DELETED")
    )
}

REGISTERED: Final = ("registered", "leaving")  # states of a task's registration while somebody may be led to it
# (Cloud Map's name servers, or a load balancer)
STOPPED_SECONDS: Final = 3600.0  # for how long a stopped task can be seen

# Stop codes.
TASK_FAILED_TO_START: Final = "TaskFailedToStart"
ESSENTIAL_CONTAINER_EXITED: Final = "EssentialContainerExited"
USER_INITIATED: Final = "UserInitiated"
SERVICE_SCHEDULER_INITIATED: Final = "ServiceSchedulerInitiated"
SPOT_INTERRUPTION: Final = "SpotInterruption"
TERMINATION_NOTICE: Final = "TerminationNotice"
INFRASTRUCTURE_HEALTH: Final = "InfrastructureHealth"

# Stopped reasons.
STOPPED_BY_USER: Final = "Task stopped by user"
ESSENTIAL_EXITED: Final = "Essential container in task exited"
FAILED_TO_START: Final = "Task failed to start"
FAILED_HEALTH_CHECKS: Final = "Task failed container health checks"
FAILED_ELB_HEALTH_CHECKS: Final = "Task failed ELB health checks in {place}"
HOST_STOPPED: Final = "Host EC2 (instance {instance}) stopped."
HOST_TERMINATED: Final = "Host EC2 (instance {instance}) terminated."
SPOT_INTERRUPTED: Final = "Your Spot Task was interrupted."

# What the reason of a task or container that failed begins with.
CANNOT_PULL: Final = "CannotPullContainerError"
CANNOT_CREATE: Final = "CannotCreateContainerError"
CANNOT_START: Final = "CannotStartContainerError"
RESOURCE_INITIALIZATION: Final = "ResourceInitializationError"
OUT_OF_MEMORY: Final = "OutOfMemoryError: Container killed due to memory usage"


class ContainerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of one container; ``None`` is what it does not speak of."""

    name: str
    status: str | None = None  # PENDING, RUNNING, STOPPED; others (PULLED, CREATED) count as PENDING
    runtime_id: str | None = None
    image_digest: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    network_bindings: Sequence[Json] | None = None
    managed_agents: Sequence[Json] | None = None


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of a task: SubmitTaskStateChange's members. Times are the agent's, in seconds."""

    status: str | None = None  # PENDING, RUNNING, STOPPED
    reason: str | None = None
    containers: Sequence[ContainerReport] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


def is_before(status: str, other: str) -> bool:
    """Whether a task's status comes before another in its life."""
    return _ORDER[status] < _ORDER[other]


def advance(task: Task, status: str, now: float) -> Task:
    """The task at ``status``, with the time stamps of getting there; unchanged where it is there or beyond."""
    if not is_before(task.last_status, status):
        return task
    now = max(now, latest(task))
    stamps: dict[str, float] = {}
    if status == RUNNING:
        stamps["started_at"] = now
    if _ORDER[status] > _ORDER[RUNNING] and task.stopping_at is None:
        stamps["stopping_at"] = now
    if _ORDER[status] >= _ORDER[DEPROVISIONING] and task.execution_stopped_at is None and _has_run(task):
        stamps["execution_stopped_at"] = now
    if status == STOPPED:
        stamps["stopped_at"] = now
    desired = STOPPED if _ORDER[status] > _ORDER[RUNNING] else task.desired_status
    return replace(task, last_status=status, desired_status=desired, version=task.version + 1, **stamps)


def request_stop(task: Task, code: str, reason: str, now: float) -> Task:
    """The task wanted stopped, for this reason. The first request counts; later ones change nothing."""
    if task.desired_status == STOPPED:
        return task
    return replace(
        task,
        desired_status=STOPPED,
        stop_code=code,
        stopped_reason=reason,
        stopping_at=max(now, latest(task)),
        version=task.version + 1,
    )


def apply_container_report(container: Container, report: ContainerReport) -> Container:
    """The container with what the report adds. What is known stays: an exit code, the first reason, the last status."""
    status = container.last_status
    if report.status is not None and _CONTAINER_ORDER.get(report.status, 0) > _CONTAINER_ORDER.get(status, 0):
        status = report.status
    return replace(
        container,
        last_status=status,
        runtime_id=container.runtime_id or report.runtime_id,
        image_digest=container.image_digest or report.image_digest,
        exit_code=report.exit_code if container.exit_code is None else container.exit_code,
        reason=container.reason or report.reason,
        network_bindings=container.network_bindings or list(report.network_bindings or ()),
        managed_agents=container.managed_agents if report.managed_agents is None else list(report.managed_agents),
    )


def apply_task_report(task: Task, report: TaskReport, now: float) -> Task:
    """The task after an agent's report, received at ``now``.

    STOPPED leaves a task that still has interfaces at DEPROVISIONING: ``advance`` it to STOPPED once they are gone.
    """
    if task.last_status == STOPPED:
        return task
    changed = _with_pull(replace(task, containers=_apply_to_containers(task.containers, report)), report)
    if report.status == RUNNING and (task.registries or task.load_balancers) and not task.registration:
        changed = advance(changed, ACTIVATING, now)  # RUNNING once it is registered
    elif report.status in (PENDING, RUNNING):
        changed = advance(changed, report.status, now)
    elif report.status == STOPPED:
        changed = _stopped(changed, report, now)
    if changed == task:
        return task
    return replace(changed, version=task.version + 1)


def apply_attachment_status(task: Task, attachment_id: str, status: str, details: Sequence[Json] | None = None) -> Task:
    """The task with an attachment at a later status and, where given, its new details; else the task unchanged."""
    attachments = [
        _advance_attachment(attachment, status, details) if attachment.id == attachment_id else attachment
        for attachment in task.attachments
    ]
    if attachments == task.attachments:
        return task
    return replace(task, attachments=attachments, version=task.version + 1)


def apply_health_report(task: Task, statuses: Mapping[str, str], essential: Collection[str]) -> Task:
    """The task with the health (UNKNOWN, HEALTHY, UNHEALTHY) of its containers, by name.

    The task's own follows from the essential containers that have a health check.
    """
    containers = [
        replace(container, health_status=statuses.get(container.name, container.health_status))
        for container in task.containers
    ]
    checked = {c.health_status for c in containers if c.name in essential and c.health_status is not None}
    health = "UNKNOWN"
    if "UNHEALTHY" in checked:
        health = "UNHEALTHY"
    elif checked == {"HEALTHY"}:
        health = "HEALTHY"
    if containers == task.containers and health == task.health_status:
        return task
    return replace(task, containers=containers, health_status=health, version=task.version + 1)


def expired(task: Task, now: float) -> bool:
    """Whether a stopped task is to be forgotten: an hour after it stopped."""
    return task.stopped_at is not None and now >= task.stopped_at + STOPPED_SECONDS


def latest(task: Task) -> float:
    """The latest time in a task's life so far, in seconds."""
    return max(
        task.created_at,
        task.started_at or 0.0,
        task.stopping_at or 0.0,
        task.execution_stopped_at or 0.0,
        task.stopped_at or 0.0,
    )


def _with_pull(task: Task, report: TaskReport) -> Task:
    # The agent's clock is another one than ours, and its reports may come in any order: keep the times in theirs.
    # Images may be pulled while the interface is still being made; a life tells one after the other.
    started, stopped = task.pull_started_at, task.pull_stopped_at
    earliest = max(task.created_at, task.connectivity_at or 0.0)
    if started is None and report.pull_started_at is not None:
        started = max(report.pull_started_at, earliest)
        started = started if stopped is None else min(started, stopped)
    if stopped is None and report.pull_stopped_at is not None:
        stopped = max(report.pull_stopped_at, earliest if started is None else started)
    return replace(task, pull_started_at=started, pull_stopped_at=stopped)


def _apply_to_containers(containers: Sequence[Container], report: TaskReport) -> list[Container]:
    applied = {container.name: container for container in containers}
    for each in report.containers:
        # One report may hold RUNNING and STOPPED of the same container.
        if each.name in applied:
            applied[each.name] = apply_container_report(applied[each.name], each)
    if report.status != STOPPED:
        return list(applied.values())
    return [replace(container, last_status=STOPPED) for container in applied.values()]


def _has_run(task: Task) -> bool:
    return task.started_at is not None or any(container.exit_code is not None for container in task.containers)


def _stopped(task: Task, report: TaskReport, now: float) -> Task:
    if task.desired_status != STOPPED or task.stop_code is None:
        code, reason = _why_it_stopped(task, report)
        task = replace(task, stop_code=task.stop_code or code, stopped_reason=task.stopped_reason or reason)
    if task.execution_stopped_at is None and report.execution_stopped_at is not None:
        # Neither before what happened already nor after now, whatever the agent's clock says.
        stopped_at = max(latest(task), min(report.execution_stopped_at, now))
        task = replace(task, execution_stopped_at=stopped_at, stopping_at=task.stopping_at or stopped_at)
    released = all(attachment.status == "DELETED" for attachment in task.attachments)
    return advance(task, STOPPED if released else DEPROVISIONING, now)


def _why_it_stopped(task: Task, report: TaskReport) -> tuple[str, str]:
    if _has_run(task):
        return ESSENTIAL_CONTAINER_EXITED, ESSENTIAL_EXITED
    # Only Fargate repeats a container's error as the task's own.
    if task.launch_type != "FARGATE":
        return TASK_FAILED_TO_START, report.reason or FAILED_TO_START
    reasons = (report.reason, *(container.reason for container in task.containers), FAILED_TO_START)
    return TASK_FAILED_TO_START, next(reason for reason in reasons if reason)


def _advance_attachment(attachment: Attachment, status: str, details: Sequence[Json] | None) -> Attachment:
    later = _ATTACHMENT_ORDER[status] > _ATTACHMENT_ORDER[attachment.status]
    return replace(
        attachment,
        status=status if later else attachment.status,
        details=attachment.details if details is None else list(details),
    )
