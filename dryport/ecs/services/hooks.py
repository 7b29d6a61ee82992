"""Lifecycle hooks of deployments that shift traffic: their runs, what a function is told, what its answer means. Pure.

Sources: "Lambda hooks" and "Pause hooks for Amazon ECS service deployments", "Troubleshooting Amazon ECS blue/green
deployments", developer guide.
"""

from __future__ import annotations

import base64
from random import Random

import msgspec
from msgspec.structs import replace

from dryport.aws.identifiers import uuid4
from dryport.ecs.model import Json
from dryport.ecs.services.model import Hook, Progress, Service
from dryport.ecs.services.stages import (
    AWAITING_ACTION,
    FAILED,
    IN_PROGRESS,
    LAMBDA,
    PAUSE,
    PRE_PRODUCTION_TRAFFIC_SHIFT,
    PRODUCTION_TRAFFIC_SHIFT,
    SUCCEEDED,
    TEST_TRAFFIC_SHIFT,
)

DEFAULT_TIMEOUT = 1440  # minutes
DEFAULT_DELAY = 30  # seconds until a function is asked again
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
        execution_id=uuid4(random) if kind == LAMBDA else "",
        target_arn=configured.get("hookTargetArn", ""),
        role_arn=configured.get("roleArn", ""),
        details=configured.get("hookDetails") or {},
        status=AWAITING_ACTION if kind == PAUSE else IN_PROGRESS,
        expires_at=now + 60.0 * timeout.get("timeoutInMinutes", DEFAULT_TIMEOUT),
        timeout_action=timeout.get("action", "ROLLBACK"),
        next_at=now,
    )


def payload(service: Service, hook: Hook) -> bytes:
    """What a function is told: weights, in percents by revision, at the stages at which they change."""
    primary = service.primary
    progress = primary.progress
    other = next((each.revision_arn for each in service.deployments[1:] if progress and each.id == progress.blue), None)
    back = progress.back if progress is not None else None
    if back is not None:
        other = back.revision_arn

    def weights(percent: float) -> Json:
        found = {**({other: 100.0 - percent} if other else {}), primary.revision_arn: percent}
        return {arn: int(share) if share == int(share) else share for arn, share in found.items()}

    test = weights(progress.test) if progress and hook.stage == TEST_TRAFFIC_SHIFT else {}
    shifting = (PRE_PRODUCTION_TRAFFIC_SHIFT, PRODUCTION_TRAFFIC_SHIFT)
    production = weights(progress.production) if progress and hook.stage in shifting else {}
    event: Json = {
        "executionId": hook.execution_id,
        "lifecycleStage": hook.stage,
        "resourceArn": primary.service_deployment_arn if back is None else back.service_deployment_arn,
        "executionDetails": {
            "serviceArn": service.arn,
            "targetServiceRevisionArn": primary.revision_arn if back is None else back.revision_arn,
            "testTrafficWeights": test,
            "productionTrafficWeights": production,
        },
    }
    if hook.details:
        event["hookDetails"] = hook.details
    return msgspec.json.encode(event)


def answered(hook: Hook, body: bytes, now: float) -> Hook:
    """The run, as its function's answer has it; an answer that says nothing has failed it."""
    unread = f"ECS was unable to parse the response from {hook.target_arn} due to"
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        return replace(hook, status=FAILED, reason=f"{unread} {error}")
    status = answer.get("hookStatus") if isinstance(answer, dict) else None
    if status == SUCCEEDED:
        return replace(hook, status=SUCCEEDED)
    if status == FAILED:
        return replace(hook, status=FAILED, reason=f"Lifecycle hook target {hook.target_arn} returned FAILED status.")
    if status != IN_PROGRESS:
        why = "HookStatus must not be null" if status is None else f"HookStatus {status} is not valid"
        return replace(hook, status=FAILED, reason=f"{unread} {why}")
    delay = answer.get("callBackDelay", DEFAULT_DELAY)
    if isinstance(delay, bool) or not isinstance(delay, int | float) or delay < 0:
        return replace(hook, status=FAILED, reason=f"{unread} callBackDelay {delay} is not valid")
    details = answer.get("hookDetails")
    merged = {**hook.details, **details} if isinstance(details, dict) else hook.details
    return replace(hook, next_at=now + delay, details=merged)
