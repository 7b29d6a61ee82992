"""The health of a classic load balancer's instances: the target of checks, and states in AWS's words. Pure.

Sources: "Configure health checks for your Classic Load Balancer"; InstanceState, API reference.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dryport.elb.model import DRAINING, HealthCheck, Target
from dryport.elb.names import invalid

_TARGET = re.compile(r"(TCP|SSL|HTTP|HTTPS):([0-9]{1,5})(/.*)?", re.I | re.S)
_LONGEST = 1024


class State(NamedTuple):
    """What DescribeInstanceHealth says of an instance."""

    state: str
    reason: str = "N/A"
    description: str = "N/A"


NOT_REGISTERED = State("Unknown", "ELB", "Instance is not currently registered with the LoadBalancer.")
_REGISTERING = State("OutOfService", "ELB", "Instance registration is still in progress.")
_LEAVING = State("InService", "N/A", "Instance deregistration currently in progress.")
_FAILED = State(
    "OutOfService",
    "Instance",
    "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
)
_ELSEWHERE = State(
    "OutOfService",
    "ELB",
    "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.",
)
_SETTLED = {"stopping": "stopped", "shutting-down": "terminated"}


def state(target: Target, *, in_zone: bool, instance_state: str) -> State:
    """An instance's state: what was found, unless it can get no traffic. ``instance_state`` is EC2's."""
    if target.state == DRAINING:
        return _LEAVING
    if instance_state != "running":
        down = _SETTLED.get(instance_state, instance_state)
        return State("OutOfService", "Instance", f"Instance is in {down} state.")
    if not in_zone:
        return _ELSEWHERE
    return {"healthy": State("InService"), "unhealthy": _FAILED}.get(target.state, _REGISTERING)


def default(instance_port: int) -> HealthCheck:
    """The check of a new balancer: of its first listener's port."""
    return HealthCheck(protocol="TCP", port=str(instance_port), interval=30, timeout=5, healthy=10, unhealthy=2)


def checked(given: Any) -> HealthCheck:
    """A check as ConfigureHealthCheck has it. Raises ServiceError."""
    target = given["Target"]
    found = _TARGET.fullmatch(target)
    if found is None:
        protocol = target.partition(":")[0].upper()
        if protocol in ("HTTP", "HTTPS"):
            raise _without_path(protocol)
        raise invalid(f"HealthCheck Target '{target}' must be a protocol of TCP, SSL, HTTP, HTTPS and a port")
    protocol, port, path = found[1].upper(), int(found[2]), found[3] or ""
    if not 1 <= port <= 65535:
        raise invalid(f"HealthCheck {protocol} Target must specify a port in the range 1 to 65535")
    if protocol in ("HTTP", "HTTPS") and not path:
        raise _without_path(protocol)
    if protocol in ("TCP", "SSL") and path:
        raise invalid(f"HealthCheck {protocol} Target must specify a port only. e.g. {protocol}:80")
    if len(path) > _LONGEST:
        raise invalid(f"HealthCheck path cannot be longer than {_LONGEST} characters")
    if given["Timeout"] >= given["Interval"]:
        raise invalid("HealthCheck timeout must be less than interval")
    return HealthCheck(
        protocol=protocol,
        port=str(port),
        path=path,
        interval=given["Interval"],
        timeout=given["Timeout"],
        healthy=given["HealthyThreshold"],
        unhealthy=given["UnhealthyThreshold"],
        codes="200" if path else "",
    )


def _without_path(protocol: str) -> Exception:
    return invalid(
        f"HealthCheck {protocol} Target must specify a port followed by a path that begins with a slash. e.g. "
        f"{protocol}:80/ping/this/path"
    )


def described(check: HealthCheck) -> dict[str, Any]:
    """A check as AWS has it."""
    return {
        "Target": f"{check.protocol}:{check.port}{check.path}",
        "Interval": check.interval,
        "Timeout": check.timeout,
        "UnhealthyThreshold": check.unhealthy,
        "HealthyThreshold": check.healthy,
    }
