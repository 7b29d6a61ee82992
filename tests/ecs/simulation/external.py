"""Histories of services with task sets: somebody else makes them, moves shares between them, takes them away."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecs.model import Task
from dryport.ecs.services.model import SERVICE_REVISIONS, TASK_SETS
from tests.ecs.simulation.agents import BAD, MEMORY
from tests.ecs.simulation.history import BOUNDS, MOST_TASKS, History, Wanted

_GRACE = 90.0  # seconds, in which every grace is over
_SHARES = (0.0, 1.0, 12.5, 33.3, 50.0, 100.0)  # percent


class Share:
    """A task set as its user last had it, by answers. ``percent`` is ``None`` while either may be there."""

    def __init__(self, identifier: str, percent: float | None, *, bad: bool) -> None:
        self.id = identifier
        self.percent = percent
        self.bad = bad


class ExternalHistory(History):
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.shares: dict[str, list[Share]] = {}  # by the service's name
        self._made = 0

    def choices(self) -> dict[Any, int]:
        found = super().choices()
        for step in (self._deploy, self._deploy_bad, self._force, self._stop_deployment, self._rebound, self._regroup):
            del found[step]
        return {**found, self._add: 4, self._add_bad: 1, self._share: 4, self._promote: 2, self._drop: 2}

    async def _create(self) -> None:
        if len(self.services) >= 3:
            return
        service = await self._named(daemon=False, port=0)
        least, most = self.random.choice(BOUNDS)
        await self._ask(
            "CreateService",
            serviceName=service.name,
            desiredCount=service.desired,
            deploymentController={"type": "EXTERNAL"},
            deploymentConfiguration={"minimumHealthyPercent": least, "maximumPercent": most},
            healthCheckGracePeriodSeconds=self._grace(),
            clientToken=service.name,
        )
        self.services.append(service)
        self.shares[service.name] = []
        await self._add_to(service, "busybox", self.random.choice(_SHARES))

    async def _add(self) -> None:
        service = self._service()
        if service is not None:
            await self._add_to(service, "busybox", self.random.choice(_SHARES))

    async def _add_bad(self) -> None:
        service = self._service()
        if service is not None:
            await self._add_to(service, BAD, self.random.choice(_SHARES))

    async def _add_to(self, service: Wanted, image: str, percent: float) -> None:
        if len(self._stored(service).deployments) >= 5:
            return
        self._made += 1
        answer = await self._ask(
            "CreateTaskSet",
            service=service.name,
            taskDefinition=await self._define(service, image),
            loadBalancers=self._balancers(service)[:1],
            scale={"value": percent, "unit": "PERCENT"},
            clientToken=f"set-{self._made}",
        )
        self.shares[service.name].append(Share(answer["taskSet"]["id"], percent, bad=image == BAD))

    def _one(self) -> tuple[Wanted, Share] | None:
        service = self._service()
        if service is None or not self.shares[service.name]:
            return None
        return service, self.random.choice(self.shares[service.name])

    async def _share(self) -> None:
        chosen = self._one()
        if chosen is None:
            return
        service, share = chosen
        percent, share.percent = self.random.choice(_SHARES), None
        scale = {"value": percent, "unit": "PERCENT"}
        await self._ask("UpdateTaskSet", service=service.name, taskSet=share.id, scale=scale)
        share.percent = percent

    async def _promote(self) -> None:
        chosen = self._one()
        if chosen is not None:
            service, share = chosen
            await self._ask("UpdateServicePrimaryTaskSet", service=service.name, primaryTaskSet=share.id)

    async def _drop(self) -> None:
        chosen = self._one()
        if chosen is not None:
            await self._drop_from(*chosen)

    async def _drop_from(self, service: Wanted, share: Share) -> None:
        self.shares[service.name].remove(share)
        try:
            await self.plane.until_answered(
                "DeleteTaskSet", cluster="demo", service=service.name, taskSet=share.id, force=True
            )
        except ServiceError as error:
            if error.code != "TaskSetNotFoundException":  # a repetition of what was done
                raise

    async def _mend(self, service: Wanted) -> None:
        """What cannot work goes, and what does not fit beside the rest."""
        for share in list(self.shares[service.name]):
            if share.bad or len(self.shares[service.name]) > 2:
                await self._drop_from(service, share)
        if not self.shares[service.name]:
            await self._add_to(service, "busybox", 100.0)
        # Nothing is deployed anew: what is not well, or is about to be found out, is replaced when its grace is over.
        for machine in self.machines:
            for container in machine.containers.values():
                container.mute = False
        await asyncio.sleep(_GRACE)

    # What must be

    def groups_of(self, service: Wanted, task: Task) -> list[str]:
        deployment = next(each for each in self._stored(service).deployments if each.id == task.started_by)
        revision = self.plane.store.reader.get(SERVICE_REVISIONS, deployment.revision_arn)
        return [each["targetGroupArn"] for each in revision.load_balancers] if revision else []

    def _steady(self, service: Wanted, tasks: list[Task]) -> bool:
        stored = self._stored(service)
        wanted = {each.id: _part(service.desired, each.percent) for each in self.shares[service.name]}
        rows = self.plane.store.reader.find(TASK_SETS, "service", service.arn)
        if not {each.id for each in rows} == {each.id for each in stored.deployments} == wanted.keys():
            return False
        if any(each.stability != "STEADY_STATE" for each in rows) or stored.steady_at is None:
            return False
        running = [task.started_by for task in tasks if task.last_status == "RUNNING"]
        return len(running) == len(tasks) and all(running.count(name) == count for name, count in wanted.items())


def _part(desired: int, percent: float | None) -> int:
    assert percent is not None  # all has been answered by now
    exact = desired * Fraction(str(percent)) / 100
    return int(exact) + (exact.denominator > 1)


assert MOST_TASKS * 2 * 3 * 128 < 5 * MEMORY, "what is wanted at the end has room"
