"""Container health checks as a pure state machine.

Defaults and bounds: "HealthCheck" in the Amazon ECS API reference. Within the start period failures do not count,
and a success ends it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from dryport.agent.model import Health

_NANOSECOND = 1e-9
_OUTPUT_LIMIT = 4096


class HealthCheck(NamedTuple):
    """A check: the command's argv, and seconds."""

    argv: list[str]
    interval: float = 30.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 0.0


class Probe(NamedTuple):
    """What one run of the command gave; ``exit_code`` is ``None`` where it took too long or could not run."""

    at: float
    exit_code: int | None
    output: str = ""


def from_docker(value: dict[str, Any] | None) -> HealthCheck | None:
    """A check from Docker's ``Healthcheck`` (times in nanoseconds); ``None`` for none, or for ``["NONE"]``."""
    test = [str(word) for word in (value or {}).get("Test") or ()]
    if not value or not test or test[0] == "NONE":
        return None
    forms = {"CMD-SHELL": ["/bin/sh", "-c", *test[1:]], "CMD": test[1:]}
    argv = forms.get(test[0], test)
    if not argv:
        return None

    def seconds(name: str, default: float) -> float:
        return float(value.get(name) or 0) * _NANOSECOND or default

    return HealthCheck(
        argv,
        interval=seconds("Interval", 30.0),
        timeout=seconds("Timeout", 5.0),
        retries=int(value.get("Retries") or 3),
        start_period=seconds("StartPeriod", 0.0),
    )


def observe(health: Health, check: HealthCheck, probe: Probe, started_at: float) -> Health:
    """The health after one more probe of a container that has been running since ``started_at``."""
    if probe.exit_code == 0:
        status, failures = "HEALTHY", 0
    else:
        starting = health.status == "UNKNOWN" and probe.at < started_at + check.start_period
        failures = 0 if starting else min(health.failures + 1, check.retries)
        status = "UNHEALTHY" if failures >= check.retries else health.status
    return replace(
        health,
        status=status,
        since=health.since if status == health.status else probe.at,
        failures=failures,
        output=probe.output[:_OUTPUT_LIMIT],
        exit_code=probe.exit_code,
    )
