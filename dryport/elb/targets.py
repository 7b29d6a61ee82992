"""What becomes of targets: the steps of their health, as DescribeTargetHealth has it. Pure."""

from __future__ import annotations

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
