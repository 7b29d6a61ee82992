"""RunTask to the first instruction, through a running Dryport and with unmodified clients."""

from __future__ import annotations

import base64
import statistics
import subprocess
import time
from contextlib import suppress
from typing import Any

import boto3

from bench.roles import make_roles

NAME = "dryport-bench-launch"


def push(ecr: Any, repository: str, image: str) -> str:
    """Make a repository and push one of Docker's images to it; the pushed one's name."""
    uri = ecr.create_repository(repositoryName=repository)["repository"]["repositoryUri"]
    granted = ecr.get_authorization_token()["authorizationData"][0]
    password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")[2]
    login = ["docker", "login", "--username", "AWS", "--password-stdin", uri.partition("/")[0]]
    subprocess.run(login, input=password.encode(), check=True, capture_output=True)
    pushed = f"{uri}:1"
    subprocess.run(["docker", "tag", image, pushed], check=True)
    subprocess.run(["docker", "push", "-q", pushed], check=True, capture_output=True)
    subprocess.run(["docker", "image", "rm", pushed], check=True, capture_output=True)
    return pushed


class Platform:
    """A running Dryport at ``endpoint``; credentials and region come from the environment. ``image`` is Docker's."""

    def __init__(self, endpoint: str, image: str) -> None:
        self._image = image
        self._ecs = boto3.client("ecs", endpoint_url=endpoint)
        self._iam = boto3.client("iam", endpoint_url=endpoint)
        self._ecr = boto3.client("ecr", endpoint_url=endpoint)
        self._ec2 = boto3.client("ec2", endpoint_url=endpoint)
        self._logs = boto3.client("logs", endpoint_url=endpoint)

    def measure(self, runs: int, count: int, docker: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
        """Rows of the table, against Docker's seconds in the rows ``docker``."""
        make_roles(self._iam)
        self._prepare()
        try:
            self._seconds(1)  # the image comes here with the first
            one = statistics.median(self._seconds(1)[0] for _ in range(runs))
            all_of_them = max(self._seconds(count))
        finally:
            self._clear()
        return [
            ("RunTask to first instruction", one, docker[0][2]),
            (f"{count} tasks at once, all running", all_of_them, docker[1][2]),
        ]

    def _seconds(self, count: int) -> list[float]:
        """Launch tasks; for each, seconds from the first call to its first instruction."""
        began = time.time()
        arns: list[str] = []
        for first in range(0, count, 10):
            answer = self._ecs.run_task(
                cluster=NAME,
                taskDefinition=NAME,
                launchType="FARGATE",
                count=min(10, count - first),
                networkConfiguration={"awsvpcConfiguration": {"subnets": self._subnets}},
            )
            if answer["failures"]:
                raise SystemExit(f"RunTask: {answer['failures']}")
            arns += [task["taskArn"] for task in answer["tasks"]]
        found = [self._first_line(arn.rsplit("/", 1)[1]) - began for arn in arns]
        for arn in arns:
            self._ecs.stop_task(cluster=NAME, task=arn)
        self._wait_stopped(arns)
        return found

    def _first_line(self, task_id: str) -> float:
        """When the task printed its line, in seconds since the epoch (CloudWatch Logs has milliseconds)."""
        for _ in range(600):
            with suppress(self._logs.exceptions.ResourceNotFoundException):
                events = self._logs.get_log_events(logGroupName=NAME, logStreamName=f"bench/app/{task_id}")["events"]
                if events:
                    return float(events[0]["timestamp"]) / 1000
            time.sleep(0.1)
        raise SystemExit(f"task {task_id} printed nothing: {self._ecs.describe_tasks(cluster=NAME, tasks=[task_id])}")

    def _wait_stopped(self, arns: list[str]) -> None:
        for first in range(0, len(arns), 100):
            waiter = self._ecs.get_waiter("tasks_stopped")
            waiter.wait(cluster=NAME, tasks=arns[first : first + 100], WaiterConfig={"Delay": 1, "MaxAttempts": 120})

    def _prepare(self) -> None:
        self._subnets = [subnet["SubnetId"] for subnet in self._ec2.describe_subnets()["Subnets"]][:1]
        self._ecs.create_cluster(clusterName=NAME)
        self._logs.create_log_group(logGroupName=NAME)
        self._ecs.register_task_definition(**self._definition(push(self._ecr, NAME, self._image)))

    def _definition(self, image: str) -> dict[str, Any]:
        options = {
            "awslogs-group": NAME,
            "awslogs-region": self._logs.meta.region_name,
            "awslogs-stream-prefix": "bench",
        }
        container = {
            "name": "app",
            "image": image,
            "command": ["/bin/sh", "-c", "echo first; exec sleep 300"],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
            "stopTimeout": 2,
        }
        return {
            "family": NAME,
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": "arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
            "containerDefinitions": [container],
        }

    def _clear(self) -> None:
        for arn in self._ecs.list_task_definitions(familyPrefix=NAME)["taskDefinitionArns"]:
            self._ecs.deregister_task_definition(taskDefinition=arn)
        self._ecr.delete_repository(repositoryName=NAME, force=True)
        self._logs.delete_log_group(logGroupName=NAME)
        self._ecs.delete_cluster(cluster=NAME)
