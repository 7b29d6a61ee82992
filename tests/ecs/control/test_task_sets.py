"""Services whose deployments somebody else controls: their task sets, with agents on real websockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.ecs.model import TASKS, Task
from dryport.ecs.services.model import SERVICE_REVISIONS, SERVICES, TASK_SETS
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent
from tests.ecs.control.test_balancers import World, world  # noqa: F401

HERE = "arn:aws:ecs:us-east-1:000000000000"
WEB = {"cluster": "demo", "service": "web"}


class Sets:
    """A service with task sets, and its user."""

    def __init__(self, plane: Plane, host: SimulatedAgent) -> None:
        self.plane, self.host = plane, host

    async def define(self, family: str = "web", **more: Any) -> str:
        container = {"name": "main", "image": "busybox", "memory": 64}
        made = await self.plane.api("register_task_definition", family=family, containerDefinitions=[container], **more)
        arn: str = made["taskDefinition"]["taskDefinitionArn"]
        return arn

    async def service(self, desired: int = 2, **more: Any) -> dict[str, Any]:
        request = {"cluster": "demo", "serviceName": "web", "deploymentController": {"type": "EXTERNAL"}, **more}
        made: dict[str, Any] = (await self.plane.api("create_service", desiredCount=desired, **request))["service"]
        return made

    async def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.plane.api(operation, **WEB, **request))["taskSet"]
        return answer

    async def create(self, percent: float = 100.0, definition: str = "web", **more: Any) -> dict[str, Any]:
        return await self.ask("create_task_set", taskDefinition=definition, scale=_percent(percent), **more)

    async def scale(self, task_set: dict[str, Any], percent: float) -> dict[str, Any]:
        return await self.ask("update_task_set", taskSet=task_set["id"], scale=_percent(percent))

    async def describe(self, *identifiers: str, **more: Any) -> dict[str, dict[str, Any]]:
        """By their ids."""
        given = {"taskSets": list(identifiers)} if identifiers else {}
        answer = await self.plane.api("describe_task_sets", **WEB, **given, **more)
        return {each["id"]: each for each in answer["taskSets"]}

    async def until(self, condition: Callable[[dict[str, dict[str, Any]]], bool], what: str) -> dict[str, Any]:
        for _ in range(1000):
            self.plane.check()
            found = await self.describe()
            if condition(found):
                return found
        raise AssertionError(f"never came: {what}; {found}")

    async def steady(self, *task_sets: dict[str, Any]) -> dict[str, Any]:
        wanted = {each["id"] for each in task_sets}
        return await self.until(
            lambda found: {each for each in found if found[each]["stabilityStatus"] == "STEADY_STATE"} >= wanted,
            "steady",
        )

    async def shown(self) -> dict[str, Any]:
        answer = await self.plane.api("describe_services", cluster="demo", services=["web"])
        found: dict[str, Any] = answer["services"][0]
        return found

    async def messages(self) -> list[str]:
        return [each["message"] for each in reversed((await self.shown())["events"])]

    def tasks(self, task_set: dict[str, Any] | None = None) -> list[Task]:
        found = self.plane.store.reader.find(TASKS, "service", f"{HERE}:cluster/demo/service:web")
        found = [task for task in found if task.desired_status == "RUNNING"]
        return [task for task in found if task_set is None or task.started_by == task_set["id"]]

    async def refused(self, words: str, operation: str, **request: Any) -> str:
        with pytest.raises(ClientError) as error:
            await self.plane.api(operation, **request)
        assert words in error.value.response["Error"]["Message"]
        return str(error.value.response["Error"]["Code"])


def _percent(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "PERCENT"}


@pytest.fixture
async def sets(plane: Plane, agent: MakeAgent) -> Sets:
    made = Sets(plane, await agent("demo", **await plane.ec2_instance()))
    await made.define()
    return made


async def test_a_task_set_has_its_share_of_the_tasks_and_a_service_runs_what_its_primary_one_runs(sets: Sets) -> None:
    service = await sets.service(desired=3)
    assert service["deploymentController"] == {"type": "EXTERNAL"} and service["status"] == "ACTIVE"
    assert service["taskSets"] == service["deployments"] == service["events"] == []
    assert "taskDefinition" not in service and "currentServiceDeployment" not in service

    made = await sets.create(50.0, externalId="green")
    assert made["taskSetArn"] == f"{HERE}:task-set/demo/web/{made['id']}" and made["id"].startswith("ecs-svc/")
    assert made["serviceArn"] == service["serviceArn"] and made["clusterArn"] == service["clusterArn"]
    assert (made["status"], made["stabilityStatus"], made["scale"]) == ("ACTIVE", "STABILIZING", _percent(50.0))
    assert (made["computedDesiredCount"], made["runningCount"], made["pendingCount"]) == (0, 0, 0)
    assert (made["launchType"], made["externalId"]) == ("EC2", "green")
    assert made["loadBalancers"] == made["serviceRegistries"] == made["tags"] == []
    assert "startedBy" not in made

    steady = (await sets.steady(made))[made["id"]]
    assert (steady["computedDesiredCount"], steady["runningCount"], steady["pendingCount"]) == (2, 2, 0)
    assert steady["stabilityStatusAt"] > made["stabilityStatusAt"] and "tags" not in steady
    tasks = sets.tasks()
    assert {(task.started_by, task.group) for task in tasks} == {(made["id"], "service:web")}
    listed = await sets.plane.api("list_tasks", cluster="demo", startedBy=made["id"])
    assert sorted(listed["taskArns"]) == sorted(task.arn for task in tasks)
    ids = " ".join(f"(task {task.arn.rpartition('/')[2]})" for task in tasks)
    assert await sets.messages() == [
        f"(service web) updated computedDesiredCount for taskSet {made['id']} to 2.",
        f"(service web, taskSet {made['id']}) has started 2 tasks: {ids}.",
        f"(service web, taskSet {made['id']}) updated state to STEADY_STATE.",
        "(service web) has reached a steady state.",
    ]

    shown = await sets.shown()
    assert "taskDefinition" not in shown and shown["runningCount"] == 2 and len(shown["taskSets"]) == 1
    primary = await sets.ask("update_service_primary_task_set", primaryTaskSet=made["id"])
    assert primary["status"] == "PRIMARY"
    shown = await sets.shown()
    assert shown["taskDefinition"] == made["taskDefinition"] and shown["taskSets"][0]["status"] == "PRIMARY"
    explained = await sets.plane.api("list_services", cluster="demo", launchType="EC2")
    assert explained["serviceArns"] == [service["serviceArn"]]


async def test_tasks_move_from_one_task_set_to_another_and_the_first_is_deleted(sets: Sets) -> None:
    await sets.service(desired=2)
    blue = await sets.create()
    await sets.ask("update_service_primary_task_set", primaryTaskSet=blue["taskSetArn"])
    second = await sets.define()
    green = await sets.create(50.0, second)
    await sets.steady(blue, green)
    assert (len(sets.tasks(blue)), len(sets.tasks(green))) == (2, 1)
    assert {task.task_definition_arn for task in sets.tasks(green)} == {second}

    await sets.scale(green, 100.0)
    await sets.plane.api("update_service", cluster="demo", service="web", desiredCount=4)

    def counts(found: dict[str, dict[str, Any]]) -> list[int]:
        return [found[each["id"]]["runningCount"] for each in (blue, green)]

    await sets.until(lambda found: counts(found) == [4, 4], "four of each")
    await sets.ask("update_service_primary_task_set", primaryTaskSet=green["id"])
    found = await sets.describe()
    assert [found[each["id"]]["status"] for each in (blue, green)] == ["ACTIVE", "PRIMARY"]
    shown = await sets.shown()
    assert [each["id"] for each in shown["taskSets"]] == [green["id"], blue["id"]]
    assert shown["taskDefinition"] == second and shown["runningCount"] == 8

    name = {**WEB, "taskSet": blue["id"]}
    code = await sets.refused("cannot be deleted while it is scaled above 0", "delete_task_set", **name)
    assert code == "InvalidParameterException"
    await sets.scale(blue, 0.0)
    await sets.until(lambda found: counts(found) == [0, 4], "none of blue")
    gone = await sets.ask("delete_task_set", taskSet=blue["id"])
    assert (gone["status"], gone["computedDesiredCount"]) == ("DRAINING", 0)
    await sets.until(lambda found: blue["id"] not in found, "blue is gone")
    answer = await sets.plane.api("describe_task_sets", **WEB, taskSets=[blue["id"], green["id"]])
    assert [each["id"] for each in answer["taskSets"]] == [green["id"]]
    assert answer["failures"] == [{"arn": blue["taskSetArn"], "reason": "MISSING"}]
    code = await sets.refused("does not exist", "update_task_set", **name, scale=_percent(1.0))
    assert code == "TaskSetNotFoundException"

    await sets.refused("primary", "delete_task_set", **WEB, taskSet=green["id"])
    sets.host.obedient = False
    left = [task.arn for task in sets.tasks(green)]
    forced = await sets.ask("delete_task_set", taskSet=green["id"], force=True)
    assert (forced["status"], forced["scale"]) == ("DRAINING", _percent(0.0))
    assert "taskDefinition" not in await sets.shown()
    again = await sets.ask("delete_task_set", taskSet=green["id"], force=True)
    assert again["status"] == "DRAINING"
    await sets.refused("DRAINING", "update_task_set", **WEB, taskSet=green["id"], scale=_percent(5.0))
    for arn in left:
        await sets.plane.until_status(arn, "STOPPING")
        await sets.host.report(arn, "STOPPED")
    await sets.until(lambda found: not found, "green is gone")
    assert sets.tasks() == [] and list(sets.plane.store.reader.all(SERVICE_REVISIONS)) == []


async def test_a_task_set_that_fails_backs_off_and_the_other_goes_on(
    sets: Sets, plane: Plane, agent: MakeAgent
) -> None:
    await sets.service(desired=1)
    good = await sets.create()
    await sets.steady(good)
    other = [{"expression": "attribute:ecs.instance-type == t2.nano", "type": "memberOf"}]
    await sets.define("lone", placementConstraints=other)
    unplaced = await sets.create(100.0, "lone")
    await sets.until(lambda found: found[unplaced["id"]]["computedDesiredCount"] == 1, "one is wanted")
    await plane.until(lambda: _stored(plane).waiting, "it waits for an instance")
    assert any("was unable to place a task" in each for each in await sets.messages())
    await sets.ask("delete_task_set", taskSet=unplaced["id"], force=True)
    await sets.until(lambda found: list(found) == [good["id"]], "it is gone")
    await plane.until(lambda: not _stored(plane).waiting, "nothing waits")

    host = await _only(plane, agent, sets, good)
    bad = await sets.create()
    failed: set[str] = set()
    for _ in range(2):
        fresh = await plane.until(
            lambda: {task.arn for task in sets.tasks(bad)} & set(host.tasks) - failed, "a task to fail"
        )
        failed.update(fresh)
        await host.report(fresh.pop(), "STOPPED", reason="CannotPullContainerError: no")
    await plane.until(lambda: _deployment(plane, bad).failed_tasks == 2, "it is known")
    assert _deployment(plane, bad).retry_at > plane.clock.time() and sets.tasks(bad) == []
    assert any("is unable to consistently start tasks" in each for each in await sets.messages())
    assert _deployment(plane, good).failed_tasks == 0 and len(sets.tasks(good)) == 1


async def _only(plane: Plane, agent: MakeAgent, sets: Sets, good: dict[str, Any]) -> SimulatedAgent:
    """A second instance, which gets what is new: it reports nothing by itself."""
    first = sets.tasks(good)[0].instance_arn
    host = await agent("demo", obedient=False, **await plane.ec2_instance())
    await plane.api("put_attributes", cluster="demo", attributes=[
        {"name": "new", "value": "yes", "targetId": host.arn, "targetType": "container-instance"}
    ])  # fmt: skip
    constraint = [{"type": "memberOf", "expression": "attribute:new exists"}]
    await plane.api("update_service", cluster="demo", service="web", placementConstraints=constraint)
    assert sets.tasks(good)[0].instance_arn == first, "what runs stays"
    return host


def _stored(plane: Plane) -> Any:
    return plane.store.reader.get(SERVICES, f"{HERE}:service/demo/web")


def _deployment(plane: Plane, task_set: dict[str, Any]) -> Any:
    return next(each for each in _stored(plane).deployments if each.id == task_set["id"])


async def test_it_all_comes_after_the_control_plane_was_killed(sets: Sets, plane: Plane) -> None:
    await sets.service(desired=4)
    blue, green = await sets.create(75.0), await sets.create(25.0)
    await plane.restart(kill=True)
    await sets.host.disconnect()
    await sets.host.connect(send_credentials=True)
    found = await sets.steady(blue, green)
    assert [found[each["id"]]["runningCount"] for each in (blue, green)] == [3, 1]
    await sets.scale(blue, 25.0)
    await sets.ask("delete_task_set", taskSet=green["id"], force=True)
    await plane.restart(kill=True)
    await sets.host.disconnect()
    await sets.host.connect(send_credentials=True)
    await sets.until(lambda found: [each["runningCount"] for each in found.values()] == [1], "one of blue is left")


async def test_a_deleted_service_takes_its_task_sets_along(sets: Sets, plane: Plane) -> None:
    await sets.service(desired=0)
    await sets.create(0.0)
    await sets.refused("while deployments are active", "delete_service", **WEB)
    await plane.api("update_service", **WEB, desiredCount=2)
    await sets.refused("scaled above 0", "delete_service", **WEB)
    answer = (await plane.api("delete_service", **WEB, force=True))["service"]
    assert answer["status"] == "DRAINING" and [each["status"] for each in answer["taskSets"]] == ["DRAINING"]
    await plane.until(lambda: _stored(plane).status == "INACTIVE", "it is gone")
    assert (await sets.shown())["taskSets"] == [] and list(plane.store.reader.all(TASK_SETS)) == []
    assert await sets.refused("not ACTIVE", "describe_task_sets", **WEB) == "ServiceNotActiveException"
    again = await sets.service(desired=1)
    assert again["status"] == "ACTIVE" and again["taskSets"] == []


async def test_the_same_request_makes_one_task_set_and_there_are_five(sets: Sets) -> None:
    await sets.service(desired=0)
    first = await sets.create(clientToken="one")
    assert (await sets.create(clientToken="one"))["id"] == first["id"]
    request = {**WEB, "taskDefinition": "web"}
    await sets.refused("not idempotent", "create_task_set", **request, clientToken="one")
    for _ in range(4):
        await sets.create()
    code = await sets.refused(
        "5 deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit.",
        "create_task_set",
        **request,
    )
    assert code == "InvalidParameterException"


async def test_tags(sets: Sets) -> None:
    await sets.service(desired=0)
    tags = [{"key": "a", "value": "1"}]
    made = await sets.create(tags=tags)
    assert made["tags"] == tags
    assert "tags" not in (await sets.describe(made["id"]))[made["id"]]
    await sets.plane.api("tag_resource", resourceArn=made["taskSetArn"], tags=[{"key": "b", "value": "2"}])
    shown = (await sets.describe(made["taskSetArn"], include=["TAGS"]))[made["id"]]
    assert shown["tags"] == [*tags, {"key": "b", "value": "2"}]


async def test_task_sets_on_fargate_by_capacity_providers(sets: Sets, plane: Plane, agent: MakeAgent) -> None:
    """With a network each; the service is said to have the primary one's."""
    await agent()
    providers = ["FARGATE", "FARGATE_SPOT"]
    await plane.api("put_cluster_capacity_providers", cluster="demo", capacityProviders=providers,
                    defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}])  # fmt: skip
    fargate = {"networkMode": "awsvpc", "cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"]}
    await sets.define("far", **fargate)
    subnets = [subnet.id for subnet in plane.subnets()]
    tags = [{"key": "team", "value": "a"}]
    await sets.service(desired=2, propagateTags="SERVICE", enableECSManagedTags=True, tags=tags)
    on_demand = [{"capacityProvider": "FARGATE", "base": 0, "weight": 1}]
    blue = await sets.create(
        100.0, "far", networkConfiguration={"awsvpcConfiguration": {"subnets": subnets[:1]}},
        capacityProviderStrategy=on_demand, platformVersion="1.4.0",
    )  # fmt: skip
    green = await sets.create(50.0, "far", networkConfiguration={"awsvpcConfiguration": {"subnets": subnets[1:2]}})
    assert "launchType" not in blue and blue["capacityProviderStrategy"] == on_demand
    assert (blue["platformVersion"], green["platformVersion"], blue["platformFamily"]) == ("1.4.0", "LATEST", "Linux")
    await sets.steady(blue, green)
    assert [task.capacity_provider for task in sets.tasks(blue)] == ["FARGATE"] * 2
    assert [task.capacity_provider for task in sets.tasks(green)] == ["FARGATE_SPOT"]
    zones = [subnet.availability_zone for subnet in plane.subnets()]
    assert {task.availability_zone for task in sets.tasks(blue)} == {zones[0]}
    assert {task.availability_zone for task in sets.tasks(green)} == {zones[1]}
    managed = [
        {"key": f"aws:ecs:{name}Name", "value": value} for name, value in (("cluster", "demo"), ("service", "web"))
    ]
    assert sets.tasks(green)[0].tags == [*managed, *tags]
    await sets.ask("update_service_primary_task_set", primaryTaskSet=green["id"])
    shown = await sets.shown()
    assert shown["networkConfiguration"] == green["networkConfiguration"]
    assert shown["capacityProviderStrategy"] == green["capacityProviderStrategy"] and "launchType" not in shown


