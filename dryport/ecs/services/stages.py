"""The life of a deployment that shifts traffic: blue/green, canary, linear. Pure.

Green is what is deployed, blue what serves until then; between the two, stages follow one another. Green gets no
production traffic before all of its tasks are healthy, and blue goes only while they are.
Sources: "Deployment lifecycle stages", "Lifecycle hooks for Amazon ECS service deployments", developer guide;
DeploymentConfiguration, API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from dryport.ecs.model import Json
from dryport.ecs.services.model import Back, Hook, Progress

ROLLING, BLUE_GREEN, CANARY, LINEAR = "ROLLING", "BLUE_GREEN", "CANARY", "LINEAR"
RECONCILE_SERVICE = "RECONCILE_SERVICE"
PRE_SCALE_UP, SCALE_UP, POST_SCALE_UP = "PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP"
TEST_TRAFFIC_SHIFT, POST_TEST_TRAFFIC_SHIFT = "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT"
PRE_PRODUCTION_TRAFFIC_SHIFT = "PRE_PRODUCTION_TRAFFIC_SHIFT"
PRODUCTION_TRAFFIC_SHIFT = "PRODUCTION_TRAFFIC_SHIFT"
POST_PRODUCTION_TRAFFIC_SHIFT = "POST_PRODUCTION_TRAFFIC_SHIFT"
BAKE_TIME, CLEAN_UP = "BAKE_TIME", "CLEAN_UP"
ORDER = (
    RECONCILE_SERVICE, PRE_SCALE_UP, SCALE_UP, POST_SCALE_UP, TEST_TRAFFIC_SHIFT, POST_TEST_TRAFFIC_SHIFT,
    PRE_PRODUCTION_TRAFFIC_SHIFT, PRODUCTION_TRAFFIC_SHIFT, POST_PRODUCTION_TRAFFIC_SHIFT, BAKE_TIME, CLEAN_UP,
)  # fmt: skip

_BACK = (PRODUCTION_TRAFFIC_SHIFT, TEST_TRAFFIC_SHIFT)  # whose hooks run in rollbacks, too

AWAITING_ACTION, IN_PROGRESS, SUCCEEDED = "AWAITING_ACTION", "IN_PROGRESS", "SUCCEEDED"
FAILED, TIMED_OUT = "FAILED", "TIMED_OUT"
OPEN = (AWAITING_ACTION, IN_PROGRESS)  # states of hooks that are waited for
LAMBDA, PAUSE = "AWS_LAMBDA", "PAUSE"
LONGEST_STAGE = 24 * 3600.0  # seconds, but for the wait for somebody's action
ALL = 100.0


def reached(progress: Progress, stage: str) -> bool:
    """Whether a deployment is at a stage, or beyond."""
    return ORDER.index(progress.stage) >= ORDER.index(stage)


def current(progress: Progress) -> list[Hook]:
    """The runs of hooks that a deployment's stage waits for."""
    return [hook for hook in progress.hooks if (hook.stage, hook.step) == (progress.stage, progress.step)]


def passed(hook: Hook) -> bool:
    """Whether the deployment may go on, as far as a hook is concerned."""
    return hook.status == SUCCEEDED or (hook.status == TIMED_OUT and hook.timeout_action == "CONTINUE")


class Seen(msgspec.Struct, frozen=True):
    """What of a service's tasks decides. ``strays``: there are tasks of neither green nor blue, which are to go first;
    ``full``: all of green's tasks are there, and healthy."""

    strays: bool
    full: bool


def begin(configuration: Json, *, blue: str, several: bool, balanced: bool, now: float) -> Progress | None:
    """A deployment by a deployment configuration, before its first stage has hooks; ``None`` for one that rolls.

    ``several``: there are other deployments than blue, which go first, whatever the strategy; ``balanced``: there are
    load balancers.
    """
    strategy = configuration["strategy"]
    if strategy == ROLLING and not several:
        return None
    canary, linear = configuration.get("canaryConfiguration", {}), configuration.get("linearConfiguration", {})
    pause = canary.get("canaryBakeTimeInMinutes", 0) + linear.get("stepBakeTimeInMinutes", 0)
    return Progress(
        strategy=strategy,
        stage=RECONCILE_SERVICE if several else PRE_SCALE_UP,
        since=now,
        blue=blue,
        shares=shares(configuration) if blue else [ALL],  # nobody else has the rest
        pause=60.0 * pause,
        bake=60.0 * configuration["bakeTimeInMinutes"],
        settle=SETTLE if balanced else 0.0,
        configured=[] if strategy == ROLLING else configuration.get("lifecycleHooks", []),
    )


SETTLE = 5.0  # seconds


def shares(configuration: Json) -> list[float]:
    """The percents of production traffic that green has after each shift."""
    if configuration["strategy"] == CANARY:
        return sorted({float(configuration["canaryConfiguration"]["canaryPercent"]), ALL})
    if configuration["strategy"] == LINEAR:
        step = round(configuration["linearConfiguration"]["stepPercent"] * 10)  # in tenths, which add up
        return [*(each / 10 for each in range(step, 1000, step)), ALL]
    return [ALL]


