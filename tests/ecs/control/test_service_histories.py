"""Random histories of a service: scales, deployments, tasks that die, hosts that go, drains, killed control planes.

Whatever happens: no more tasks are wanted than the maximum allows, and once everybody is there again the service comes
to its number, of its latest revision, and the hosts run just its tasks.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dryport.client.client import ApiError, Unreachable
from dryport.ecs.model import TASKS, Task
from dryport.ecs.services import rolling
from dryport.ecs.services.model import SERVICES, Service
from tests.ecs.control.histories import live
from tests.ecs.control.plane import DEMO, Plane
from tests.ecs.control.simulated import SimulatedAgent

GROUP = f"{DEMO}/service:web"
ARN = "arn:aws:ecs:us-east-1:000000000000:service/demo/web"
number = st.integers(0, 9)
OPERATIONS = st.tuples(
    st.sampled_from(("scale", "deploy", "force", "die", "die", "leave", "return", "drain", "undrain", "kill", "pause")),
    number,
)


class History:
    """A service on two instances."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.plane = Plane(directory, seed=seed)
        self.agents: list[SimulatedAgent] = []
        self.faults: list[str] = []
        self.desired = self.highest = 2
        self._observer: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.plane.start()
        self._observe()
        for zone in ("us-east-1a", "us-east-1b"):
            agent = SimulatedAgent(self.plane, "demo")
            await agent.register(**await self.plane.ec2_instance(zone))
            await agent.connect(send_credentials=True)
            self.agents.append(agent)
        await self._define()
        await self.plane.api(
            "create_service", cluster="demo", serviceName="web", taskDefinition="web", desiredCount=self.desired
        )

    async def take(self, operation: str, argument: int) -> None:
        agent = self.agents[argument % 2]
        match operation:
            case "scale":
                self.desired, self.highest = argument, max(argument, self.highest)
                await self._update(desiredCount=argument)
            case "deploy":
                await self._define()
                await self._update(taskDefinition="web")
            case "force":
                await self._update(forceNewDeployment=True)
            case "die":
                await self._die(argument)
            case "leave":
                await agent.disconnect()
            case "return" if not agent.connected:
                await agent.connect()
            case "drain" | "undrain":
                status = "DRAINING" if operation == "drain" else "ACTIVE"
                await self._state(agent, status)
            case "kill":
                await self._kill()
            case "pause":
                await asyncio.sleep(0.02 * argument)
        await asyncio.sleep(0)

    async def end(self) -> None:
        """Everybody is well again: the wanted state must come."""
        for agent in self.agents:
            await agent.disconnect()
            await agent.connect()
            await self._state(agent, "ACTIVE")
        await self.plane.until(self._converged, f"the wanted state; now {self._statuses()}", seconds=40)
        assert not self.faults

    async def close(self) -> None:
        if self._observer:
            self._observer.cancel()
        for agent in self.agents:
            await agent.close()
        await self.plane.stop()

    async def _define(self) -> None:
        container = {"name": "main", "image": "busybox", "memory": 16}
        await self.plane.api("register_task_definition", family="web", containerDefinitions=[container])

    async def _update(self, **request: Any) -> None:
        await self.plane.api("update_service", cluster="demo", service="web", **request)

    async def _state(self, agent: SimulatedAgent, status: str) -> None:
        await self.plane.api(
            "update_container_instances_state", cluster="demo", containerInstances=[agent.arn], status=status
        )

    async def _die(self, argument: int) -> None:
        running = [(agent, arn) for agent in self.agents for arn, now in agent.status.items() if now == "RUNNING"]
        if not running:
            return
        agent, arn = running[argument % len(running)]
        agent.status[arn] = "STOPPED"
        try:
            await agent.report(arn, "STOPPED")
        except (Unreachable, ApiError):
            await agent.report_until_taken(arn, "STOPPED")

    async def _kill(self) -> None:
        there = [agent for agent in self.agents if agent.connected]
        if self._observer:
            self._observer.cancel()
        await self.plane.restart(kill=True)
        self._observe()
        for agent in there:
            await agent.disconnect()
            await agent.connect()

    def _observe(self) -> None:
        self._observer = asyncio.create_task(self._follow(self.plane.store.watch(TASKS)))

    async def _follow(self, watch: Any) -> None:
        async for changes in watch:
            if any(change.old is None for change in changes):
                self._check_maximum()

    def _check_maximum(self) -> None:
        # What a scale-in left to do may still be there: the highest number that was ever wanted bounds it all.
        most = rolling.most(self.highest, 200)
        if len(self._wanted()) > most:
            self.faults.append(f"{len(self._wanted())} tasks are wanted, {most} are allowed")

    def _service(self) -> Service | None:
        return self.plane.store.reader.get(SERVICES, ARN)

    def _tasks(self) -> list[Task]:
        return self.plane.store.reader.find(TASKS, "service", GROUP)

    def _wanted(self) -> list[Task]:
        return [task for task in self._tasks() if task.desired_status == "RUNNING"]

    def _converged(self) -> bool:
        service = self._service()
        if service is None or len(service.deployments) != 1 or service.primary.rollout_state != "COMPLETED":
            return False
        tasks = self._tasks()
        alike = all(task.last_status == "RUNNING" and task.started_by == service.primary.id for task in tasks)
        known = {task.arn for task in tasks}
        there = {arn for agent in self.agents for arn, status in agent.status.items() if status == "RUNNING"}
        return alike and len(tasks) == service.desired_count == self.desired and there == known

    def _statuses(self) -> list[tuple[str, str, str | None]]:
        return [(task.desired_status, task.last_status, task.started_by) for task in self._tasks()]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, min_size=3, max_size=12), st.integers(0, 2**32 - 1))
def test_every_history_ends_in_the_wanted_state(operations: list[tuple[str, int]], seed: int) -> None:
    live(History, operations, seed, 120.0)