async def test_a_protected_task_stays_until_its_protection_is_gone(sets: Sets, plane: Plane) -> None:
    await sets.service(desired=2)
    made = await sets.create()
    await sets.steady(made)
    kept = sets.tasks()[0].arn
    await plane.api("update_task_protection", cluster="demo", tasks=[kept], protectionEnabled=True)
    await sets.scale(made, 0.0)
    await plane.until(lambda: [task.arn for task in sets.tasks()] == [kept], "the other one goes")
    await plane.api("update_task_protection", cluster="demo", tasks=[kept], protectionEnabled=False)
    await plane.until(lambda: not sets.tasks(), "it goes too")


async def test_without_a_scale_a_task_set_has_no_tasks(sets: Sets) -> None:
    await sets.service(desired=2)
    made = await sets.ask("create_task_set", taskDefinition="web")
    assert made["scale"] == _percent(0.0)
    await sets.steady(made)
    assert sets.tasks() == []


async def test_what_a_service_may_not_have(sets: Sets, plane: Plane) -> None:
    awsvpc = {"awsvpcConfiguration": {"subnets": [plane.subnets()[0].id]}}
    group = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/a/0123456789abcdef"
    balancer = [{"targetGroupArn": group, "containerName": "main", "containerPort": 80}]
    service = {"cluster": "demo", "serviceName": "web", "deploymentController": {"type": "EXTERNAL"}}
    creations: dict[str, dict[str, Any]] = {
        "TaskDefinition must be blank.": {"taskDefinition": "web"},
        "LaunchType must be blank.": {"launchType": "EC2"},
        "PlatformVersion must be blank.": {"platformVersion": "LATEST"},
        "NetworkConfiguration must be null.": {"networkConfiguration": awsvpc},
        "LoadBalancers must be empty or null.": {"loadBalancers": balancer},
        "ServiceRegistries must be empty or null.": {"serviceRegistries": [{"registryArn": "arn:a"}]},
        "no load balancers were present": {"role": "some"},
        "daemon scheduling strategy": {"schedulingStrategy": "DAEMON"},
        "Availability Zone rebalancing": {"availabilityZoneRebalancing": "ENABLED"},
        "DeploymentCircuitBreaker": {
            "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
        },
        "alarms": {"deploymentConfiguration": {"alarms": {"alarmNames": ["a"], "enable": True, "rollback": False}}},
    }
    for words, more in creations.items():
        assert await sets.refused(words, "create_service", **service, **more) == "InvalidParameterException"
    made = await plane.api("create_service", **service, loadBalancers=[], clientToken="one")
    assert made["service"]["desiredCount"] == 0
    same = await plane.api("create_service", **service, loadBalancers=[], clientToken="one")
    assert same["service"]["createdAt"] == made["service"]["createdAt"]

    updates: dict[str, dict[str, Any]] = {
        "Unable to update task definition on services with a EXTERNAL deployment controller.": {
            "taskDefinition": "web"
        },
        "Unable to update network parameters": {"networkConfiguration": awsvpc},
        "Unable to update load balancers": {"loadBalancers": balancer},
        "Unable to update platform version": {"platformVersion": "LATEST"},
        "Unable to update deployment configuration": {"deploymentConfiguration": {"maximumPercent": 150}},
        "Cannot force a new deployment": {"forceNewDeployment": True},
        "deployment controllers of services": {"deploymentController": {"type": "ECS"}},
    }
    for words, more in updates.items():
        await sets.refused(words, "update_service", **WEB, **more)
    changed = {
        "desiredCount": 1, "healthCheckGracePeriodSeconds": 7, "propagateTags": "SERVICE", "enableECSManagedTags": True,
        "placementStrategy": [{"type": "random"}],
    }  # fmt: skip
    updated = (await plane.api("update_service", **WEB, **changed))["service"]
    assert {name: updated[name] for name in changed} == changed


