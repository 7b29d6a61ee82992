"""What a pass over a service does for a deployment that shifts traffic: its next stages, the tasks of both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dryport.ecs.model import Json
from dryport.ecs.services import breaker, history, hooks, rolling, rollout, shifting, stages
from dryport.ecs.services.model import FAILED, IN_PROGRESS, Deployment, Hook, Progress
from dryport.ecs.services.rolling import Counts, Stops
from dryport.ecs.services.views import View
from dryport.store import Transaction

if TYPE_CHECKING:
    from dryport.ecs.controllers.services import Pass


class Shifts:
    """One look at a service whose primary deployment, green, takes the place of another one, blue."""

    def __init__(self, owner: Pass, tx: Transaction, view: View, now: float) -> None:
        self._pass, self._tx, self._view, self._now = owner, tx, view, now

    def act(self) -> None:
        """Go on as far as it can, or back; start and stop what that takes."""
        if self._pass.service.primary.rollout_state == IN_PROGRESS:
            self._advance()
        if self._progress is not None:
            self._tasks(self._progress)

    @property
    def _progress(self) -> Progress | None:
        return self._pass.service.primary.progress

    # Stages

    def _advance(self) -> None:
        while (progress := self._progress) is not None:
            green = self._pass.service.primary
            progress = replace(progress, hooks=stages.expire(progress.hooks, self._now))
            wrong = shifting.problem(self._tx, green) if progress.stage == stages.PRE_SCALE_UP else ""
            failed = stages.failure(progress, self._now)
            if wrong or failed:
                why = rollout.INVALID_NETWORKING if wrong else rollout.HOOKS_FAILED
                self._keep(progress)
                self._pass.service = shifting.end(
                    self._tx, self._pass.service, why, self._now, self._pass.random, reason=wrong or failed
                )
                history.keep(self._tx, self._pass.service, self._view, self._now)  # it may be gone in a moment
                return
            reached = stages.advance(progress, self._seen(green), self._now, self._hooks)
            self._keep(reached)
            if reached is None or (reached.stage, reached.since) == (progress.stage, progress.since):
                break
            self._entered(reached)
        self._pass.wait(self._left())

    def _keep(self, progress: Progress | None) -> None:
        service = self._pass.service
        if progress != service.primary.progress:
            primary = replace(service.primary, progress=progress, updated_at=self._now)
            self._pass.service = replace(service, deployments=[primary, *service.deployments[1:]])

    def _seen(self, green: Deployment) -> stages.Seen:
        service, progress = self._pass.service, self._progress
        mine = {green.id, progress.blue if progress is not None else ""}
        counts = self._counts(green.id)
        full = counts.healthy == service.desired_count and not counts.pending and not counts.unhealthy
        strays = any(each not in mine for each in self._view.deployments())
        return stages.Seen(strays=strays and not self._is_stuck(progress), full=full)

    def _is_stuck(self, progress: Progress | None) -> bool:
        """Whether blue's tasks do not come to run: what may mend that does not wait for it to be whole."""
        blue = next(
            (each for each in self._pass.service.deployments[1:] if progress and each.id == progress.blue), None
        )
        # By ECS's own threshold: how long its users are patient with green says nothing of blue.
        return blue is not None and blue.failed_tasks >= breaker.threshold(self._pass.service.desired_count, {})

    def _hooks(self, progress: Progress) -> list[Hook]:
        return hooks.runs(progress, self._pass.random, self._now)

    def _entered(self, progress: Progress) -> None:
        service = self._pass.service
        if progress.back is not None:
            return  # the traffic is where it belongs
        if progress.stage in (stages.TEST_TRAFFIC_SHIFT, stages.PRODUCTION_TRAFFIC_SHIFT):
            shifting.shift(self._tx, service.primary, production=progress.production, test=progress.test)
        elif progress.stage == stages.SCALE_UP:
            shifting.attach(self._tx, service.primary)
        elif progress.stage == stages.CLEAN_UP:
            self._pass.service = replace(service, completed_revision_arn=service.primary.revision_arn)

    def _left(self) -> float:
        """Seconds until time alone changes something."""
        progress = self._progress
        if progress is None:
            return 0.0
        moments = [hook.expires_at for hook in progress.hooks if hook.status in stages.OPEN]
        moments.append(stages.expiry(progress))
        return min(
            [each - self._now for each in moments] + [left for left in [stages.left(progress, self._now)] if left]
        )

    # Tasks

    def _tasks(self, progress: Progress) -> None:
        service, view = self._pass.service, self._view
        green = service.primary
        blue = next((each for each in service.deployments[1:] if each.id == progress.blue), None)
        others = dict.fromkeys((*(each.id for each in service.deployments[1:]), *view.strangers(service)))
        strays = [each for each in others if blue is None or each != blue.id]
        # Others make way as blue's tasks become healthy; where blue starts none any more they cannot wait for it.
        whole = blue is not None and blue.rollout_state != FAILED
        if progress.stage != stages.CLEAN_UP and blue is not None and whole:
            self._want(blue, service.desired_count)
            self._follow(blue, {each: self._counts(each) for each in strays})
            if stages.reached(progress, stages.SCALE_UP):
                self._follow(green, {})
            return
        settled = progress.since + progress.settle - self._now
        if progress.stage == stages.CLEAN_UP and settled > 0:
            self._pass.wait(settled)
            strays = []
        elif progress.back is not None and progress.stage != stages.CLEAN_UP:
            strays = []  # hooks may want to see green
        if progress.back is not None:
            # The primary one may have lost tasks, or never had them all: others go as they become healthy.
            self._follow(green, {each: self._counts(each) for each in strays})
            return
        for each in strays:
            self._leave(each)
        if blue is not None and progress.stage == stages.CLEAN_UP and settled <= 0:
            self._want(blue, 0)
            self._leave(blue.id)
        elif blue is not None:
            self._want(blue, service.desired_count)
            self._follow(blue, {})
        if stages.reached(progress, stages.SCALE_UP):
            self._follow(green, {})

    def _follow(self, deployment: Deployment, others: dict[str, Counts]) -> None:
        """Have a deployment have all of its tasks, as if it were alone but for ``others``, which go meanwhile."""
        configuration: Json = self._pass.service.deployment_configuration
        bounds = configuration["minimumHealthyPercent"], configuration["maximumPercent"]
        plan = rolling.decide(self._pass.service.desired_count, bounds, self._counts(deployment.id), others)
        for name, stops in plan.others.items():
            self._pass.stop(self._view, name, stops)
        self._pass.follow(self._view, deployment, plan)

    def _want(self, deployment: Deployment, count: int) -> None:
        if deployment.desired_count != count:
            self._pass.change(deployment.id, desired_count=count)

    def _leave(self, deployment_id: str) -> None:
        counts = self._counts(deployment_id)
        stops = Stops(counts.pending, counts.healthy - counts.protected, counts.unhealthy)
        self._pass.stop(self._view, deployment_id, stops)

    def _counts(self, deployment_id: str) -> Counts:
        return self._view.counts(deployment_id, self._now, self._pass.service.grace_seconds)
