"""When a rolling deployment has failed, or is done, by thresholds and criteria of its own."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.ecs.model import TASKS, Task
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent

GROUP = "arn:aws:ecs:us-east-1:000000000000:cluster/demo/service:web"
DEMO = {"cluster": "demo", "service": "web"}
ENABLED = {"enable": True, "rollback": False}


class World:
    """A service of four tasks on an agent that starts what it is told, or only what the test says."""

    def __init__(self, plane: Plane, host: SimulatedAgent) -> None:
        self.plane, self.host = plane, host
        self._revision = 0

    async def define(self) -> str:
        self._revision += 1
        container = {"name": "main", "image": f"web:{self._revision}", "memory": 64}
        made = await self.plane.api("register_task_definition", family="web", containerDefinitions=[container])
        return str(made["taskDefinition"]["taskDefinitionArn"])

    async def create(self, **configuration: Any) -> None:
        definition = await self.define()
        await self.plane.api(
            "create_service",
            cluster="demo",
            serviceName="web",
            taskDefinition=definition,
            desiredCount=4,
            deploymentConfiguration=configuration,
        )

    async def update(self) -> str:
        """Begin a deployment, whose tasks wait for the test; its id."""
        self.host.obedient = False
        made = await self.plane.api("update_service", **DEMO, taskDefinition=await self.define())
        return str(made["service"]["deployments"][0]["id"])

    def tasks(self, deployment: str = "") -> list[Task]:
        found = self.plane.store.reader.find(TASKS, "service", GROUP)
        return [t for t in found if t.desired_status == "RUNNING" and (not deployment or t.started_by == deployment)]

    async def some(self, deployment: str, count: int) -> list[str]:
        """So many of a deployment's tasks that the agent has and that do not run, once they are there."""

        def found() -> list[str]:
            waiting = [t.arn for t in self.tasks(deployment) if t.arn in self.host.tasks and t.last_status == "PENDING"]
            return waiting[:count] if len(waiting) >= count else []

        return await self.plane.until(found, f"{count} tasks of {deployment}", seconds=60)

    async def run(self, deployment: str, count: int) -> None:
        for arn in await self.some(deployment, count):
            await self.host.report(arn, "RUNNING")

    async def fail(self, deployment: str) -> None:
        arn = (await self.some(deployment, 1))[0]
        await self.host.report(arn, "STOPPED", reason="CannotPullContainerError: no")

    async def stop(self, deployment: str) -> None:
        """All of a deployment's tasks are to be stopped, and then are."""
        await self.plane.until(lambda: not self.tasks(deployment), "tasks to be stopped")
        for task in self.plane.store.reader.find(TASKS, "service", GROUP):
            if task.started_by == deployment and task.last_status != "STOPPED":
                await self.host.report(task.arn, "STOPPED")

    async def service(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.plane.api("describe_services", cluster="demo", services=["web"]))[
            "services"
        ][0]
        return found

    async def until(self, state: str) -> dict[str, Any]:
        """The service, once its primary deployment is in a state."""
        for _ in range(1000):
            self.plane.check()
            service = await self.service()
            if service["deployments"][0]["rolloutState"] == state:
                return service
        raise AssertionError(service)

    async def recorded(self) -> dict[str, Any]:
        """What is remembered of the latest deployment."""
        listed = (await self.plane.api("list_service_deployments", **DEMO))["serviceDeployments"]
        latest = max(listed, key=lambda each: each["createdAt"])["serviceDeploymentArn"]
        described = await self.plane.api("describe_service_deployments", serviceDeploymentArns=[latest])
        found: dict[str, Any] = described["serviceDeployments"][0]
        return found


@pytest.fixture
async def world(plane: Plane, agent: MakeAgent) -> World:
    return World(plane, await agent("demo", **await plane.ec2_instance("us-east-1a")))


async def test_a_threshold_of_one(world: World) -> None:
    breaker = {**ENABLED, "thresholdConfiguration": {"type": "COUNT", "value": 1}}
    await world.create(deploymentCircuitBreaker=breaker)
    await world.until("COMPLETED")
    assert (await world.service())["deploymentConfiguration"]["deploymentCircuitBreaker"] == breaker
    begun = await world.update()
    await world.fail(begun)
    await world.until("FAILED")
    assert (await world.recorded())["deploymentCircuitBreaker"] == {
        "status": "TRIGGERED",
        "failureCount": 1,
        "threshold": 1,
    }


