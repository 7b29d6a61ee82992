"""When a deployment has failed, and how long a service waits before it tries a task again. Pure.

Sources: "How the Amazon ECS deployment circuit breaker detects failures", "Amazon ECS service throttle logic",
developer guide; "ThresholdConfiguration", API reference.
"""

from __future__ import annotations

from dryport.ecs.model import Json

_LEAST, _MOST = 3, 200
_DEFAULT: Json = {"type": "BOUNDED_PERCENT", "value": 50}
_FIRST_DELAY, _LONGEST_DELAY = 10.0, 27 * 60.0  # seconds


def threshold(desired: int, configuration: Json) -> int:
    """How many tasks may fail before a deployment has: unless its configuration says otherwise half of those wanted,
    3 to 200. Percents are rounded up; without bounds, too, there has to be one that fails."""
    wanted = configuration.get("deploymentCircuitBreaker", {}).get("thresholdConfiguration", _DEFAULT)
    if wanted["type"] == "COUNT":
        return int(wanted["value"])
    share = -(-desired * int(wanted["value"]) // 100)
    return max(1, share) if wanted["type"] == "UNBOUNDED_PERCENT" else min(_MOST, max(_LEAST, share))


def cumulative(configuration: Json) -> bool:
    """Whether tasks that fail are counted from a deployment's beginning to its end, and not one after the other."""
    return configuration.get("deploymentCircuitBreaker", {}).get("resetOnHealthyTask") is False


def triggered(configuration: Json, failures: int, desired: int) -> bool:
    """Whether the circuit breaker of a deployment configuration, where it is enabled, ends a deployment."""
    breaker = configuration.get("deploymentCircuitBreaker", {})
    return bool(breaker.get("enable")) and failures >= threshold(desired, configuration)


def delay(failures: int) -> float:
    """Seconds until the next start after so many tasks in a row that never ran; the first is made up for at once."""
    if failures <= 1:
        return 0.0
    return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failures - 2, 10)))
