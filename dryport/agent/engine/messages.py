"""What a task's actor is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from dryport.agent.engine.health import Probe
from dryport.agent.engine.plan import Step
from dryport.agent.engine.provision import Provisioned
from dryport.agent.runtime import ContainerState, Image


@dataclass(frozen=True)
class Stop:
    """The task should end."""

    reason: str = ""


@dataclass(frozen=True)
class Fetched:
    """All that the task's containers are made of."""

    result: Provisioned


@dataclass(frozen=True)
class ProvisionDone:
    """The task's surroundings are ready, or why they will not be."""

    reason: str = ""


@dataclass(frozen=True)
class StepDone:
    """A step is over; ``reason`` says why it failed, "" that it did not."""

    step: Step
    reason: str = ""
    result: Image | ContainerState | None = None
    started_at: float = 0.0
    ended_at: float = 0.0


@dataclass(frozen=True)
class ContainerExited:
    """A container has ended, or with ``exit_code`` ``None`` is gone."""

    name: str
    exit_code: int | None
    at: float
    out_of_memory: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Observed:
    """What the runtime says of every container of the task that it has; sent after an absence and now and then."""

    states: dict[str, ContainerState] = field(default_factory=dict)


@dataclass(frozen=True)
class Probed:
    """A health check has run."""

    name: str
    probe: Probe


@dataclass(frozen=True)
class LogsShipped:
    """Everything that the task's containers printed has been shipped, or waited for long enough."""


@dataclass(frozen=True)
class Wake:
    """Something that the plan depends on may have changed."""


Message = Stop | Fetched | ProvisionDone | StepDone | ContainerExited | Observed | Probed | LogsShipped | Wake
