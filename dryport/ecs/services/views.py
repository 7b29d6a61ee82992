"""A service's tasks by deployment, as the scheduler looks at them. Pure but for whom it is asked about instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dryport.ecs import lifecycle
from dryport.ecs.model import CONTAINER_INSTANCES, Task
from dryport.ecs.services import balancers
from dryport.ecs.services.balancers import Seen
from dryport.ecs.services.model import Service
from dryport.ecs.services.rolling import Counts
from dryport.store import Reader


class View:
    """``tasks`` are those that have not stopped, and those of whose end nobody has taken note."""

    def __init__(self, tasks: Iterable[Task], reader: Reader) -> None:
        self.tasks = list(tasks)
        self.by_arn = {task.arn: task for task in self.tasks}
        self._reader = reader
        self._leaving: dict[str, bool] = {}
        self._balanced: dict[str, tuple[str, Seen | None]] = {}

    def deployments(self) -> list[str]:
        """The deployments that have tasks."""
        return list(dict.fromkeys(task.started_by or "" for task in self.tasks))

    def strangers(self, service: Service) -> list[str]:
        """Deployments that have tasks and that the service no longer knows."""
        known = {each.id for each in service.deployments}
        return [each for each in self.deployments() if each not in known]

    def last_start(self, deployment_id: str) -> float:
        """When a task of a deployment last began to run; 0 where none has."""
        return max((task.started_at or 0.0 for task in self.tasks if task.started_by == deployment_id), default=0.0)

    def shown(self, deployment_id: str) -> tuple[int, int]:
        """How many of a deployment's tasks that are to run are RUNNING, and on their way there."""
        wanted = [
            task.last_status == lifecycle.RUNNING
            for task in self.tasks
            if task.started_by == deployment_id and task.desired_status == lifecycle.RUNNING
        ]
        return sum(wanted), len(wanted) - sum(wanted)

    def counts(self, deployment_id: str, now: float, grace: float) -> Counts:
        """How many there are of each kind."""
        kinds = {kind: self.of_kind(deployment_id, kind, now, grace) for kind in ("pending", "healthy", "unhealthy")}
        protected = sum(self.protected(task, now) for task in kinds["healthy"])
        return Counts(len(kinds["pending"]), len(kinds["healthy"]), len(kinds["unhealthy"]), protected)

    def of_kind(self, deployment_id: str, kind: str, now: float, grace: float) -> list[Task]:
        """A deployment's tasks that are to run: pending, healthy, or unhealthy ones, the latest first.

        A task on an instance that is drained counts as unhealthy: it is to be replaced, and goes when others are there.
        """
        found = [
            task
            for task in self.tasks
            if task.started_by == deployment_id
            and task.desired_status == lifecycle.RUNNING
            and self.kind(task, now, grace) == kind
        ]
        return sorted(found, key=lambda task: task.created_at, reverse=True)

    def kind(self, task: Task, now: float, grace: float) -> str:
        """Whether a task is pending, healthy or unhealthy.

        One that runs and is not yet led to, or is not well by its load balancers but within its grace, is pending.
        """
        if task.last_status != lifecycle.RUNNING:
            return "pending"
        late = now >= (task.started_at or now) + grace
        if (task.health_status == "UNHEALTHY" and late) or self._drained(task):
            return "unhealthy"
        found, _ = self.balanced(task)
        if found == balancers.WELL:
            return "healthy"
        return "unhealthy" if found == balancers.UNWELL and late else "pending"

    def balanced(self, task: Task) -> tuple[str, Seen | None]:
        """What a running task's load balancers make of it, and the target that is to blame."""
        known = self._balanced.get(task.arn)
        if known is None:
            seen = [balancers.look(self._reader, each) for each in task.targets]
            known = self._balanced[task.arn] = balancers.verdict(seen, task.served)
        return known

    def sick(self, task: Task) -> bool:
        """Whether somebody says that a running task is not well, within its grace or not."""
        unwell = task.health_status == "UNHEALTHY" or self.balanced(task)[0] == balancers.UNWELL
        return task.last_status == lifecycle.RUNNING and unwell

    def healthy(self, now: float, grace: float) -> Callable[[str], bool]:
        """Whether a task of this ARN is healthy."""
        return lambda arn: self.kind(self.by_arn[arn], now, grace) == "healthy"

    @staticmethod
    def protected(task: Task, now: float) -> bool:
        """Whether it must not be stopped for scaling or a deployment (UpdateTaskProtection)."""
        return task.protected_until is not None and task.protected_until > now

    def by_slot(self, slots: Mapping[str, int], *deployments: str) -> dict[int, list[str]]:
        """The tasks of deployments that are to run, by the slot of their instance, -1 where it is none."""
        found: dict[int, list[str]] = {}
        for task in self.tasks:
            if task.started_by in deployments and task.desired_status == lifecycle.RUNNING:
                found.setdefault(slots.get(task.instance_arn or "", -1), []).append(task.arn)
        return found

    def _drained(self, task: Task) -> bool:
        if task.launch_type == "FARGATE" or task.instance_arn is None:
            return False
        known = self._leaving.get(task.instance_arn)
        if known is None:
            instance = self._reader.get(CONTAINER_INSTANCES, task.instance_arn)
            known = self._leaving[task.instance_arn] = instance is not None and instance.status == "DRAINING"
        return known
