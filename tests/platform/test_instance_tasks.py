"""Tasks of an EC2 instance in Docker's own networks: their endpoint, and where their output goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
from tests.platform.support import EXECUTION_ROLE, TASK_ROLE, Tasks, eventually

pytestmark = pytest.mark.platform

GROUP = "/tests/instances"
TABLE = "nft list tables | grep dryport_task_endpoint; ip -br addr show lo | grep 169.254.170.2"


class Shippers(Fleet):
    """Runs tasks that log to CloudWatch Logs."""

    def begun(self, family: str, script: str, *, mode: str = "bridge", options: dict[str, str] | None = None) -> str:
        """The ARN of a task of one container."""
        logging = {
            "awslogs-group": GROUP,
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "i",
            "awslogs-create-group": "true",
        } | (options or {})
        container = {
            "name": "main",
            "image": self.image,
            "memory": 64,
            "command": ["sh", "-c", script],
            "stopTimeout": 2,
            "logConfiguration": {"logDriver": "awslogs", "options": logging},
        }
        self.ecs.register_task_definition(
            family=family,
            networkMode=mode,
            taskRoleArn=TASK_ROLE,
            executionRoleArn=EXECUTION_ROLE,
            containerDefinitions=[container],
        )
        answer = self.ecs.run_task(cluster=self.cluster, taskDefinition=family)
        assert not answer["failures"], answer["failures"]
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def output(self, arn: str) -> list[str]:
        """All that the task has logged."""
        logs = self.platform.client("logs")
        stream = {"logGroupName": GROUP, "logStreamName": f"i/main/{arn.rsplit('/', 1)[1]}", "startFromHead": True}
        found: list[str] = []
        while True:
            try:
                answer = logs.get_log_events(**stream)
            except logs.exceptions.ResourceNotFoundException:
                return found  # it has not begun
            if not answer["events"]:
                return found
            found += [each["message"] for each in answer["events"]]
            stream["nextToken"] = answer["nextForwardToken"]


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Shippers:
    return Shippers(platform, tasks.image, "shippers", "shippers")


@pytest.fixture(scope="module")
def instance(fleet: Shippers) -> Iterator[str]:
    made = fleet.launch()["InstanceId"]
    yield made
    fleet.terminate(made)


@pytest.mark.parametrize("mode", ["bridge", "host"])
def test_a_task_finds_its_credentials_and_metadata(fleet: Shippers, instance: str, mode: str) -> None:
    other = fleet.begun("other", "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; sleep 600")
    (path,) = eventually(lambda: fleet.output(other))
    script = (
        "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task; echo;"
        "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo;"
        "wget -qO- http://169.254.170.2/v2/credentials/guessed 2>&1"
    )
    arn = fleet.begun("asking", script, mode=mode)
    assert fleet.stopped(arn)["stopCode"] == "EssentialContainerExited"
    own, task, credentials, refused = fleet.output(arn)
    assert own != path
    assert f'"TaskARN":"{arn}"' in task and '"Family":"asking"' in task
    assert TASK_ROLE in credentials and '"SecretAccessKey":' in credentials
    assert "400" in refused
    fleet.stop(other)


def test_nothing_is_left_of_the_endpoint_once_the_agent_has_ended(fleet: Shippers, instance: str) -> None:
    assert len(fleet.inside(instance, "sh", "-c", TABLE).splitlines()) == 2
    os.kill(fleet.agent(instance), signal.SIGKILL)
    fleet.inside(instance, "systemctl", "restart", "ecs")
    eventually(lambda: fleet.container_instance(instance)["agentConnected"])
    assert len(fleet.inside(instance, "sh", "-c", TABLE).splitlines()) == 2
    fleet.inside(instance, "systemctl", "stop", "ecs")
    assert fleet.inside(instance, "sh", "-c", f"{{ {TABLE}; }}; true") == ""
    fleet.inside(instance, "systemctl", "start", "ecs")
    eventually(lambda: fleet.container_instance(instance)["agentConnected"])


def test_no_line_is_lost_when_the_agent_is_killed(fleet: Shippers, instance: str) -> None:
    count = 20_000
    script = f"seq 1 {count // 2}; sleep 2; seq {count // 2 + 1} {count}; printf 'no newline'"
    arn = fleet.begun("talker", script)
    eventually(lambda: fleet.output(arn))
    os.kill(fleet.agent(instance), signal.SIGKILL)
    fleet.stopped(arn)
    lines = fleet.output(arn)
    # What was on its way when the agent was killed may have come twice.
    assert sorted(set(lines[:-1]), key=int) == [str(n) for n in range(1, count + 1)]
    assert lines[-1] == "no newline"


def test_options_of_awslogs(fleet: Shippers, instance: str) -> None:
    options = {"awslogs-multiline-pattern": "^BEGIN", "mode": "non-blocking", "max-buffer-size": "1m"}
    script = "echo BEGIN one; echo more; echo BEGIN two; echo end"
    arn = fleet.begun("joined", script, options=options)
    fleet.stopped(arn)
    assert fleet.output(arn) == ["BEGIN one\nmore", "BEGIN two\nend"]
    wrong = fleet.begun("wrong", "true", options={"awslogs-multiline-pattern": "("})
    assert "awslogs could not parse multiline pattern" in fleet.stopped(wrong)["stoppedReason"]


def test_dockers_own_drivers_get_their_options(fleet: Shippers, instance: str) -> None:
    options: dict[str, Any] = {"logDriver": "json-file", "options": {"max-size": "1m", "tag": "mine"}}
    arn = fleet.run("kept", "echo hello; sleep 600", logConfiguration=options)
    name = fleet.running(arn)["containers"][0]["runtimeId"]
    shown = fleet.inside(instance, "docker", "inspect", "-f", "{{json .HostConfig.LogConfig}}", name)
    assert '"Type":"json-file"' in shown and '"tag":"mine"' in shown
    assert fleet.inside(instance, "docker", "logs", name) == "hello"
    fleet.stop(arn)


def test_placement_knows_the_log_drivers(fleet: Shippers, instance: str) -> None:
    names = {each["name"] for each in fleet.container_instance(instance)["attributes"]}
    assert "com.amazonaws.ecs.capability.logging-driver.awslogs" in names
    container = {"name": "main", "image": fleet.image, "memory": 32, "logConfiguration": {"logDriver": "fluentd"}}
    fleet.ecs.register_task_definition(family="fluent", containerDefinitions=[container])
    answer = fleet.ecs.run_task(cluster=fleet.cluster, taskDefinition="fluent")
    assert [each["reason"] for each in answer["failures"]] == ["ATTRIBUTE"]
