"""Instances on bad days: agent, host, link and control plane die; the cluster ends in the wanted state all the same.

After each, no container runs that the control plane does not know; ``dryport down`` leaves nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform, make_platform
from tests.platform.fleet import CLUSTER, Fleet
from tests.platform.support import eventually, push
from tests.platform.traces import traces

pytestmark = pytest.mark.platform

NOTICED = 150.0  # seconds at most until a silent agent counts as away: heartbeats, and the patience after them
FOREVER = "trap 'exit 0' TERM; while true; do sleep 0.2; done"


@pytest.fixture(scope="module")
def bad_platform() -> Iterator[Platform]:
    """A platform of this module's own: its processes are killed."""
    yield from make_platform()


@pytest.fixture(scope="module")
def fleet(bad_platform: Platform, busybox: str) -> Fleet:
    return Fleet(bad_platform, push(bad_platform, busybox, "busybox"))


@pytest.fixture(scope="module")
def host(fleet: Fleet) -> dict[str, Any]:
    """The instance that most of these days happen to."""
    return fleet.launch()


@pytest.fixture
def instance(fleet: Fleet, host: dict[str, Any]) -> Iterator[str]:
    """Its id; after the test nothing runs there that the control plane does not know."""
    yield host["InstanceId"]
    assert_only_known_containers(fleet, host["InstanceId"])


def assert_only_known_containers(fleet: Fleet, instance_id: str) -> None:
    """Compare what Docker runs with ListTasks."""
    arn = fleet.container_instance(instance_id)["containerInstanceArn"]

    def unknown() -> dict[str, str]:
        known = fleet.ecs.list_tasks(cluster=CLUSTER, containerInstance=arn)["taskArns"]
        return {id: task for id, task in fleet.containers(instance_id).items() if task not in known}

    eventually(lambda: not unknown())


def connected(fleet: Fleet, instance_id: str) -> bool:
    """``agentConnected``, false too while the control plane does not answer."""
    try:
        return bool(fleet.container_instance(instance_id).get("agentConnected"))
    except Exception:
        return False


def containers_of(fleet: Fleet, instance_id: str, *tasks: str) -> dict[str, str]:
    """The running containers of some tasks."""
    return {id: task for id, task in fleet.containers(instance_id).items() if task in tasks}


def on(instance_id: str) -> dict[str, Any]:
    """Members of RunTask that place on one instance."""
    return {"placementConstraints": [{"type": "memberOf", "expression": f"ec2InstanceId == '{instance_id}'"}]}


