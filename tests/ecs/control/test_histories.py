"""Random histories: tasks start and stop, connections break, reports repeat, the control plane is killed.

Whatever happens: a task's status only goes forward, what was acknowledged stays, nothing is started that is over, and
once everybody is there again what is wanted is what is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dryport.client.client import ApiError, Unreachable
from dryport.ec2.model import NETWORK_INTERFACES
from dryport.ecs import lifecycle
from dryport.ecs.acs.model import TASK_GRANTS
from dryport.ecs.model import TASKS
from dryport.iam.model import CREDENTIALS
from tests.ecs.control.histories import live
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent

number = st.integers(0, 9)
OPERATIONS = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 3)),
    st.tuples(st.just("stop"), number),
    st.tuples(st.just("exit"), number),
    st.tuples(st.just("repeat"), number),
    st.tuples(st.just("disconnect"), number),
    st.tuples(st.just("connect"), number),
    st.tuples(st.just("deaf"), number),
    st.tuples(st.just("unplugged"), number),
    st.tuples(st.just("pause"), st.integers(1, 3)),
    st.tuples(st.just("kill"), number),
)


class History:
    """One control plane, one Fargate host, and what must stay true of both."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.plane = Plane(directory, seed=seed)
        self.agent: SimulatedAgent
        self.tasks: list[str] = []
        self.reported: dict[str, list[str]] = defaultdict(list)  # statuses that were acknowledged, by task
        self.seen: dict[str, int] = {}
        self.faults: list[str] = []
        self._observer: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.plane.start()
        self._observe()
        self.definition = await self.plane.define_fargate()
        self.agent = SimulatedAgent(self.plane)
        await self.agent.register()
        await self.agent.connect(send_credentials=True)

    async def take(self, operation: str, argument: int) -> None:
        task_arn = self.tasks[argument % len(self.tasks)] if self.tasks else ""
        match operation:
            case "run":
                runs = (self.plane.run_task(self.definition) for _ in range(argument))
                self.tasks += await asyncio.gather(*runs)
            case "stop" if task_arn:
                await self.plane.stop_task(task_arn)
            case "exit" if self.agent.status.get(task_arn) == "RUNNING":
                self.agent.status[task_arn] = "STOPPED"
                await self._report(task_arn, "STOPPED")
            case "repeat" if task_arn in self.agent.tasks and self.agent.tasks[task_arn]["containers"]:
                for status in ("RUNNING", "PENDING"):
                    if self.agent.status.get(task_arn) == "RUNNING":
                        await self._report(task_arn, status)
            case "disconnect":
                await self.agent.disconnect()
            case "connect":
                await self._connect(send_credentials=argument % 2 == 0)
            case "deaf":
                self.agent.acknowledge = not self.agent.acknowledge
            case "unplugged":
                self.plane.plugger.idle = not self.plane.plugger.idle
                await self.plane.store.transact(self.plane.plugger._work)
            case "pause":
                await asyncio.sleep(0.01 * argument)
            case "kill":
                await self._restart(kill=argument % 3 > 0)
        await asyncio.sleep(0)

    async def end(self) -> None:
        """Everybody is well again: the wanted state must come."""
        self.agent.acknowledge = True
        self.plane.plugger.idle = False
        await self.plane.store.transact(self.plane.plugger._work)
        await self._connect(send_credentials=False)
        await self.plane.until(self._converged, f"the wanted state; now {self._statuses()}")
        self._check_leftovers()
        for task in self.tasks:
            for status in self.reported[task]:
                assert not lifecycle.is_before(self.plane.task(task).last_status, status)
        self._check_payloads()
        assert not self.faults

    async def close(self) -> None:
        if self._observer:
            self._observer.cancel()
        await self.agent.close()
        await self.plane.stop()

    async def _report(self, task_arn: str, status: str) -> None:
        try:
            await self.agent.report(task_arn, status)
        except (Unreachable, ApiError) as error:
            # Not taken: the agent must say it again, as it does.
            self.faults += [str(error)] if isinstance(error, ApiError) and not error.retryable else []
            await self.agent.report_until_taken(task_arn, status)
        # Its interface goes after the containers have.
        least = "DEPROVISIONING" if status == "STOPPED" else status
        self.reported[task_arn].append(least)
        assert not lifecycle.is_before(self.plane.task(task_arn).last_status, least)

    async def _connect(self, *, send_credentials: bool) -> None:
        await self.agent.disconnect()
        await self.agent.connect(send_credentials=send_credentials)

    async def _restart(self, *, kill: bool) -> None:
        connected = self.agent.connected
        if self._observer:
            self._observer.cancel()
        await self.plane.restart(kill=kill)
        self._observe()
        for task_arn in self.tasks:
            self.plane.task(task_arn)  # what was acknowledged is there
        if connected:
            await self._connect(send_credentials=False)

    def _observe(self) -> None:
        watch = self.plane.store.watch(TASKS)
        # The loops may be ahead of the disk already, and the watch tells of what is on it: only compare.
        for task in self.plane.store.reader.all(TASKS):
            self._compare(task)
        self._observer = asyncio.create_task(self._follow(watch))

    async def _follow(self, watch: Any) -> None:
        async for changes in watch:
            for change in changes:
                if change.new is not None:
                    self._see(change.new)

    def _compare(self, task: Any) -> int:
        position = lifecycle.STATUSES.index(task.last_status)
        if position < self.seen.get(task.arn, 0):
            self.faults.append(f"{task.arn} went back to {task.last_status}")
        return position

    def _see(self, task: Any) -> None:
        self.seen[task.arn] = self._compare(task)

    def _converged(self) -> bool:
        return all(
            task.last_status == task.desired_status and self.agent.status.get(task.arn, "STOPPED") == task.last_status
            for task in map(self.plane.task, self.tasks)
        )

    def _statuses(self) -> list[tuple[str, str, str | None]]:
        return [
            (task.desired_status, task.last_status, self.agent.status.get(task.arn))
            for task in map(self.plane.task, self.tasks)
        ]

    def _check_leftovers(self) -> None:
        reader = self.plane.store.reader
        for task in map(self.plane.task, self.tasks):
            alive = task.last_status != "STOPPED"
            assert len(reader.find(NETWORK_INTERFACES, "owner", task.arn)) == int(alive)
            assert len(reader.find(CREDENTIALS, "owner", task.arn)) == 2 * int(alive)
            assert (reader.get(TASK_GRANTS, task.arn) is not None) == alive

    def _check_payloads(self) -> None:
        """No start was sent of a task that was over, and every task had one interface all its life."""
        macs: dict[str, set[str]] = defaultdict(set)
        for message in self.agent.of_type("PayloadMessage"):
            for payload in message["tasks"]:
                task = self.plane.task(payload["arn"])
                if payload["desiredStatus"] == "RUNNING":
                    macs[task.arn].add(payload["elasticNetworkInterfaces"][0]["macAddress"])
                    assert task.stopped_at is None or message["generatedAt"] <= task.stopped_at * 1000 + 1
        assert all(len(found) == 1 for found in macs.values())


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, min_size=5, max_size=20), st.integers(0, 2**32))
def test_any_history_ends_in_the_wanted_state(operations: list[tuple[str, int]], seed: int) -> None:
    live(History, [("run", 3), *operations], seed, 60.0)
