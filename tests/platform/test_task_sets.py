"""Something of one's own deploys: two task sets behind a balancer, between which a client moves the traffic."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from tests.conftest import Platform
from tests.load import Load
from tests.platform.support import Tasks, eventually
from tests.platform.test_balanced_services import Front, Kept, _define

pytestmark = pytest.mark.platform
NAME = {"cluster": "default", "service": "shifted"}


@pytest.fixture(scope="module")
def front(platform: Platform) -> Iterator[Front]:
    made = Front(platform)
    yield made
    made.delete()


class Deployer:
    """A third party's deployment controller."""

    def __init__(self, front: Front, tasks: Tasks) -> None:
        self.front, self.ecs = front, tasks.ecs
        self.groups = {}
        self.groups["one"], self.url = front.group("blue", "ip")
        self.groups["two"], _ = front.group("green", "ip")
        found = front.elb.describe_listeners(LoadBalancerArn=front.arn)["Listeners"]
        self.listener = next(each["ListenerArn"] for each in found if f":{each['Port']}/" in self.url)

    def create(self, version: str, definition: str, percent: float) -> dict[str, Any]:
        network = {"subnets": self.front.subnets, "securityGroups": [self.front.open]}
        made: dict[str, Any] = self.ecs.create_task_set(
            **NAME, taskDefinition=definition, launchType="FARGATE", externalId=version,
            networkConfiguration={"awsvpcConfiguration": network}, scale={"value": percent, "unit": "PERCENT"},
            loadBalancers=[{"targetGroupArn": self.groups[version], "containerName": "main", "containerPort": 8080}],
        )["taskSet"]  # fmt: skip
        return made

    def scale(self, task_set: dict[str, Any], percent: float) -> None:
        self.ecs.update_task_set(**NAME, taskSet=task_set["id"], scale={"value": percent, "unit": "PERCENT"})

    def weigh(self, one: int, two: int) -> None:
        weights = zip(self.groups.values(), (one, two), strict=True)
        groups = [{"TargetGroupArn": group, "Weight": weight} for group, weight in weights]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.front.elb.modify_listener(ListenerArn=self.listener, DefaultActions=[action])

    def steady(self, task_set: dict[str, Any], count: int) -> dict[str, Any]:
        """A task set, once it is steady with so many tasks."""

        def probe() -> dict[str, Any] | None:
            try:
                found = self.ecs.describe_task_sets(**NAME, taskSets=[task_set["id"]])["taskSets"][0]
            except BotoCoreError:
                return None  # the control plane is being started again
            steady = found["stabilityStatus"] == "STEADY_STATE" and found["computedDesiredCount"] == count
            return found if steady else None

        return eventually(probe, 90)


def test_a_client_moves_traffic_between_task_sets_and_not_a_request_is_lost(
    platform: Platform, front: Front, tasks: Tasks
) -> None:
    deployer, kept = Deployer(front, tasks), Kept(front, "shifted")
    tasks.ecs.create_service(serviceName="shifted", desiredCount=2, deploymentController={"type": "EXTERNAL"})
    deployer.weigh(100, 0)
    blue = deployer.create("one", _define(tasks, "shifted", "one"), 100.0)
    found = deployer.steady(blue, 2)
    assert (found["runningCount"], found["platformVersion"], found["launchType"]) == (2, "LATEST", "FARGATE")
    tasks.ecs.update_service_primary_task_set(**NAME, primaryTaskSet=blue["id"])
    assert len(front.targets(deployer.groups["one"])) == 2

    second = _define(tasks, "shifted", "two")
    with Load(deployer.url) as load:
        green = deployer.create("two", second, 50.0)
        os.kill(platform.pid("control"), signal.SIGKILL)  # what it said is known to the next one
        deployer.steady(green, 1)
        deployer.weigh(50, 50)
        deployer.scale(green, 100.0)
        deployer.steady(green, 2)
        deployer.weigh(0, 100)
        tasks.ecs.update_service_primary_task_set(**NAME, primaryTaskSet=green["id"])
        deployer.scale(blue, 0.0)
        deployer.steady(blue, 0)
        tasks.ecs.delete_task_set(**NAME, taskSet=blue["id"])
        eventually(lambda: [each["id"] for each in kept.describe()["taskSets"]] == [green["id"]], 60)
    assert not load.failed
    assert {each.server.split()[0] for each in load.answers} == {"one", "two"}
    assert load.answers[-1].server.startswith("two")

    shown = kept.describe()
    assert shown["taskDefinition"] == second and shown["runningCount"] == 2 and shown["deployments"] == []
    assert {each["startedBy"] for each in kept.tasks().values()} == {green["id"]}
    assert front.targets(deployer.groups["one"]) == {}
    assert set(front.targets(deployer.groups["two"]).values()) == {"healthy"}
    said = kept.messages()
    assert f"(service shifted, taskSet {green['id']}) updated state to STEADY_STATE." in said
    assert f"(service shifted) updated computedDesiredCount for taskSet {blue['id']} to 0." in said

    registered = (
        f"(service shifted, taskSet {green['id']}) registered 1 targets in (target-group {deployer.groups['two']})"
    )
    assert registered in said
    kept.delete()
    assert front.targets(deployer.groups["two"]) == {} and kept.describe()["taskSets"] == []
