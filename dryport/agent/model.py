"""What the agent remembers of a task, in one durable record a task.

A record is changed only by the task's own actor (``engine.actor``). Times are seconds since the epoch.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from dryport.agent.payload import Credentials, Task


class ContainerStatus(IntEnum):
    """How far a container is; it only goes up."""

    NONE = 0
    PULLED = 1
    CREATED = 2
    RUNNING = 3
    STOPPED = 4


class TaskStatus(IntEnum):
    """How far a task is; it only goes up."""

    NONE = 0
    PENDING = 1
    RUNNING = 2
    STOPPED = 3


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of what is kept; new members have defaults, so that old rows still decode."""


class Health(Record):
    """A container's health. ``failures`` counts in a row; ``since`` is when the status began."""

    status: str = "UNKNOWN"  # UNKNOWN, HEALTHY, UNHEALTHY
    since: float = 0.0
    failures: int = 0
    output: str = ""
    exit_code: int | None = None


class ContainerRecord(Record):
    """A container. ``id`` is the runtime's; ``endpoint_id`` names it on the metadata endpoint."""

    name: str
    id: str
    endpoint_id: str
    desired: ContainerStatus = ContainerStatus.RUNNING
    known: ContainerStatus = ContainerStatus.NONE
    exit_code: int | None = None
    reason: str = ""
    image_digest: str = ""
    stop_signal: str = "SIGTERM"
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    last_exit_at: float | None = None
    restarts: int = 0
    restarted_at: float | None = None
    network_bindings: list[dict[str, Any]] = []
    health: Health | None = None
    labels: dict[str, str] = {}
    log_stream: str = ""
    log_cursor: str = ""
    log_done: bool = False
    term_sent_at: float | None = None

    @property
    def restart_pending(self) -> bool:
        """Whether it was decided to start it again, and that has not been done yet."""
        return self.restarts > 0 and self.restarted_at == self.last_exit_at

    @property
    def last_started_at(self) -> float | None:
        """When its present run began."""
        return self.restarted_at or self.started_at


class Event(Record):
    """A change that the control plane must hear of: the body of one SubmitTaskStateChange."""

    status: str
    reason: str = ""
    containers: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


class TaskRecord(Record):
    """A task and everything that must survive the agent. ``outbox`` holds what is not yet acknowledged, in order."""

    payload: Task
    containers: dict[str, ContainerRecord]
    desired: TaskStatus = TaskStatus.RUNNING
    known: TaskStatus = TaskStatus.NONE
    reason: str = ""
    accepted_at: float = 0.0
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    outbox: list[Event] = []
    role_credentials: Credentials | None = None
    execution_credentials: Credentials | None = None
    namespace: str = ""  # the task's network namespace by name; "": it has none of its own
    sandbox: ContainerRecord | None = None  # what holds it, where the runtime joins no namespace but a container's
    oom_kills: int = 0
    cleaned: bool = False

    @property
    def runtime_ids(self) -> list[str]:
        """The runtime's ids of all that the task has there."""
        return [*(c.id for c in self.containers.values()), *([self.sandbox.id] if self.sandbox else ())]

    @property
    def arn(self) -> str:
        """The task's ARN."""
        return self.payload.arn
