"""ECS's and EC2's APIs behind the real gateway, without the controllers: what is written stays as it was written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from dryport.control.context import Context, Room
from dryport.ec2 import published as ec2
from dryport.ecs.api import SERVICE
from dryport.ecs.api.explain import DRYPORT
from dryport.ecs.model import TASKS, Task
from dryport.store import Transaction
from tests.iam.stored import put_roles
from tests.served import Served

R = TypeVar("R")
_names = itertools.count(1)


def _room(context: Context) -> Room:
    return Room(services={"ecs": lambda: SERVICE, "dryport": lambda: DRYPORT})


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("ecs"), [_room])
    running.run(running.context.store.transact(lambda tx: put_roles(tx, "ecs-tasks", "task")))
    yield running
    running.stop()


class Ecs:
    """A boto3 client, and a cluster of the test's own."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.client = served.client("ecs")
        self.number = next(_names)
        self.name = f"cluster-{self.number}"
        self.cluster_arn: str = self.client.create_cluster(clusterName=self.name)["cluster"]["clusterArn"]

    def write(self, work: Callable[[Transaction], R]) -> R:
        """Change the state as a controller would."""
        return self.served.run(self.served.context.store.transact(work))

    def change(self, arn: str, change: Callable[[Task], Task]) -> None:
        """Change a task as a controller would."""

        def work(tx: Transaction) -> None:
            task = tx.get(TASKS, arn)
            assert task is not None
            tx.put(TASKS, change(task))

        self.write(work)

    def subnets(self) -> list[str]:
        """The default VPC's subnets."""
        account, random = self.served.context.config.account, self.served.context.random

        def work(tx: Transaction) -> list[str]:
            ec2.ensure_region(tx, random, account, "us-east-1")
            return [subnet.id for subnet in ec2.default_subnets(tx, account, "us-east-1")]

        return self.write(work)

    def define(self, **settings: Any) -> str:
        """Register a small Fargate task definition; returns its ARN."""
        definition = {
            "family": f"family-{self.number}",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": [{"name": "app", "image": "busybox"}],
            **settings,
        }
        answer = self.client.register_task_definition(**definition)
        arn: str = answer["taskDefinition"]["taskDefinitionArn"]
        return arn

    def run(self, **settings: Any) -> Any:
        """RunTask on Fargate; returns the answer."""
        request = {
            "cluster": self.name,
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": self.subnets()}},
            **settings,
        }
        request.setdefault("taskDefinition", f"family-{self.number}")
        return self.client.run_task(**{name: value for name, value in request.items() if value is not None})

    def cluster(self) -> Any:
        """The cluster as it is described now."""
        return self.client.describe_clusters(clusters=[self.name], include=["STATISTICS"])["clusters"][0]


@pytest.fixture
def ecs(served: Served) -> Ecs:
    return Ecs(served)
