"""Deployments that CloudWatch alarms end, on the whole platform, with containers that run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import EXECUTION_ROLE, Tasks, eventually, push

pytestmark = pytest.mark.platform
NAME = "watched"


class Watched:
    """A service of one task, which an alarm on ``Shop errors`` watches."""

    def __init__(self, platform: Platform, tasks: Tasks) -> None:
        self.platform, self.tasks = platform, tasks
        self.ecs, self.cloudwatch = platform.client("ecs"), platform.client("cloudwatch")

    def begin(self, missing: str) -> str:
        """The ARN of the first definition, once the service runs with it; then a second one is being deployed."""
        platform = self.platform
        platform.cli(
            "cloudwatch", "put-metric-alarm", "--alarm-name", NAME, "--namespace", "Shop", "--metric-name", "errors",
            "--statistic", "Sum", "--period", "10", "--evaluation-periods", "1", "--threshold", "1",
            "--comparison-operator", "GreaterThanThreshold", "--treat-missing-data", missing,
        )  # fmt: skip
        first, second = self._define("one"), self._define("two")
        subnet = platform.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
        platform.cli(
            "ecs", "create-service", "--service-name", NAME, "--task-definition", first, "--desired-count", "1",
            "--launch-type", "FARGATE", "--network-configuration", f"awsvpcConfiguration={{subnets=[{subnet}]}}",
        )  # fmt: skip
        platform.cli("ecs", "wait", "services-stable", "--services", NAME)
        eventually(lambda: self.primary()["rolloutState"] == "COMPLETED")
        platform.cli(
            "ecs", "update-service", "--service", NAME, "--task-definition", second, "--deployment-configuration",
            f"alarms={{alarmNames=[{NAME}],enable=true,rollback=true}}",
        )  # fmt: skip
        eventually(lambda: self.running() == [second], seconds=30)
        return first

    def _define(self, version: str) -> str:
        container = self.tasks.container(f"echo {version}; exec sleep 600")
        made = self.ecs.register_task_definition(
            family=NAME, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
            executionRoleArn=EXECUTION_ROLE, containerDefinitions=[container],
        )  # fmt: skip
        arn: str = made["taskDefinition"]["taskDefinitionArn"]
        return arn

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_services(services=[NAME])["services"][0]
        return found

    def primary(self) -> dict[str, Any]:
        found: dict[str, Any] = self.service()["deployments"][0]
        return found

    def running(self) -> list[str]:
        """The definitions of the tasks that run."""
        arns = self.ecs.list_tasks(serviceName=NAME)["taskArns"]
        described = self.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
        return [task["taskDefinitionArn"] for task in described if task["lastStatus"] == "RUNNING"]

    def deployment(self) -> dict[str, Any]:
        """The latest service deployment."""
        [latest, *_] = self.ecs.list_service_deployments(service=NAME)["serviceDeployments"]
        arns = [latest["serviceDeploymentArn"]]
        found: dict[str, Any] = self.ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"][
            0
        ]
        return found

    def check_rolled_back(self, first: str) -> None:
        eventually(lambda: self.primary()["rolloutState"] == "COMPLETED", seconds=60)
        assert self.running() == [first]
        deployment = self.deployment()
        assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
        assert deployment["alarms"] == {"status": "TRIGGERED", "alarmNames": [NAME], "triggeredAlarmNames": [NAME]}
        said = [event["message"] for event in self.service()["events"]]
        assert any(each.endswith("deployment failed: alarm detected.") for each in said)

    def end(self) -> None:
        self.platform.cli("ecs", "delete-service", "--service", NAME, "--force")
        self.platform.cli("ecs", "wait", "services-inactive", "--services", NAME)
        self.cloudwatch.delete_alarms(AlarmNames=[NAME])


@pytest.fixture
def watched(platform: Platform, tasks: Tasks) -> Iterator[Watched]:
    made = Watched(platform, tasks)
    yield made
    made.end()


def test_an_alarm_that_is_set_rolls_a_deployment_back(watched: Watched) -> None:
    first = watched.begin("notBreaching")
    assert watched.deployment()["alarms"] == {"status": "MONITORING", "alarmNames": [NAME]}
    watched.platform.cli(
        *("cloudwatch", "set-alarm-state", "--alarm-name", NAME, "--state-value", "ALARM", "--state-reason", "a test")
    )
    watched.check_rolled_back(first)


def test_data_that_cross_the_threshold_roll_a_deployment_back(own_platform: Platform, busybox: str) -> None:
    """The control plane is killed once the data are in: they, the alarm and what it watches are still there."""
    watched = Watched(own_platform, Tasks(own_platform, push(own_platform, busybox, "busybox")))
    first = watched.begin("ignore")
    data = {"MetricName": "errors", "Value": 5.0, "StorageResolution": 1}
    watched.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[data])
    os.kill(own_platform.pid("control"), signal.SIGKILL)
    eventually(lambda: _answers(watched), seconds=30)
    watched.check_rolled_back(first)
    [alarm] = watched.cloudwatch.describe_alarms(AlarmNames=[NAME])["MetricAlarms"]
    assert "5.0 (" in alarm["StateReason"]


def _answers(watched: Watched) -> bool:
    try:
        return bool(watched.service())
    except Exception:
        return False
