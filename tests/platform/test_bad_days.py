"""Processes killed at the worst moment: nothing acknowledged is lost, nothing is left over."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, eventually, push
from tests.platform.traces import traces

pytestmark = pytest.mark.platform


@pytest.fixture
def own_tasks(own_platform: Platform, busybox: str) -> Tasks:
    return Tasks(own_platform, push(own_platform, busybox, "busybox"))


def test_down_leaves_nothing_and_up_remembers(own_platform: Platform, own_tasks: Tasks) -> None:
    arn = own_tasks.run(own_tasks.define(own_tasks.container()))[0]
    own_tasks.until(arn, "RUNNING")
    own_platform.down()
    assert traces(own_platform) == []
    own_platform.up()
    assert own_tasks.describe(arn)["lastStatus"] == "STOPPED"


def test_tasks_outlive_a_restart(own_platform: Platform, own_tasks: Tasks) -> None:
    ticking = own_tasks.container("i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.1; done")
    arn = own_tasks.run(own_tasks.define(ticking))[0]
    own_tasks.until(arn, "RUNNING")
    eventually(lambda: own_tasks.output(arn))
    own_platform.restart()
    before = len(own_tasks.output(arn))
    eventually(lambda: len(own_tasks.output(arn)) > before + 20)
    assert own_tasks.output(arn) == [f"tick {i}" for i in range(len(own_tasks.output(arn)))]
    assert own_tasks.describe(arn)["lastStatus"] == "RUNNING"
    own_tasks.stop(arn)


@pytest.mark.parametrize("victim", ["control", "agent", "host", "containerd", "supervisor"])
def test_any_process_may_be_killed(own_platform: Platform, own_tasks: Tasks, victim: str) -> None:
    lasting = own_tasks.run(
        own_tasks.define(own_tasks.container("i=0; while true; do echo $i; i=$((i+1)); sleep 0.2; done"))
    )[0]
    own_tasks.until(lasting, "RUNNING")
    short = own_tasks.run(own_tasks.define(own_tasks.container("sleep 1; exit 5")))[0]
    os.kill(own_platform.pid(victim), signal.SIGKILL)
    if victim == "supervisor":
        eventually(lambda: not any("process" in each and "-m dryport" in each for each in traces(own_platform)))
        own_platform.up()
    eventually(lambda: _reachable(own_tasks))
    assert own_tasks.until(short, "STOPPED")["containers"][0]["exitCode"] == 5
    after = own_tasks.run(own_tasks.define(own_tasks.container("echo fine")))[0]
    own_tasks.until(after, "STOPPED")
    assert own_tasks.output(after) == ["fine"]
    assert own_tasks.describe(lasting)["lastStatus"] == "RUNNING"
    count = len(own_tasks.output(lasting))
    eventually(lambda: len(own_tasks.output(lasting)) > count)
    lines = own_tasks.output(lasting)
    assert lines == [str(i) for i in range(len(lines))]


def _reachable(tasks: Tasks) -> bool:
    try:
        tasks.ecs.list_clusters()
    except Exception:
        return False
    return True


def test_a_control_plane_killed_during_50_launches(own_platform: Platform, own_tasks: Tasks) -> None:
    definition = own_tasks.define(own_tasks.container("sleep 600"))
    acknowledged: list[str] = []
    for _ in range(5):
        acknowledged += own_tasks.run(definition, count=10)
        if len(acknowledged) == 30:
            os.kill(own_platform.pid("control"), signal.SIGKILL)
            eventually(lambda: _reachable(own_tasks))
    deadline = time.monotonic() + 120
    for arn in acknowledged:
        own_tasks.until(arn, "RUNNING", deadline - time.monotonic())
    for arn in acknowledged:
        own_tasks.ecs.stop_task(task=arn)
    for arn in acknowledged:
        own_tasks.until(arn, "STOPPED", 120)
    own_platform.down()
    assert traces(own_platform) == []
