"""What becomes of container instances and their tasks when agents, hosts, links or the control plane fail.

The agents are simulated, the rest is real; tests/platform has the same with real instances.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError
from msgspec.structs import replace

from dryport.client import ApiError
from dryport.ec2.model import NETWORK_INTERFACES
from dryport.ecs.acs import session
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, ContainerInstance
from dryport.iam.model import CREDENTIALS
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent

TASK: dict[str, Any] = {
    "family": "app",
    "taskRoleArn": "arn:aws:iam::000000000000:role/app",
    "containerDefinitions": [{"name": "main", "image": "busybox", "cpu": 128, "memory": 128}],
}
CAPABLE = ("com.amazonaws.ecs.capability.task-iam-role", "com.amazonaws.ecs.capability.docker-remote-api.1.18")


async def registration(plane: Plane, zone: str = "us-east-1a") -> dict[str, Any]:
    made = await plane.ec2_instance(zone)
    made["attributes"] += [{"name": name} for name in CAPABLE]
    return made


async def start(plane: Plane, host: SimulatedAgent, count: int = 1) -> list[str]:
    """Tasks that run on an instance."""
    await plane.until(lambda: instance(plane, host).agent_connected, "connected")
    await plane.api("register_task_definition", **TASK)
    request = {"cluster": "demo", "taskDefinition": "app", "containerInstances": [host.arn]}
    answers = [await plane.api("start_task", **request) for _ in range(count)]
    assert not any(answer["failures"] for answer in answers)
    tasks: list[str] = [answer["tasks"][0]["taskArn"] for answer in answers]
    for task in tasks:
        await plane.until_status(task, "RUNNING")
    return tasks


def instance(plane: Plane, host: SimulatedAgent) -> ContainerInstance:
    found = plane.store.reader.get(CONTAINER_INSTANCES, host.arn)
    assert found is not None
    return found


def leftovers(plane: Plane, task_arn: str) -> int:
    reader = plane.store.reader
    return len(reader.find(CREDENTIALS, "owner", task_arn)) + len(reader.find(NETWORK_INTERFACES, "owner", task_arn))


def nothing_left(plane: Plane, task_arn: str) -> bool:
    return not leftovers(plane, task_arn)


async def test_a_killed_host_takes_its_tasks_with_it(plane: Plane, agent: MakeAgent) -> None:
    host = await agent("demo", **await registration(plane))
    one, two = await start(plane, host, 2)
    ec2_instance = instance(plane, host).ec2_instance_id
    assert ec2_instance is not None
    # The agent falls silent; EC2 notices the end of the host long before the silence is noticed.
    host.obedient = False
    await plane.ec2_state(ec2_instance, "stopping")
    await plane.ec2_state(ec2_instance, "stopped")
    for task in (one, two):
        stopped = await plane.until_status(task, "STOPPED")
        assert stopped.stop_code == "TerminationNotice"
        assert stopped.stopped_reason == f"Host EC2 (instance {ec2_instance}) stopped."
        await plane.until(partial(nothing_left, plane, task), "credentials revoked")
    await plane.until(lambda: not instance(plane, host).agent_connected, "disconnected")
    await plane.until(lambda: not host.connected, "connection closed")
    assert instance(plane, host).status == "ACTIVE"
    # It comes back with what its disk remembers, and that is stopped.
    await plane.ec2_state(ec2_instance, "running")
    host.obedient = True
    await host.register()
    await host.connect(send_credentials=True)
    await plane.until(lambda: set(host.status.values()) == {"STOPPED"}, "strays stopped")
    await start(plane, host)


async def test_a_terminated_host_is_deregistered(plane: Plane, agent: MakeAgent) -> None:
    mine = await registration(plane)
    host = await agent("demo", **mine)
    (task,) = await start(plane, host)
    ec2_instance = instance(plane, host).ec2_instance_id
    assert ec2_instance is not None
    await host.disconnect()
    await plane.ec2_state(ec2_instance, "shutting-down")
    await plane.ec2_state(ec2_instance, "terminated")
    stopped = await plane.until_status(task, "STOPPED")
    assert stopped.stopped_reason == f"Host EC2 (instance {ec2_instance}) terminated."
    await plane.until(lambda: instance(plane, host).status == "INACTIVE", "deregistered")
    assert await plane.api("list_container_instances", cluster="demo") == {"containerInstanceArns": []}
    with pytest.raises(ApiError, match="identity document"):
        await host.register(**mine)


async def test_a_killed_agent_comes_back_to_its_tasks(plane: Plane, agent: MakeAgent) -> None:
    host = await agent("demo", **await registration(plane))
    (task,) = await start(plane, host)
    await host.disconnect()
    await plane.until(lambda: not instance(plane, host).agent_connected, "disconnected")
    # Whatever is wanted meanwhile is told once it is back.
    await plane.api("stop_task", cluster="demo", task=task)
    failed = await plane.api("run_task", cluster="demo", taskDefinition="app")
    assert [each["reason"] for each in failed["failures"]] == ["AGENT"]
    assert plane.task(task).last_status in ("RUNNING", "DEACTIVATING", "STOPPING")
    await host.connect(send_credentials=True)
    await plane.until_status(task, "STOPPED")


async def test_a_cut_link_is_noticed_and_mended(
    plane: Plane, agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(session, "SILENCE_SECONDS", 0.3)
    host = await agent("demo", **await registration(plane))
    (task,) = await start(plane, host)
    # Packets are dropped both ways: neither side hears of an end.
    host.deaf = True
    await plane.until(lambda: not instance(plane, host).agent_connected, "silence noticed")
    assert plane.task(task).last_status == "RUNNING"
    host.deaf = False
    await host.connect()
    await plane.until(lambda: instance(plane, host).agent_connected, "back")
    await plane.until(lambda: host.of_type("HeartbeatMessage"), "heartbeat")
    assert plane.task(task).last_status == "RUNNING" and host.status[task] == "RUNNING"


async def test_the_control_plane_is_killed_during_a_drain(plane: Plane, agent: MakeAgent) -> None:
    first = await agent("demo", **await registration(plane))
    second = await agent("demo", **await registration(plane, "us-east-1b"))
    tasks = await start(plane, first, 3)
    await plane.api(
        "update_container_instances_state", cluster="demo", containerInstances=[first.arn], status="DRAINING"
    )
    first.obedient = False
    for task in tasks[:2]:
        await plane.api("stop_task", cluster="demo", task=task)
    await plane.until(lambda: sum(m["tasks"][0]["desiredStatus"] == "STOPPED" for m in payloads(first)) >= 2, "told")
    await plane.restart(kill=True)
    first.obedient = True
    for host in (first, second):
        await host.disconnect()
        await host.connect()
    for task in tasks[:2]:
        await plane.until_status(task, "STOPPED")
    # One that no service owns stays; nothing new comes.
    assert plane.task(tasks[2]).last_status == "RUNNING"
    assert instance(plane, first).status == "DRAINING"
    await plane.until(lambda: instance(plane, second).agent_connected, "connected")
    run = await plane.api("run_task", cluster="demo", taskDefinition="app", count=3)
    assert {task["containerInstanceArn"] for task in run["tasks"]} == {second.arn}
    for each in run["tasks"]:
        await plane.until_status(each["taskArn"], "RUNNING")


def payloads(host: SimulatedAgent) -> list[dict[str, Any]]:
    return host.of_type("PayloadMessage")


async def test_an_agent_that_lost_its_memory_is_another_instance(plane: Plane, agent: MakeAgent) -> None:
    mine = await registration(plane)
    host = await agent("demo", **mine)
    (task,) = await start(plane, host)
    old = host.arn
    await host.disconnect()
    host.arn = ""
    await host.register(**mine)
    assert host.arn != old
    stopped = await plane.until_status(task, "STOPPED")
    assert stopped.stopped_reason == "Container instance registered anew"
    listed = await plane.api("list_container_instances", cluster="demo")
    assert listed == {"containerInstanceArns": [host.arn]}
    # Its containers are still there: no container runs that the control plane does not know.
    await host.connect(send_credentials=True)
    await plane.until(lambda: host.status[task] == "STOPPED", "stray stopped")


async def test_what_is_deregistered_by_force_is_cleared_when_it_returns(plane: Plane, agent: MakeAgent) -> None:
    host = await agent("demo", **await registration(plane))
    (task,) = await start(plane, host)
    await plane.api("deregister_container_instance", cluster="demo", containerInstance=host.arn, force=True)
    stopped = await plane.until_status(task, "STOPPED")
    assert stopped.stopped_reason == "Container instance deregistration forced by user"
    await plane.until(lambda: not host.connected, "connection closed")
    assert host.status[task] == "RUNNING"  # an orphan, as in AWS
    with pytest.raises(WSServerHandshakeError):
        await host.connect()
    await host.register()
    assert instance(plane, host).status == "ACTIVE"
    await host.connect(send_credentials=True)
    await plane.until(lambda: host.status[task] == "STOPPED", "orphan stopped")


async def test_inactive_instances_are_forgotten(plane: Plane, agent: MakeAgent) -> None:
    host = await agent("demo")
    await plane.api("deregister_container_instance", cluster="demo", containerInstance=host.arn)
    described = await plane.api("describe_container_instances", cluster="demo", containerInstances=[host.arn])
    assert described["containerInstances"][0]["status"] == "INACTIVE"
    long_ago = replace(instance(plane, host), deregistered_at=plane.clock.time() - 3600)
    await plane.store.transact(lambda tx: tx.put(CONTAINER_INSTANCES, long_ago))
    await plane.restart()
    await plane.until(lambda: plane.store.reader.get(CONTAINER_INSTANCES, host.arn) is None, "forgotten")
    assert plane.store.reader.count(TASKS) == 0
