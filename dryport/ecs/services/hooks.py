"""Lifecycle hooks of deployments that shift traffic: their runs, what a function is told, what its answer means. Pure.

Sources: "Lambda hooks" and "Pause hooks for Amazon ECS service deployments", "Troubleshooting Amazon ECS blue/green
deployments", developer guide.
"""

from __future__ import annotations

import base64
from random import Random

from dryport.ecs.model import Json
from dryport.ecs.services.model import Hook, Progress
from dryport.ecs.services.stages import AWAITING_ACTION, IN_PROGRESS, LAMBDA, PAUSE

DEFAULT_TIMEOUT = 1440  # minutes
_KINDS = {LAMBDA: "lambda", PAUSE: "pause"}


def runs(progress: Progress, random: Random, now: float) -> list[Hook]:
    """The runs that the stage of a deployment begins with."""
    stage = progress.stage
    return [_run(each, progress, random, now) for each in progress.configured if stage in each["lifecycleStages"]]


def _run(configured: Json, progress: Progress, random: Random, now: float) -> Hook:
    kind = configured.get("targetType", LAMBDA)
    timeout = configured.get("timeoutConfiguration", {})
    unique = base64.urlsafe_b64encode(random.randbytes(32)).decode().rstrip("=")
    return Hook(
        id=f"ecs-{_KINDS[kind]}-{unique}",
        stage=progress.stage,
        step=progress.step,
        target_type=kind,
        target_arn=configured.get("hookTargetArn", ""),
        role_arn=configured.get("roleArn", ""),
        details=configured.get("hookDetails") or {},
        status=AWAITING_ACTION if kind == PAUSE else IN_PROGRESS,
        expires_at=now + 60.0 * timeout.get("timeoutInMinutes", DEFAULT_TIMEOUT),
        timeout_action=timeout.get("action", "ROLLBACK"),
        next_at=now,
    )