HooksOf = Callable[[Progress], list[Hook]]


def advance(progress: Progress, seen: Seen, now: float, hooks_of: HooksOf) -> Progress | None:
    """One step on, the same where it has to wait; ``None`` where the rest is a rolling deployment's.

    ``hooks_of`` gives the runs of hooks that a stage begins with.
    """
    if progress.back is not None:
        waits = any(hook.status in OPEN for hook in current(progress)) or progress.stage == CLEAN_UP
        return progress if waits else _back_from(progress, _BACK[_BACK.index(progress.stage) + 1 :], now, hooks_of)
    if not all(passed(hook) for hook in current(progress)) or _waits(progress, seen, now):
        return progress
    if progress.stage == RECONCILE_SERVICE and progress.strategy == ROLLING:
        return None
    if progress.stage == PRODUCTION_TRAFFIC_SHIFT and progress.step + 1 < len(progress.shares):
        return _enter(replace(progress, step=progress.step + 1), PRE_PRODUCTION_TRAFFIC_SHIFT, now, hooks_of)
    return _enter(progress, ORDER[ORDER.index(progress.stage) + 1], now, hooks_of)


def _waits(progress: Progress, seen: Seen, now: float) -> bool:
    if progress.stage == CLEAN_UP or (progress.stage == RECONCILE_SERVICE and seen.strays):
        return True
    if reached(progress, SCALE_UP) and not seen.full:
        return True
    return left(progress, now) > 0


def left(progress: Progress, now: float) -> float:
    """Seconds that a stage lasts yet, as far as time decides it."""
    lasts = 0.0
    match progress.stage:
        case "TEST_TRAFFIC_SHIFT":
            lasts = progress.settle
        case "PRODUCTION_TRAFFIC_SHIFT":
            last = progress.step + 1 == len(progress.shares)
            lasts = progress.settle if last else max(progress.settle, progress.pause)
        case "BAKE_TIME":
            lasts = progress.bake
    return max(0.0, progress.since + lasts - now)


def _enter(progress: Progress, stage: str, now: float, hooks_of: HooksOf) -> Progress:
    entered = replace(progress, stage=stage, since=now)
    if stage == TEST_TRAFFIC_SHIFT:
        entered = replace(entered, test=ALL)
    elif stage == PRODUCTION_TRAFFIC_SHIFT:
        entered = replace(entered, production=progress.shares[progress.step])
    return replace(entered, hooks=[*entered.hooks, *hooks_of(entered)])


def returned(progress: Progress, back: Back, now: float, hooks_of: HooksOf) -> Progress:
    """The progress of blue, which all traffic has gone back to. The hooks of the shifts that are undone run again; the
    traffic does not wait for them, green's tasks do."""
    shifted = [stage for stage, share in zip(_BACK, (progress.production, progress.test), strict=True) if share]
    again = [
        {**each, "lifecycleStages": [stage for stage in each["lifecycleStages"] if stage in shifted]}
        for each in progress.configured
    ]
    blue = replace(progress, blue="", step=0, production=ALL, test=ALL, hooks=[], configured=again, back=back)
    return _back_from(blue, _BACK, now, hooks_of)


def _back_from(progress: Progress, following: Sequence[str], now: float, hooks_of: HooksOf) -> Progress:
    """On to the first of these stages that has hooks. One that failed keeps nobody from going back."""
    for stage in following:
        entered = replace(progress, stage=stage, since=now)
        if runs := hooks_of(entered):
            return replace(entered, hooks=[*entered.hooks, *runs])
    return replace(progress, stage=CLEAN_UP, since=now)


def failure(progress: Progress, now: float) -> str:
    """Why a deployment has to go back, in ECS's words; "" where it has not to."""
    stage = progress.stage
    if progress.back is not None:
        return ""
    for hook in current(progress):
        if hook.status == FAILED and hook.target_type == PAUSE:
            return f"Service deployment rolled back because {stage} pause hook was answered with ROLLBACK."
        if hook.status == FAILED:
            return f"Service deployment rolled back because {stage} lifecycle hook(s) failed. {hook.reason}".rstrip()
        if hook.status == TIMED_OUT and hook.timeout_action == "ROLLBACK":
            kind = "pause hook" if hook.target_type == PAUSE else "lifecycle hook"
            return f"Service deployment rolled back because {stage} {kind} timed out."
    if stage not in (BAKE_TIME, CLEAN_UP) and expiry(progress) <= now:
        return f"Service deployment rolled back because the {stage} lifecycle stage timed out."
    return ""


def expiry(progress: Progress) -> float:
    """When a stage has lasted too long."""
    paused = [hook.expires_at for hook in current(progress) if hook.target_type == PAUSE]
    return max([progress.since + LONGEST_STAGE + progress.pause, *(each + LONGEST_STAGE for each in paused)])


def expire(hooks: Sequence[Hook], now: float) -> list[Hook]:
    """The hooks, with those timed out that nobody has answered in time."""
    return [
        replace(hook, status=TIMED_OUT) if hook.status in OPEN and hook.expires_at <= now else hook for hook in hooks
    ]
