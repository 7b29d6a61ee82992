"""What the tests of the whole platform share: an image in ECR, and tasks from a few words."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from tests.conftest import Platform

EXECUTION_ROLE = "arn:aws:iam::000000000000:role/ecsTaskExecutionRole"
TASK_ROLE = "arn:aws:iam::000000000000:role/taskRole"
LOG_GROUP = "/tests/tasks"
T = TypeVar("T")
_numbers = itertools.count(1)


def eventually(probe: Callable[[], T | Literal[False] | None], seconds: float = 60.0) -> T:
    """The first true value that ``probe`` gives; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds:.0f} s: {probe.__doc__ or probe}")
        time.sleep(0.05)
    return value


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Run the Docker client."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def push(platform: Platform, image: str, repository: str, tag: str = "latest") -> str:
    """Create the repository, log Docker in as its users do, push; returns the pushed name."""
    uri = platform.client("ecr").create_repository(repositoryName=repository)["repository"]["repositoryUri"]
    password = platform.cli("ecr", "get-login-password").strip()
    docker("login", "--username", "AWS", "--password-stdin", uri.split("/")[0], stdin=password)
    name = f"{uri}:{tag}"
    docker("tag", image, name)
    try:
        docker("push", "-q", name)
    finally:
        docker("rmi", name)
        docker("logout", uri.split("/")[0])
    return name


class Tasks:
    """Runs tasks of one image on Fargate."""

    def __init__(self, platform: Platform, image: str) -> None:
        self.platform = platform
        self.image = image
        self.ecs = platform.client("ecs")
        self.ecs.create_cluster(clusterName="default")
        subnets = platform.client("ec2").describe_subnets()["Subnets"]
        self.subnets = [subnet["SubnetId"] for subnet in subnets]

    def container(self, script: str = "sleep 600", name: str = "main", **settings: Any) -> dict[str, Any]:
        """A container definition that runs a shell script and logs to CloudWatch Logs."""
        options = {
            "awslogs-group": LOG_GROUP,
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "t",
            "awslogs-create-group": "true",
        }
        return {
            "name": name,
            "image": self.image,
            "command": ["sh", "-c", script],
            "stopTimeout": 2,  # a shell that is process 1 does not end at SIGTERM
            "logConfiguration": {"logDriver": "awslogs", "options": options},
            **settings,
        }

    def define(self, *containers: dict[str, Any], cpu: str = "256", memory: str = "512", **settings: Any) -> str:
        """Register a task definition; returns its ARN."""
        answer = self.ecs.register_task_definition(
            family=f"test-{next(_numbers)}",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu=cpu,
            memory=memory,
            executionRoleArn=EXECUTION_ROLE,
            containerDefinitions=list(containers),
            **settings,
        )
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn

    def run(
        self, definition: str, *, public: bool = False, groups: list[str] | None = None, **settings: Any
    ) -> list[str]:
        """RunTask; returns the tasks' ARNs."""
        network: dict[str, Any] = {"subnets": self.subnets[:1], "assignPublicIp": "ENABLED" if public else "DISABLED"}
        if groups:
            network["securityGroups"] = groups
        answer = self.ecs.run_task(
            taskDefinition=definition,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
            **settings,
        )
        assert not answer["failures"], answer["failures"]
        return [task["taskArn"] for task in answer["tasks"]]

    def describe(self, arn: str) -> dict[str, Any]:
        """DescribeTasks of one task."""
        answer = self.ecs.describe_tasks(tasks=[arn], include=["TAGS"])
        assert answer["tasks"], answer["failures"]
        task: dict[str, Any] = answer["tasks"][0]
        return task

    def until(self, arn: str, status: str, seconds: float = 60.0) -> dict[str, Any]:
        """The task once its last status is this one."""

        def probe() -> dict[str, Any] | None:
            task = self.describe(arn)
            if task["lastStatus"] == "STOPPED" and status != "STOPPED":
                raise AssertionError(f"stopped: {task.get('stoppedReason')} {task['containers']}")
            return task if task["lastStatus"] == status else None

        try:
            return eventually(probe, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe(arn)}\n{self.platform.logs()}") from None

    def finish(self, *containers: dict[str, Any], **settings: Any) -> dict[str, Any]:
        """Define, run, and wait until it has stopped."""
        definition = self.define(*containers, **settings)
        return self.until(self.run(definition)[0], "STOPPED")

    def output(self, arn: str, container: str = "main") -> list[str]:
        """What a container of a task has logged."""
        logs = self.platform.client("logs")
        try:
            events = logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=f"t/{container}/{arn.rsplit('/', 1)[1]}", startFromHead=True
            )["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def stop(self, arn: str) -> dict[str, Any]:
        """StopTask and wait."""
        self.ecs.stop_task(task=arn)
        return self.until(arn, "STOPPED")


def container_of(task: dict[str, Any], name: str = "main") -> dict[str, Any]:
    """One container of a described task."""
    found: dict[str, Any] = next(each for each in task["containers"] if each["name"] == name)
    return found