async def test_what_a_task_set_may_not_have(sets: Sets, plane: Plane) -> None:
    group = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/a/0123456789abcdef"
    balancer = {"targetGroupArn": group, "containerName": "main", "containerPort": 80}
    classic = {"loadBalancerName": "a", "containerName": "main", "containerPort": 80}
    request = {**WEB, "taskDefinition": "web"}
    assert await sets.refused("not found", "create_task_set", **request) == "ServiceNotFoundException"
    await sets.service(desired=0)
    cases: dict[str, dict[str, Any]] = {
        "between 0 and 100": {"scale": _percent(100.5)},
        "Multiple target groups": {"loadBalancers": [balancer, balancer]},
        "Classic Load Balancers": {"loadBalancers": [classic]},
        "TaskDefinition not found.": {"taskDefinition": "nothing"},
        "both a launch type and capacity provider": {
            "launchType": "EC2",
            "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}],
        },
    }
    for words, more in cases.items():
        await sets.refused(words, "create_task_set", **{**request, **more})
    await plane.api("create_service", cluster="demo", serviceName="own", taskDefinition="web", desiredCount=0)
    await sets.refused(
        "Amazon ECS only supports task set management on services configured to use external deployment controllers.",
        "create_task_set",
        **{**request, "service": "own"},
    )