@pytest.mark.parametrize("resets", [True, False])
async def test_failures_count_from_the_last_healthy_task_or_all_of_them(world: World, resets: bool) -> None:
    threshold = {"type": "UNBOUNDED_PERCENT", "value": 50}
    await world.create(
        deploymentCircuitBreaker={**ENABLED, "resetOnHealthyTask": resets, "thresholdConfiguration": threshold}
    )
    old = (await world.until("COMPLETED"))["deployments"][0]["id"]
    begun = await world.update()
    await world.fail(begun)
    await world.run(begun, 1)
    await world.plane.until(lambda: any(t.last_status == "RUNNING" for t in world.tasks(begun)), "one that runs")
    await world.fail(begun)
    if resets:
        await world.run(begun, 3)
        await world.stop(old)
        await world.until("COMPLETED")
        assert (await world.recorded())["deploymentCircuitBreaker"]["failureCount"] == 0
    else:
        await world.until("FAILED")
        assert (await world.recorded())["deploymentCircuitBreaker"]["failureCount"] == 2


async def test_done_with_half_of_the_tasks_and_the_old_ones_gone(world: World) -> None:
    criteria = {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": "BLOCKING"}
    await world.create(earlySuccessCriteria=criteria, minimumHealthyPercent=50)
    old = (await world.until("COMPLETED"))["deployments"][0]["id"]
    await world.plane.until(lambda: len(world.tasks(old)) == 4, "all four, whoever was enough")
    begun = await world.update()
    await world.run(begun, 2)
    await world.plane.until(lambda: not world.tasks(old), "the old ones to be stopped")
    assert (await world.service())["deployments"][0]["rolloutState"] == "IN_PROGRESS", "they still run"
    await world.stop(old)
    service = await world.until("COMPLETED")
    assert [each["id"] for each in service["deployments"]] == [begun]
    assert (service["runningCount"], service["pendingCount"]) == (2, 2)
    assert (await world.recorded())["status"] == "SUCCESSFUL"
    assert not service["events"][0]["message"].endswith("has reached a steady state.")
    await world.run(begun, 2)
    await world.plane.until(lambda: all(t.last_status == "RUNNING" for t in world.tasks()), "the rest")


async def test_done_before_the_old_ones_are_gone(world: World) -> None:
    criteria = {"enable": True, "healthyPercent": 75, "sourceServiceRevisionCleanup": "DEFERRED"}
    await world.create(earlySuccessCriteria=criteria, minimumHealthyPercent=50)
    old = (await world.until("COMPLETED"))["deployments"][0]["id"]
    await world.plane.until(lambda: [t.last_status for t in world.tasks(old)] == ["RUNNING"] * 4, "all four")
    begun = await world.update()
    await world.run(begun, 3)
    service = await world.until("COMPLETED")
    assert [each["id"] for each in service["deployments"]] == [begun, old], "these are still there"
    assert (await world.recorded())["status"] == "SUCCESSFUL"
    await world.plane.until(lambda: not world.tasks(old), "the old ones to be stopped")
    assert len(world.tasks(begun)) == 4


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"earlySuccessCriteria": {"enable": True, "healthyPercent": 100}}, "sourceServiceRevisionCleanup must be"),
        (
            {"earlySuccessCriteria": {"enable": True, "sourceServiceRevisionCleanup": "BLOCKING"}},
            "healthyPercent must be",
        ),
        (
            {
                "earlySuccessCriteria": {
                    "enable": True,
                    "healthyPercent": 60,
                    "sourceServiceRevisionCleanup": "BLOCKING",
                },
                "minimumHealthyPercent": 70,
            },
            r"between the minimumHealthyPercent \(70\) and 100",
        ),
        (
            {"deploymentCircuitBreaker": {**ENABLED, "thresholdConfiguration": {"type": "COUNT", "value": 0}}},
            "thresholdConfiguration must be 1 or more",
        ),
        (
            {"deploymentCircuitBreaker": {**ENABLED, "thresholdConfiguration": {"type": "SOME", "value": 1}}},
            "thresholdConfiguration",
        ),
    ],
)
async def test_what_is_refused(world: World, configuration: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said) as raised:
        await world.create(**configuration)
    assert raised.value.response["Error"]["Code"] == "InvalidParameterException"