@contextlib.contextmanager
def cut_off(fleet: Fleet, host: dict[str, Any]) -> Iterator[None]:
    """Drop every packet from and to an instance, in its VPC's namespace, by a table of the test's own."""
    address = host["PrivateIpAddress"]
    enter = ["nsenter", f"--net=/run/netns/dp{fleet.platform.config.id}-{host['VpcId']}", "nft"]
    rules = f"""table inet cut_by_a_test {{
        chain arriving {{ type filter hook prerouting priority -400; ip saddr {address} drop; }}
        chain leaving {{ type filter hook postrouting priority -400; ip daddr {address} drop; }}
    }}"""
    subprocess.run([*enter, "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*enter, "delete", "table", "inet", "cut_by_a_test"], check=True)


def test_an_agent_that_is_killed_finds_its_tasks(fleet: Fleet, instance: str) -> None:
    kept, stopped_meanwhile, restarted = (fleet.run(name, FOREVER) for name in ("kept", "stopped", "ended"))
    for arn in (kept, stopped_meanwhile, restarted):
        fleet.running(arn)
    before = containers_of(fleet, instance, kept)
    arn_before = fleet.container_instance(instance)["containerInstanceArn"]
    (ending,) = containers_of(fleet, instance, restarted)
    killed = fleet.agent(instance)
    fresh = fleet.run("arriving", FOREVER)
    os.kill(killed, signal.SIGKILL)
    fleet.ecs.stop_task(cluster=CLUSTER, task=stopped_meanwhile)
    fleet.inside(instance, "docker", "kill", ending)
    eventually(lambda: fleet.agent(instance) not in (0, killed) and connected(fleet, instance))
    fleet.stopped(stopped_meanwhile)
    assert fleet.stopped(restarted)["containers"][0]["exitCode"] == 137
    fleet.running(fresh)
    assert fleet.task(kept)["lastStatus"] == "RUNNING"
    assert containers_of(fleet, instance, kept) == before and len(before) == 1
    assert len(containers_of(fleet, instance, fresh)) == 1
    assert fleet.container_instance(instance)["containerInstanceArn"] == arn_before
    assert fleet.container_instance(instance)["runningTasksCount"] == 2
    for arn in (kept, fresh):
        fleet.stop(arn)


def test_an_agent_that_is_killed_over_and_over_while_tasks_start(fleet: Fleet, instance: str) -> None:
    started = []
    for _ in range(4):
        started.append(fleet.run("often", FOREVER))
        killed = eventually(lambda: fleet.agent(instance))
        os.kill(killed, signal.SIGKILL)
        eventually(lambda old=killed: fleet.agent(instance) not in (0, old) and connected(fleet, instance))  # type: ignore[misc]
    for arn in started:
        fleet.running(arn)
    running = containers_of(fleet, instance, *started)
    assert sorted(running.values()) == sorted(started)
    for arn in started:
        fleet.stop(arn)


def test_a_link_that_is_cut(fleet: Fleet, host: dict[str, Any], instance: str) -> None:
    kept, wanted_stopped = fleet.run("kept", FOREVER), fleet.run("stopped", FOREVER)
    for arn in (kept, wanted_stopped):
        fleet.running(arn)
    before = containers_of(fleet, instance, kept, wanted_stopped)
    with cut_off(fleet, host):
        eventually(lambda: not connected(fleet, instance), NOTICED)
        assert fleet.container_instance(instance)["status"] == "ACTIVE"
        assert fleet.task(kept)["lastStatus"] == "RUNNING"
        refused = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="kept")
        assert [each["reason"] for each in refused["failures"]] == ["AGENT"]
        fleet.ecs.stop_task(cluster=CLUSTER, task=wanted_stopped)
        assert fleet.task(wanted_stopped)["desiredStatus"] == "STOPPED"
        assert fleet.task(wanted_stopped)["lastStatus"] != "STOPPED"
        assert containers_of(fleet, instance, kept, wanted_stopped) == before
    eventually(lambda: connected(fleet, instance), NOTICED)
    fleet.stopped(wanted_stopped)
    assert fleet.task(kept)["lastStatus"] == "RUNNING"
    assert containers_of(fleet, instance, kept) == {id: task for id, task in before.items() if task == kept}
    fleet.stop(kept)


def test_a_control_plane_that_is_killed_during_a_drain(fleet: Fleet, instance: str, bad_platform: Platform) -> None:
    tasks = [fleet.run(f"drained-{number}", FOREVER) for number in range(4)]
    for arn in tasks:
        fleet.running(arn)
    container_instance = fleet.container_instance(instance)["containerInstanceArn"]
    named = {"cluster": CLUSTER, "containerInstances": [container_instance]}
    drained = fleet.ecs.update_container_instances_state(**named, status="DRAINING")
    assert not drained["failures"]
    for number, arn in enumerate(tasks):
        fleet.ecs.stop_task(cluster=CLUSTER, task=arn)
        if number in (1, 3):
            os.kill(bad_platform.pid("control"), signal.SIGKILL)
            eventually(lambda: connected(fleet, instance))
    for arn in tasks:
        assert fleet.stopped(arn)["stopCode"] == "UserInitiated"
    found = fleet.container_instance(instance)
    assert (found["status"], found["runningTasksCount"], found["pendingTasksCount"]) == ("DRAINING", 0, 0)
    remaining = {each["name"]: each for each in found["remainingResources"]}
    registered = {each["name"]: each for each in found["registeredResources"]}
    assert remaining == registered
    with pytest.raises(fleet.ecs.exceptions.InvalidParameterException, match="No Container Instances were found"):
        fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="drained-0")
    assert not containers_of(fleet, instance, *tasks)
    fleet.ecs.update_container_instances_state(**named, status="ACTIVE")
    fleet.stop(_running(fleet, "drained-0"))


def _running(fleet: Fleet, family: str) -> str:
    answer = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition=family)
    assert not answer["failures"], answer["failures"]
    arn: str = answer["tasks"][0]["taskArn"]
    fleet.running(arn)
    return arn


def test_a_host_that_is_killed(fleet: Fleet, instance: str) -> None:
    made = fleet.launch()["InstanceId"]
    fleet.define("doomed", FOREVER)
    run = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="doomed", count=2, **on(made))
    tasks = [each["taskArn"] for each in run["tasks"]]
    for arn in tasks:
        fleet.running(arn)
    os.kill(fleet.init(made), signal.SIGKILL)
    for arn in tasks:
        stopped = fleet.stopped(arn)
        assert stopped["stopCode"] == "TerminationNotice" and made in stopped["stoppedReason"]
    eventually(lambda: not connected(fleet, made))
    assert fleet.instance(made)["State"]["Name"] == "stopped"
    assert fleet.container_instance(made)["runningTasksCount"] == 0
    elsewhere = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="doomed", **on(made))
    assert elsewhere["failures"] and not elsewhere["tasks"]
    fleet.ec2.start_instances(InstanceIds=[made])
    eventually(lambda: connected(fleet, made))
    assert_only_known_containers(fleet, made)
    assert not fleet.containers(made)
    again = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="doomed", **on(made))["tasks"][0]["taskArn"]
    fleet.running(again)
    fleet.stop(again)
    fleet.terminate(made)
    eventually(lambda: not fleet.container_instance(made))


def test_down_leaves_nothing_of_instances_with_tasks(fleet: Fleet, instance: str, bad_platform: Platform) -> None:
    """The last of this module, as it ends its platform."""
    arn = fleet.run("left", FOREVER)
    fleet.running(arn)
    assert any(each.startswith("cgroup") for each in traces(bad_platform))
    assert any(each.startswith("loop device") for each in traces(bad_platform))
    bad_platform.down()
    assert traces(bad_platform) == []
    bad_platform.up()
    eventually(lambda: connected(fleet, instance))
    fleet.stopped(arn)