async def test_a_task_set_is_steady_once_its_targets_are_healthy(world: World) -> None:  # noqa: F811
    sets = Sets(world.plane, world.host)
    await sets.service(desired=1)
    groups = [await world.group(name) for name in ("blue", "green")]
    made = [
        await sets.create(loadBalancers=[{"targetGroupArn": each, "containerName": "main", "containerPort": 80}])
        for each in groups
    ]
    for task_set, group in zip(made, groups, strict=True):
        assert task_set["loadBalancers"][0]["targetGroupArn"] == group
        await world.registered(group, 1)
    await world.find("healthy", groups[0])
    found = await sets.steady(made[0])
    assert found[made[1]["id"]]["stabilityStatus"] == "STABILIZING"
    assert "(service web) has reached a steady state." not in await sets.messages()
    await world.find("healthy", groups[1])
    await sets.steady(*made)
    await sets.ask("update_service_primary_task_set", primaryTaskSet=made[0]["id"])
    assert (await sets.shown())["loadBalancers"] == made[0]["loadBalancers"]
    await world.find("unhealthy", groups[1], why="Health checks failed")
    await sets.until(lambda found: found[made[1]["id"]]["stabilityStatus"] == "STABILIZING", "not steady")
    sick = sets.tasks(made[1])[0].arn
    await world.registered(groups[1], 1)
    assert len(sets.tasks(made[1])) == 2, "another one comes first"
    await world.find("healthy", groups[1], only=lambda target: target.state == "initial")
    await world.plane.until(lambda: sick not in {task.arn for task in sets.tasks(made[1])}, "the sick one goes")
    await sets.steady(*made)
    assert len(sets.tasks(made[0])) == 1
