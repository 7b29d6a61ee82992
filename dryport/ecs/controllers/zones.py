"""Moves a service's tasks between Availability Zones: a part of a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ecs.model import Task
from dryport.ecs.services import events, zones
from dryport.ecs.services.launching import Launcher
from dryport.ecs.services.model import COMPLETED, DRAINING
from dryport.ecs.services.views import View
from dryport.store import Transaction

if TYPE_CHECKING:
    from dryport.ecs.controllers.services import Pass

_AGAIN = 600.0  # seconds until a zone without room is tried again


class Zones:
    """What is next, in one pass, for a service that is to have as many tasks in each zone."""

    def __init__(self, owner: Pass, tx: Transaction, view: View, now: float) -> None:
        self._pass, self._tx, self._view, self._now = owner, tx, view, now

    def act(self) -> bool:
        """Start or stop one task, if that is what is to be done now."""
        service, view = self._pass.service, self._view
        enabled = service.zone_rebalancing == "ENABLED" and service.status != DRAINING
        settled = len(service.deployments) == 1 and service.primary.rollout_state == COMPLETED
        if not enabled or not settled or view.strangers(service) or self._now < service.balance_after:
            self._pass.wait(service.balance_after - self._now)
            self._note(balancing=False)
            return False
        launcher = self._pass.launcher()
        primary = view.counts(service.primary.id, self._now, service.grace_seconds)
        healthy = view.of_kind(service.primary.id, "healthy", self._now, service.grace_seconds)
        try:
            tasks = zones.count(launcher.zones(service.primary), (task.availability_zone for task in healthy))
        except ServiceError:
            return False  # it cannot be launched as things are: the usual way says so
        step = zones.step(service.desired_count, service.deployment_configuration["maximumPercent"], primary, tasks)
        if step is None or ((step.over or step.stop) and not service.balancing):
            self._note(balancing=False)
            return False
        self._take(step, launcher, healthy, tasks)
        return True

    def _take(self, step: zones.Balance, launcher: Launcher, healthy: list[Task], tasks: dict[str, int]) -> None:
        if step.over:
            self._note(balancing=False)
            self._pass.say(events.balanced(tasks))
        elif step.stop is not None:
            crowd = [task for task in healthy if task.availability_zone == step.stop]
            crowd = [task for task in crowd if not View.protected(task, self._now)][:1]
            self._pass.stop_tasks(crowd, said=events.stopped_in(step.stop, [task.arn for task in crowd]))
        elif step.start is not None:
            if not self._pass.service.balancing:
                self._note(balancing=True)
                self._pass.say(events.unbalanced(tasks))
            started, _ = launcher.start(self._pass.service.primary, 1, step.start)
            if started:
                self._pass.say(events.started_in(step.start, [task.arn for task in started]))
            else:
                self._pass.say_again(events.unplaced_in(step.start))
                self._note(balancing=False)
                self._pass.service = replace(self._pass.service, balance_after=self._now + _AGAIN)
                self._pass.wait(_AGAIN)

    def _note(self, *, balancing: bool) -> None:
        if self._pass.service.balancing != balancing:
            self._pass.service = replace(self._pass.service, balancing=balancing)
