"""Keeps every service's tasks as they are wanted: keyed by the service's ARN."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.cloudwatch import published as cloudwatch
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ecs import lifecycle
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.controllers.shifts import Shifts
from dryport.ecs.controllers.zones import Zones
from dryport.ecs.launching import placement
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, ContainerInstance, Task
from dryport.ecs.placement import stopping
from dryport.ecs.services import alarms, balancers, breaker, daemon, early, events, history, rolling, rollout, shifting
from dryport.ecs.services.launching import Launcher
from dryport.ecs.services.model import (
    DRAINING,
    EXTERNAL,
    FAILED,
    IN_PROGRESS,
    INACTIVE,
    INACTIVE_SECONDS,
    SERVICE_REVISIONS,
    SERVICES,
    Deployment,
    Service,
    tasks_key,
)
from dryport.ecs.services.views import View
from dryport.elb.model import TARGETS, Target
from dryport.store import Change, Transaction

_PLACE_AGAIN = 15.0  # seconds until a task that could not be placed is tried again, whatever happens meanwhile
_REPEAT = 300.0  # seconds until the same event is said again
_STEADY_AGAIN = 6 * 3600.0
_MOST_STARTS = 500  # a pass


class ServiceController(Controller):
    """One pass looks at a service as it is and does what is next, in one transaction."""

    tables = (SERVICES, TASKS, CONTAINER_INSTANCES, TARGETS, cloudwatch.ALARMS)

    def __init__(self, context: Context) -> None:
        super().__init__(context.store, context.clock)
        self._random = context.random

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(SERVICES)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == TASKS.name:
            return self._of_task(change)
        if change.table.name == CONTAINER_INSTANCES.name:
            return self._of_instance(change)
        if change.table.name == TARGETS.name:
            return self._of_target(change)
        if change.table.name == cloudwatch.ALARMS.name:
            return self.store.reader.keys(SERVICES, "alarm", change.key)
        return (change.key,)

    def _of_task(self, change: Change[Task]) -> Iterable[str]:
        task = change.new or change.old
        if task is None or _decisive(change.old) == _decisive(change.new):
            return ()
        found: list[str] = []
        if task.group is not None and task.group.startswith("service:"):
            found += self.store.reader.keys(SERVICES, "tasks", f"{task.cluster_arn}/{task.group}")
        if task.last_status == lifecycle.STOPPED and task.launch_type != "FARGATE":
            found += self.store.reader.keys(SERVICES, "waiting", task.cluster_arn)  # there is room again
        return found

    def _of_target(self, change: Change[Target]) -> Iterable[str]:
        if change.old is not None and change.new is not None and change.old.state == change.new.state:
            return ()
        tasks = self.store.reader.find(TASKS, "target", change.key)
        groups = {f"{task.cluster_arn}/{task.group}" for task in tasks if task.desired_status == lifecycle.RUNNING}
        return [key for group in groups for key in self.store.reader.keys(SERVICES, "tasks", group)]

    def _of_instance(self, change: Change[ContainerInstance]) -> Iterable[str]:
        instance = change.new or change.old
        if instance is None or instance.capacity == "FARGATE":
            return ()
        if _there(change.old) != _there(change.new):
            return self.store.reader.keys(SERVICES, "cluster", instance.cluster_arn)  # it came, is drained, went away
        return self.store.reader.keys(SERVICES, "waiting", instance.cluster_arn)

    async def reconcile(self, key: str) -> float | None:
        return await self.store.transact(lambda tx: self._pass(tx, key))

    def _pass(self, tx: Transaction, key: str) -> float | None:
        service = tx.get(SERVICES, key)
        if service is None:
            return None
        now = self.clock.time()
        if service.status == INACTIVE:
            return self._forget(tx, service, now)
        if service.controller == EXTERNAL:
            from dryport.ecs.controllers.task_sets import TaskSetPass  # a pass of this module's; few services need it

            return TaskSetPass(self, tx, service, now).run()
        return Pass(self, tx, service, now).run()

    def _forget(self, tx: Transaction, service: Service, now: float) -> float | None:
        left = (service.deleted_at or 0.0) + INACTIVE_SECONDS - now
        if left > 0:
            return left
        history.forget(tx, service)
        tx.delete(SERVICES, service.arn)
        return None

    def launcher(self, tx: Transaction, service: Service) -> Launcher:
        """What starts a service's tasks."""
        return Launcher(self.store, self.clock, self._random, tx, service)

    @property
    def random(self) -> Any:
        """The passed-in source."""
        return self._random


