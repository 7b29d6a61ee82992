"""The simulation: 500 histories, whether a seed replays, whether its judge sees what is wrong, and what it has found.

``DRYPORT_HISTORIES`` and ``DRYPORT_FIRST_SEED`` choose other histories: ``bin/nightly`` lives through 10,000 new ones.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from dryport.ecs.controllers import registrations, shifts
from dryport.ecs.model import TASKS, Task
from dryport.ecs.services import balancers, daemon, rolling, stages, task_sets
from dryport.ecs.services.model import SERVICES
from tests.ecs.control.plane import DEMO
from tests.ecs.simulation import history
from tests.ecs.simulation.agents import Machine
from tests.ecs.simulation.invariants import Judge
from tests.ecs.simulation.loop import VirtualLoop
from tests.ecs.simulation.plane import Plane

HISTORIES = os.environ.get("DRYPORT_HISTORIES", "500")
FIRST_SEED = os.environ.get("DRYPORT_FIRST_SEED", "0")
CONTAINER = {"name": "main", "image": "busybox", "memory": 128}


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.ecs.simulation", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_history_keeps_the_invariants_and_ends_in_the_wanted_state() -> None:
    done = _simulate("--histories", HISTORIES, "--first", FIRST_SEED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_seed_is_always_the_same_history() -> None:
    first, again = (_simulate("--log", "--first", "7").stdout.split("histories,")[0] for _ in range(2))
    assert first == again
    assert "trace" in first


def test_a_patient_circuit_breaker_does_not_have_green_wait_for_blue_that_is_stuck() -> None:
    """A history that did not end: blue's tasks failed, and green's users allowed green more failures than that."""
    done = _simulate("--first", "2026112838563")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (rolling, "most", lambda desired, percent: desired * percent // 100 + 1),
        (rolling, "least", lambda desired, percent: 0),
    ],
)
def test_the_judge_sees_bounds_that_are_broken(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: Callable[[int, int], int]
) -> None:
    monkeypatch.setattr(module, name, wrong)
    monkeypatch.setattr(daemon, "least", rolling.least)
    with pytest.raises(AssertionError, match=r"are allowed|have to be"):
        for seed in range(100):
            history.run(seed)


@pytest.mark.parametrize(
    ("module", "name", "wrong", "words"),
    [
        (rolling, "most", lambda desired, percent: desired * percent // 100 + 1, "are allowed"),
        (task_sets, "computed", lambda desired, scale: int(desired * scale / 100), "did not come"),
    ],
)
def test_the_judge_sees_task_sets_that_are_kept_wrongly(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, wrong: Callable[..., int], words: str
) -> None:
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError, match=words):
        for seed in range(4, 500, 5):
            history.run(seed)


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "words"),
    [
        (registrations.Together, "_leave", lambda *_: False, r"is nobody's|is stopped while it is a target"),
        (balancers, "verdict", lambda *_: (balancers.WELL, None), "have to be"),
    ],
)
def test_the_judge_sees_tasks_that_are_led_to_wrongly(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Callable[..., Any], words: str
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError, match=words):
        for seed in range(100):
            history.run(seed)


def test_the_judge_sees_production_that_is_shifted_to_those_who_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts.Shifts, "_seen", lambda *_: stages.Seen(strays=False, full=True))
    with pytest.raises(AssertionError, match=r"gets production with \d of"):
        for seed in range(3, 500, 5):
            history.run(seed)


Scenario = Callable[[Plane, list[Machine]], Coroutine[Any, Any, None]]


def _play(scenario: Scenario, machines: int) -> None:
    """Play a scenario on so many instances."""
    loop = VirtualLoop(Random(1))

    async def play() -> None:
        judge = Judge()
        plane = Plane(Random(2), judge.observe, judge.anew)
        await plane.start()
        there = [Machine(plane, number + 1, "us-east-1a", lambda *_: None) for number in range(machines)]
        try:
            for machine in there:
                await machine.boot()
            await plane.until_answered("RegisterTaskDefinition", family="web", containerDefinitions=[CONTAINER])
            await scenario(plane, there)
            judge.check()
        finally:
            for machine in there:
                await machine.close()
            await plane.end()

    try:
        loop.run_until_complete(play())
    finally:
        loop.close()


def _tasks(plane: Plane, name: str) -> list[Task]:
    found = plane.store.reader.find(TASKS, "service", f"{DEMO}/service:{name}")
    return [task for task in found if task.last_status == "RUNNING"]


async def _until(condition: Callable[[], Any], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the time is virtual
            await asyncio.sleep(0.5)


def _completed(plane: Plane, name: str) -> bool:
    service = next(each for each in plane.store.reader.all(SERVICES) if each.name == name)
    return len(service.deployments) == 1 and service.primary.rollout_state == "COMPLETED"


def test_a_daemons_tasks_outlive_a_restart_of_the_control_plane_and_of_their_agents() -> None:
    async def scenario(plane: Plane, machines: list[Machine]) -> None:
        await plane.until_answered(
            "CreateService", cluster="demo", serviceName="watch", taskDefinition="web", schedulingStrategy="DAEMON"
        )
        await _until(lambda: len(_tasks(plane, "watch")) == 2, 60.0)
        before = {task.arn for task in _tasks(plane, "watch")}
        await plane.restart(1.0)
        await machines[0].crash()
        await asyncio.sleep(120.0)
        machines[0].restart()
        await asyncio.sleep(60.0)
        assert {task.arn for task in plane.store.reader.all(TASKS)} == before
        assert {task.arn for task in _tasks(plane, "watch")} == before

    _play(scenario, 2)


def test_a_deployment_goes_on_when_a_protection_ends() -> None:
    async def scenario(plane: Plane, machines: list[Machine]) -> None:
        await plane.until_answered(
            "CreateService", cluster="demo", serviceName="web", taskDefinition="web", desiredCount=2
        )
        await _until(lambda: _completed(plane, "web"), 60.0)
        old = [task.arn for task in _tasks(plane, "web")]
        await plane.until_answered(
            "UpdateTaskProtection", cluster="demo", tasks=old, protectionEnabled=True, expiresInMinutes=5
        )
        await plane.until_answered("UpdateService", cluster="demo", service="web", forceNewDeployment=True)
        await asyncio.sleep(240.0)
        assert {task.arn for task in _tasks(plane, "web")} > set(old)
        await _until(lambda: _completed(plane, "web"), 90.0)
        assert not {task.arn for task in _tasks(plane, "web")} & set(old)

    _play(scenario, 1)
