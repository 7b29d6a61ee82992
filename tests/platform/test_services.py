"""Services on the whole platform, by the AWS CLI as users have it: kept, updated, gone."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.platform.support import EXECUTION_ROLE, Tasks, eventually

pytestmark = pytest.mark.platform


def _define(tasks: Tasks, version: str) -> str:
    container = tasks.container(f"echo {version}; exec sleep 600", environment=[{"name": "V", "value": version}])
    made = tasks.ecs.register_task_definition(
        family="kept", networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        executionRoleArn=EXECUTION_ROLE, containerDefinitions=[container],
    )  # fmt: skip
    arn: str = made["taskDefinition"]["taskDefinitionArn"]
    return arn


def _service(tasks: Tasks) -> dict[str, Any]:
    found: dict[str, Any] = tasks.ecs.describe_services(services=["kept"])["services"][0]
    return found


def _running(tasks: Tasks) -> list[dict[str, Any]]:
    arns = tasks.ecs.list_tasks(serviceName="kept")["taskArns"]
    described = tasks.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
    return [task for task in described if task["lastStatus"] == "RUNNING"]


def test_a_service_is_kept_updated_and_deleted(tasks: Tasks) -> None:
    cli = tasks.platform.cli
    subnet = tasks.platform.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    first, second = _define(tasks, "one"), _define(tasks, "two")
    cli(
        "ecs", "create-service", "--service-name", "kept", "--task-definition", first, "--desired-count", "2",
        "--launch-type", "FARGATE", "--network-configuration", f"awsvpcConfiguration={{subnets=[{subnet}]}}",
    )  # fmt: skip
    cli("ecs", "wait", "services-stable", "--services", "kept")
    before = {task["taskArn"] for task in _running(tasks)}
    assert len(before) == 2

    # One that dies is replaced.
    lost = next(iter(before))
    os.kill(_process(tasks, lost), signal.SIGKILL)
    eventually(lambda: len(now := {task["taskArn"] for task in _running(tasks)}) == 2 and lost not in now)

    cli("ecs", "update-service", "--service", "kept", "--task-definition", second)
    cli("ecs", "wait", "services-stable", "--services", "kept")
    assert {task["taskDefinitionArn"] for task in _running(tasks)} == {second}
    eventually(lambda: _service(tasks)["deployments"][0]["rolloutState"] == "COMPLETED")
    assert _service(tasks)["events"][0]["message"] == "(service kept) has reached a steady state."

    cli("ecs", "delete-service", "--service", "kept", "--force")
    cli("ecs", "wait", "services-inactive", "--services", "kept")
    assert tasks.ecs.list_tasks(serviceName="kept")["taskArns"] == []


def _process(tasks: Tasks, task_arn: str) -> int:
    """The process of the task's container, as this machine counts: it is the one that has the task's name in it."""
    wanted = f"{task_arn.rsplit('/', 1)[1]}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cgroup", "rb") as group, open(f"/proc/{entry}/cmdline", "rb") as line:
                    if wanted in group.read() and line.read().startswith(b"sleep"):
                        return int(entry)
            except OSError:
                continue  # it has ended meanwhile
    raise AssertionError(f"{task_arn} has no process")
