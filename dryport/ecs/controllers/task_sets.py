"""Keeps the task sets of services that are controlled elsewhere."""

from __future__ import annotations

from msgspec.structs import replace

from dryport.ecs.controllers.services import Pass
from dryport.ecs.model import TASKS, Task
from dryport.ecs.services import events, task_sets
from dryport.ecs.services.model import (
    DRAINING,
    INACTIVE,
    INACTIVE_SECONDS,
    SERVICE_REVISIONS,
    SERVICES,
    STABILIZING,
    STEADY_STATE,
    TASK_SETS,
    Deployment,
    Service,
    TaskSet,
    tasks_key,
)
from dryport.ecs.services.views import View

_SAID_AGAIN = 300.0  # seconds until the same event is said again


class TaskSetPass(Pass):
    """One look at a service with task sets."""

    def run(self) -> float | None:
        waiting, tasks = False, self._tasks()
        for deployment in self.service.deployments:
            deployment = self._computed(deployment)
            one = _One(self._owner, self._tx, self._alone(deployment), self._now)
            one.keep([task for task in tasks if task.started_by == deployment.id])
            waiting = waiting or one.service.waiting
            self._again += one.again
            self._take_back(one.service)
        self.service = replace(self.service, waiting=waiting) if self.service.waiting != waiting else self.service
        self._settle_sets(View(self._tasks(), self._tx))
        if self.service is not self._before:
            self._tx.put(SERVICES, self.service)
        return min(self._again, default=None)

    def _tasks(self) -> list[Task]:
        return self._tx.find(TASKS, "service", tasks_key(self.service))

    def _row(self, deployment: Deployment) -> TaskSet:
        found = self._tx.get(TASK_SETS, task_sets.arn_of(self.service, deployment.id))
        assert found is not None  # they go together
        return found

    def _computed(self, deployment: Deployment) -> Deployment:
        """A task set's deployment, once it is known how many tasks it is to have."""
        wanted = task_sets.computed(self.service.desired_count, self._row(deployment).scale)
        if deployment.status == DRAINING or wanted == deployment.desired_count:
            return deployment
        changed = replace(deployment, desired_count=wanted, updated_at=self._now)
        self.service = task_sets.change(self.service, changed)
        self.say(events.computed(deployment.id, wanted))
        return changed

    def _alone(self, deployment: Deployment) -> Service:
        """The service as if it had this one task set and nothing else."""
        return replace(
            self.service,
            deployments=[deployment],
            desired_count=deployment.desired_count,
            status="ACTIVE",
            waiting=False,
        )

    def _take_back(self, kept: Service) -> None:
        """What has become of a task set."""
        if kept.primary not in self.service.deployments:
            others = [each for each in self.service.deployments if each.id != kept.primary.id]
            self.service = replace(self.service, deployments=task_sets.ordered([kept.primary, *others]))
        if kept.events != self.service.events:
            self.service = replace(self.service, events=kept.events)

    # Where that leaves them

    def _settle_sets(self, view: View) -> None:
        """Which task sets are steady, which are gone, and whether the service is."""
        steady = True
        for deployment in self.service.deployments:
            if deployment.status == DRAINING and deployment.id not in view.deployments():
                self._remove(deployment)
            else:
                steady = self._note_stability(deployment, view) and steady
        service = self.service
        if service.status == DRAINING:
            if not view.tasks:
                self.service = replace(service, status=INACTIVE, deleted_at=self._now, deployments=[], waiting=False)
                self._again.append(INACTIVE_SECONDS)
        elif steady and service.deployments:
            self.service = self._steady(service)
        elif service.steady_at is not None:
            self.service = replace(service, steady_at=None)

    def _remove(self, deployment: Deployment) -> None:
        left = [each for each in self.service.deployments if each.id != deployment.id]
        self.service = replace(self.service, deployments=left)
        self._tx.delete(TASK_SETS, task_sets.arn_of(self.service, deployment.id))
        self._tx.delete(SERVICE_REVISIONS, deployment.revision_arn)

    def _note_stability(self, deployment: Deployment, view: View) -> bool:
        """Whether a task set has the tasks that it is to have, all of them well."""
        counts = view.counts(deployment.id, self._now, self.service.grace_seconds)
        full = counts.healthy == counts.all == deployment.desired_count
        stable = full and deployment.status != DRAINING
        stability = STEADY_STATE if stable else STABILIZING
        row = self._row(deployment)
        if row.stability != stability:
            self._tx.put(TASK_SETS, replace(row, stability=stability, stability_at=self._now))
            if stable:
                self.service = events.say(self.service, events.STABLE, self._now, self._random, task_set=deployment.id)
        return stable


class _One(Pass):
    """What is next for one task set, which is its service's only deployment meanwhile."""

    def keep(self, tasks: list[Task]) -> None:
        """Start and stop tasks. ``tasks`` are the task set's."""
        view = self._note(View(tasks, self._tx))
        self._act_as_replica(view)
        self._again += [left for left in self._waits(view) if left > 0]

    @property
    def again(self) -> list[float]:
        """In how many seconds it is to be looked at again."""
        return self._again

    def say(self, message: str) -> None:
        self.service = events.say(self.service, message, self._now, self._random, task_set=self.service.primary.id)

    def say_again(self, message: str) -> None:
        """Say what was said already only once in a while, whatever other task sets say in between."""
        text = f"(service {self.service.name}) {message}"
        said = (float(each["createdAt"]) for each in self.service.events if each["message"] == text)
        if self._now >= max(said, default=0.0) + _SAID_AGAIN:
            super().say(message)