class Pass:
    """One look at one service."""

    def __init__(self, owner: ServiceController, tx: Transaction, service: Service, now: float) -> None:
        self._owner, self._tx, self._now = owner, tx, now
        self._random = self.random = owner.random
        self._before = self.service = service
        self._again: list[float] = []

    def run(self) -> float | None:
        """Do what is next; seconds until it is to be looked at again."""
        view = self._note(View(self._tx.find(TASKS, "service", tasks_key(self.service)), self._tx))
        self._judge(view)
        self._act(view)
        self._again += [left for left in self._waits(view) if left > 0]
        view = View(self._tx.find(TASKS, "service", tasks_key(self.service)), self._tx)
        self._settle(view)
        if self.service is not self._before:
            self._tx.put(SERVICES, self.service)
        history.keep(self._tx, self.service, view, self._now)
        return min(self._again, default=None)

    def _waits(self, view: View) -> Iterator[float]:
        """Seconds until tasks count for something else without anybody's doing."""
        for task in view.tasks:
            # Whoever is protected may be what a deployment or a scale-in waits for.
            yield (task.protected_until or 0.0) - self._now
            if self.service.grace_seconds and view.sick(task):
                yield (task.started_at or 0.0) + self.service.grace_seconds - self._now

    # What has happened

    def _note(self, view: View) -> View:
        """Take note of tasks that run, and of those that ended, each once."""
        for deployment in self.service.deployments:
            started = view.last_start(deployment.id)
            if started and not deployment.reached_running:
                counted = deployment.breaker_failures if self._cumulative else 0
                self.change(deployment.id, reached_running=True, failed_tasks=0, breaker_failures=counted, retry_at=0.0)
            elif deployment.failed_tasks and started > deployment.failed_at:
                self.change(deployment.id, failed_tasks=0, retry_at=0.0)
        ended = [task for task in view.tasks if task.last_status == lifecycle.STOPPED]
        for task in ended:
            self._tx.put(TASKS, replace(task, noted=True))
            if task.started_at is None and task.stop_code != lifecycle.SERVICE_SCHEDULER_INITIATED:
                self._failed_to_start(task.started_by or "")
        return View([self._seen(task, view) for task in view.tasks if task.last_status != lifecycle.STOPPED], self._tx)

    def _seen(self, task: Task, view: View) -> Task:
        """Take note of a task that its load balancers first lead to."""
        if not task.targets or task.served or task.last_status != lifecycle.RUNNING:
            return task
        if view.balanced(task)[0] != balancers.WELL:
            return task
        served = replace(task, served=True)
        self._tx.put(TASKS, served)
        return served

    def _failed_to_start(self, deployment_id: str) -> None:
        deployment = self._find(deployment_id)
        if deployment is None:
            return
        failures = deployment.failed_tasks + 1
        pause = breaker.delay(failures)
        counted = deployment.breaker_failures + (self._cumulative or not deployment.reached_running)
        now = self._now
        self.change(deployment_id, failed_tasks=failures, failed_at=now, breaker_failures=counted, retry_at=now + pause)
        if pause and deployment.id == self.service.primary.id:
            self.say(events.INCONSISTENT)

    @property
    def _cumulative(self) -> bool:
        return breaker.cumulative(self.service.deployment_configuration)

    def _judge(self, view: View) -> None:
        """Whether the primary deployment has failed."""
        primary = self.service.primary
        configuration = self.service.deployment_configuration
        if primary.rollout_state != IN_PROGRESS or self.service.status == DRAINING or shifting.decided(self.service):
            return
        found = alarms.triggered(self._tx, self.service)
        if found and primary.alarms is not None:
            self.change(primary.id, alarms=replace(primary.alarms, triggered=found))
            self._fail(view, rollout.ALARM, breaker=False, back=primary.alarms.rollback)
            return
        if not breaker.triggered(configuration, primary.breaker_failures, self.service.desired_count):
            return
        why = rollout.FAILED_TO_START
        if primary.reached_running:
            revision = self._tx.get(SERVICE_REVISIONS, primary.revision_arn)
            balanced = revision is not None and revision.load_balancers
            why = rollout.UNHEALTHY_BY_ELB if balanced else rollout.UNHEALTHY
        self._fail(view, why, breaker=True, back=configuration["deploymentCircuitBreaker"]["rollback"])

    def _fail(self, view: View, why: str, *, breaker: bool, back: bool) -> None:
        """The primary deployment has failed: go back to the completed one, if that is wanted and there is one."""
        now, random = self._now, self._random
        self.service = shifting.end(self._tx, self.service, why, now, random, breaker=breaker, back=back)
        history.keep(self._tx, self.service, view, self._now)  # the failed one may be gone in a moment

    # What is next

    def _act(self, view: View) -> None:
        if self.service.scheduling_strategy == "DAEMON":
            self._act_as_daemon(view)
        else:
            self._act_as_replica(view)

    def _act_as_replica(self, view: View) -> None:
        if Zones(self, self._tx, view, self._now).act():
            return
        if shifting.under_way(self.service) and self.service.status != DRAINING:
            Shifts(self, self._tx, view, self._now).act()
            return
        service = self.service
        grace = service.grace_seconds
        others = {each.id: view.counts(each.id, self._now, grace) for each in service.deployments[1:]}
        others.update({each: view.counts(each, self._now, grace) for each in view.strangers(service)})
        primary = view.counts(service.primary.id, self._now, grace)
        configuration = service.deployment_configuration
        bounds = (configuration["minimumHealthyPercent"], configuration["maximumPercent"])
        cleaning = service.primary.cleaning
        plan = rolling.decide(service.desired_count, bounds, primary, others, early=cleaning)
        for name, stops in plan.others.items():
            self.stop(view, name, stops)
        self.follow(view, service.primary, plan)

    def follow(self, view: View, deployment: Deployment, plan: rolling.Plan) -> None:
        """Start and stop what a plan says of a deployment's own tasks."""
        self.stop(view, deployment.id, plan.primary)
        if plan.stuck:
            self.say_again(events.STUCK)
        self._start(deployment, min(plan.start, _MOST_STARTS), more=plan.start > _MOST_STARTS)

    def _act_as_daemon(self, view: View) -> None:
        service = self.service
        launcher = self.launcher()
        wanted: list[int] = []
        slots = launcher.board.slots
        current = view.by_slot(slots, service.primary.id)
        earlier = view.by_slot(slots, *(each for each in view.deployments() if each != service.primary.id))
        if service.status != DRAINING:
            try:
                wanted = launcher.homes(service.primary, current.keys() | earlier.keys())
            except ServiceError as error:
                self._refused(service.primary, error)
                return
        if len(wanted) != service.desired_count:
            self.service = service = rollout.scale(service, len(wanted), self._now)
        plan = daemon.decide(
            wanted,
            service.deployment_configuration["minimumHealthyPercent"],
            current,
            earlier,
            view.healthy(self._now, service.grace_seconds),
        )
        self.stop_tasks([view.by_arn[arn] for arn in plan.stop])
        self._stop_sick(view, [arn for slot in wanted for arn in current.get(slot, ())], plan.stop)
        if not plan.start or not self._may_start(service.primary):
            return
        self._started(*launcher.start_on(service.primary, plan.start))

    def _stop_sick(self, view: View, tasks: Iterable[str], stopped: Collection[str]) -> None:
        """Stop a daemon's tasks that are not well: there is one an instance, so nobody can come first."""
        sick = [view.by_arn[arn] for arn in tasks if arn not in stopped and view.sick(view.by_arn[arn])]
        sick = [task for task in sick if view.kind(task, self._now, self.service.grace_seconds) == "unhealthy"]
        self.stop_tasks(sick, self._blame(view, sick))

    def _start(self, deployment: Deployment, count: int, *, more: bool) -> None:
        if more:
            self._again.append(0.0)
        if not count or not self._may_start(deployment):
            return
        try:
            found = self.launcher().start(deployment, count)
        except ServiceError as error:
            self._refused(deployment, error)
            return
        self._started(*found)

    def _may_start(self, deployment: Deployment) -> bool:
        if deployment.rollout_state == FAILED:
            return False
        pause = deployment.retry_at - self._now
        if pause > 0:
            self._again.append(pause)
            return False
        return True

    def _started(self, tasks: Sequence[Task], unplaced: str) -> None:
        if tasks:
            self.say(events.started([task.arn for task in tasks]))
        if bool(unplaced) != self.service.waiting:
            self.service = replace(self.service, waiting=bool(unplaced))
        if unplaced:
            self.say_again(unplaced)
            self._again.append(_PLACE_AGAIN)

    def _refused(self, deployment: Deployment, error: ServiceError) -> None:
        """The revision cannot be launched as things are (its subnet is gone, say): that is a task that failed."""
        self._failed_to_start(deployment.id)
        self.say_again(events.refused(error.message))
        failed = self._find(deployment.id) or deployment
        self._again.append(max(1.0, failed.retry_at - self._now))

    def stop(self, view: View, deployment_id: str, stops: rolling.Stops) -> None:
        """Stop so many of a deployment's tasks."""
        grace = self.service.grace_seconds
        chosen = view.of_kind(deployment_id, "pending", self._now, grace)[: stops.pending]
        chosen += view.of_kind(deployment_id, "unhealthy", self._now, grace)[: stops.unhealthy]
        blame = self._blame(view, chosen[stops.pending :])
        if stops.healthy:
            running = view.of_kind(deployment_id, "healthy", self._now, grace)
            chosen += self._choose([each for each in running if not view.protected(each, self._now)], stops.healthy)
        self.stop_tasks(chosen, blame)

    def _blame(self, view: View, tasks: Iterable[Task]) -> dict[str, str]:
        """Why unhealthy tasks are stopped, by ARN, where it is their own doing: others are on a drained instance."""
        found = {}
        for task in tasks:
            unwell, seen = view.balanced(task)
            if unwell == balancers.UNWELL and seen is not None:
                place = balancers.place(self._tx, seen.target.group)
                self.say(events.unhealthy(task.arn, seen.target, place, balancers.reason(seen)))
                found[task.arn] = lifecycle.FAILED_ELB_HEALTH_CHECKS.format(place=place)
            elif view.sick(task):
                found[task.arn] = lifecycle.FAILED_HEALTH_CHECKS
        return found

    def _choose(self, running: list[Task], count: int) -> list[Task]:
        """The tasks that go, by the service's strategies turned round; on Fargate of the zone that has the most."""
        if count >= len(running):
            return running
        there = board(self._tx.view(BOARDS), self.service.cluster_arn)
        if all(task.arn in there.tasks for task in running):
            by_arn = {task.arn: task for task in running}
            strategies = placement.strategies(self.service.placement_strategy)
            return [by_arn[arn] for arn in stopping.to_stop(there, by_arn, count, strategies, self._random)]
        left = sorted(running, key=lambda task: task.created_at)
        chosen: list[Task] = []
        while len(chosen) < count:
            zones = [task.availability_zone for task in left]
            crowded = max(left, key=lambda task: (zones.count(task.availability_zone), task.created_at))
            left.remove(crowded)
            chosen.append(crowded)
        return chosen

    def stop_tasks(self, tasks: Sequence[Task], blame: Mapping[str, str] = {}, said: str = "") -> None:
        """Stop tasks and say so, in other words if ``said``; ``blame`` is why, by ARN, where it is their own doing."""
        running = [task.arn for task in tasks if task.last_status == lifecycle.RUNNING]
        for task in tasks:
            reason = f"Scaling activity initiated by (deployment {self.service.primary.id})"
            if task.arn in blame:
                reason = blame[task.arn]
                self._unhealthy(task)
            code = lifecycle.SERVICE_SCHEDULER_INITIATED
            self._tx.put(TASKS, lifecycle.request_stop(task, code, reason, self._now))
        if running:
            self.say(said or events.stopped(running))

    def _unhealthy(self, task: Task) -> None:
        deployment = self._find(task.started_by or "")
        if deployment is not None:
            self.change(
                deployment.id,
                failed_tasks=deployment.failed_tasks + 1,
                failed_at=self._now,
                breaker_failures=deployment.breaker_failures + 1,
            )

    # Where that leaves it

    def _settle(self, view: View) -> None:
        """Whether a deployment is complete, the service steady, a deleted one gone."""
        service = self.service
        here = {service.primary.id, shifting.blue_id(service), *view.deployments()}
        if alarms.watching(service):
            here |= {each.id for each in service.deployments if each.revision_arn == service.completed_revision_arn}
        if any(each.id not in here for each in service.deployments):
            service = replace(service, deployments=[each for each in service.deployments if each.id in here])
        primary = view.counts(service.primary.id, self._now, service.grace_seconds)
        full = early.reached(service, primary)
        whole = primary.healthy == service.desired_count == primary.all
        alone = not {*view.deployments()} - {service.primary.id}
        if service.status == DRAINING:
            if not view.tasks:
                service = replace(service, status=INACTIVE, deleted_at=self._now, deployments=[], waiting=False)
                self._again.append(INACTIVE_SECONDS)
        elif full and (alone or early.criteria(service)) and shifting.over(service):
            service, left = alarms.bake(self._tx, service, self._now)
            if left:
                self._again.append(left)
            else:
                service = self._reached(service, alone=alone, whole=whole)
        elif service.steady_at is not None:
            service = replace(service, steady_at=None)
        self.service = service

    def _reached(self, service: Service, *, alone: bool, whole: bool) -> Service:
        """The primary deployment is where it was going; what is left of earlier ones may go afterwards."""
        if service.primary.rollout_state == IN_PROGRESS:
            if early.criteria(service) and not service.primary.cleaning:
                service = early.clean(service, self._now)
                self._again.append(0.0)
            if alone or early.deferred(service):
                service = rollout.complete(service, self._now, self._random)
        if alone and whole:
            return self._steady(service)
        return replace(service, steady_at=None) if service.steady_at is not None else service

    def _steady(self, service: Service) -> Service:
        if service.steady_at is None or self._now >= service.steady_at + _STEADY_AGAIN:
            service = replace(
                events.say(service, events.STEADY, self._now, self._random), steady_at=self._now, waiting=False
            )
        self._again.append((service.steady_at or self._now) + _STEADY_AGAIN - self._now)
        return service

    # Small things

    def launcher(self) -> Launcher:
        """What starts the service's tasks."""
        return self._owner.launcher(self._tx, self.service)

    def wait(self, seconds: float) -> None:
        """Look at the service again after so many seconds, if that is any."""
        if seconds > 0:
            self._again.append(seconds)

    def _find(self, deployment_id: str) -> Deployment | None:
        return next((each for each in self.service.deployments if each.id == deployment_id), None)

    def change(self, deployment_id: str, **members: Any) -> None:
        """Change members of a deployment."""
        changed = [
            replace(each, updated_at=self._now, **members) if each.id == deployment_id else each
            for each in self.service.deployments
        ]
        self.service = replace(self.service, deployments=changed)

    def say(self, message: str) -> None:
        """Have the service's events begin with this one."""
        self.service = events.say(self.service, message, self._now, self._random)

    def say_again(self, message: str) -> None:
        """Say what was said already only once in a while."""
        last = events.said_last(self.service, message)
        if last is None or self._now >= last + _REPEAT:
            self.say(message)


def _decisive(task: Task | None) -> tuple[object, ...] | None:
    if task is None:
        return None
    return task.last_status, task.desired_status, task.health_status, task.protected_until


def _there(instance: ContainerInstance | None) -> tuple[object, ...] | None:
    return None if instance is None else (instance.status, instance.agent_connected)
