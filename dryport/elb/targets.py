"""What becomes of targets: the steps of their health, as DescribeTargetHealth has it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from dryport.elb.model import DRAINING, Target, TargetGroup

DEREGISTRATION_DELAY = 300  # seconds: AWS's default


def deregistration_delay(group: TargetGroup) -> int:
    """How many seconds a target of a group drains."""
    return int(group.attributes.get("deregistration_delay.timeout_seconds", DEREGISTRATION_DELAY))


def draining(target: Target, gone_at: float) -> Target:
    """A target that is being deregistered, until a time."""
    return replace(
        target,
        state=DRAINING,
        reason="Target.DeregistrationInProgress",
        description="Target deregistration is in progress",
        gone_at=gone_at,
    )


class Health(NamedTuple):
    """What DescribeTargetHealth says of a target."""

    state: str
    reason: str = ""
    description: str = ""


NOT_REGISTERED = Health("unused", "Target.NotRegistered", "Target is not registered to the target group")
_NOT_IN_USE = "Target.NotInUse"
_NO_TRAFFIC = Health("unused", _NOT_IN_USE, "Target group is not configured to receive traffic from the load balancer")
_NO_ZONE = Health("unused", _NOT_IN_USE, "Target is in an Availability Zone that is not enabled for the load balancer")


def health(target: Target, *, used: bool, in_zone: bool, instance_state: str | None) -> Health:
    """A target's health: what was found, unless it can get no traffic.

    ``used``: a load balancer forwards to its group; ``in_zone``: that one is in its zone; ``instance_state`` is the
    instance's, ``None`` where the target is an address.
    """
    if target.state == DRAINING:
        return Health(target.state, target.reason, target.description)
    if instance_state is not None and instance_state not in ("pending", "running"):
        return Health("unused", "Target.InvalidState", f"Target is in the {_settled(instance_state)} state")
    if not used:
        return _NO_TRAFFIC
    if not in_zone:
        return _NO_ZONE
    return Health(target.state, target.reason, target.description)


def _settled(instance_state: str) -> str:
    return {"stopping": "stopped", "shutting-down": "terminated"}.get(instance_state, instance_state)
