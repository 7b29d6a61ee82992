"""When a deployment has failed, and how long a service waits before it tries a task again. Pure.

Sources: "How the Amazon ECS deployment circuit breaker detects failures", "Amazon ECS service throttle logic",
developer guide.
"""

from __future__ import annotations

from dryport.ecs.model import Json

_LEAST, _MOST = 3, 200
_FIRST_DELAY, _LONGEST_DELAY = 10.0, 27 * 60.0  # seconds


def threshold(desired: int) -> int:
    """How many tasks may fail one after the other before a deployment has: half of those wanted, 3 to 200."""
    return min(_MOST, max(_LEAST, (desired + 1) // 2))


def triggered(configuration: Json, failures: int, desired: int) -> bool:
    """Whether the circuit breaker of a deployment configuration, where it is enabled, ends a deployment."""
    breaker = configuration.get("deploymentCircuitBreaker", {})
    return bool(breaker.get("enable")) and failures >= threshold(desired)


def delay(failures: int) -> float:
    """Seconds until the next start after so many tasks in a row that never ran; the first is made up for at once."""
    if failures <= 1:
        return 0.0
    return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failures - 2, 10)))
