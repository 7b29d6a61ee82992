"""Tasks of services as targets of load balancers, with agents on real websockets.

Target groups, listeners and targets' health are written by hand; targets that drain go as load balancing lets them go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from dryport.control.context import Context, Room
from dryport.ecs import lifecycle
from dryport.ecs.model import TASKS, Task
from dryport.elb import published as elb
from dryport.elb.controllers import Drains
from dryport.elb.model import LISTENERS, TARGET_GROUPS, TARGETS, HealthCheck, Listener, Target, TargetGroup
from tests.ecs.control.plane import DEMO, Plane
from tests.ecs.control.simulated import SimulatedAgent

PREFIX = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
BALANCER = f"{PREFIX}:loadbalancer/app/front/0123456789abcdef"
CONTAINER = {"name": "main", "image": "busybox", "memory": 16, "portMappings": [{"containerPort": 80}]}
STEADY = "(service web) has reached a steady state."


class World:
    """A plane with an instance's agent, and target groups that a listener forwards to."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.host: SimulatedAgent

    async def begin(self) -> None:
        self.host = SimulatedAgent(self.plane, "demo")
        self.instance_id = (await self._boot(self.host))["ec2InstanceId"]
        await self.define()

    async def _boot(self, agent: SimulatedAgent) -> dict[str, Any]:
        made = await agent.register(**await self.plane.ec2_instance())
        await agent.connect(send_credentials=True)
        return made

    async def define(self, family: str = "web", **more: Any) -> None:
        await self.plane.api("register_task_definition", family=family, containerDefinitions=[CONTAINER], **more)

    async def group(self, name: str = "web", *, kind: str = "instance", delay: int = 0, used: bool = True) -> str:
        arn = f"{PREFIX}:targetgroup/{name}/0123456789abcdef"
        group = TargetGroup(
            arn=arn, name=name, account="000000000000", region="us-east-1", target_type=kind, protocol="HTTP",
            port=80, vpc_id=self.plane.subnets()[0].vpc_id, health_check=HealthCheck(protocol="HTTP", path="/"),
            created_at=0.0, attributes={"deregistration_delay.timeout_seconds": str(delay)},
        )  # fmt: skip
        action = {"Type": "forward", "TargetGroupArn": arn}
        listener = Listener(
            arn=f"{PREFIX}:listener/app/front/0123456789abcdef/{name}",
            load_balancer=BALANCER,
            protocol="HTTP",
            port=80,
            actions=[action],
        )

        def work(tx: Any) -> None:
            tx.put(TARGET_GROUPS, group)
            if used:
                tx.put(LISTENERS, listener)

        await self.plane.store.transact(work)
        return arn

    async def create(self, *groups: str, desired: int = 2, **more: Any) -> dict[str, Any]:
        request = {"cluster": "demo", "serviceName": "web", "taskDefinition": "web", "desiredCount": desired, **more}
        given = [{"targetGroupArn": each, "containerName": "main", "containerPort": 80} for each in groups]
        made: dict[str, Any] = await self.plane.api("create_service", **{"loadBalancers": given, **request})
        found: dict[str, Any] = made["service"]
        return found

    async def update(self, **request: Any) -> dict[str, Any]:
        changed: dict[str, Any] = await self.plane.api("update_service", cluster="demo", service="web", **request)
        found: dict[str, Any] = changed["service"]
        return found

    async def service(self) -> dict[str, Any]:
        described: dict[str, Any] = await self.plane.api("describe_services", cluster="demo", services=["web"])
        found: dict[str, Any] = described["services"][0]
        return found

    async def messages(self) -> list[str]:
        return [each["message"] for each in reversed((await self.service())["events"])]

    async def said(self, words: str) -> list[str]:
        """What has been said, once one of it contains these words."""
        for _ in range(1000):
            self.plane.check()
            found = await self.messages()
            if any(words in each for each in found):
                return found
        raise AssertionError(f"never said: {words}; but {found}")

    def tasks(self, **members: Any) -> list[Task]:
        found = self.plane.store.reader.find(TASKS, "service", f"{DEMO}/service:web")
        return [task for task in found if all(getattr(task, name) == value for name, value in members.items())]

    def targets(self, group: str) -> list[Target]:
        return self.plane.store.reader.find(TARGETS, "group", group)

    def states(self, group: str) -> list[str]:
        return sorted(each.state for each in self.targets(group))

    async def find(
        self, state: str, *groups: str, only: Callable[[Target], bool] = lambda _: True, why: str = ""
    ) -> None:
        """Have load balancing find targets that do not drain in a state."""

        def work(tx: Any) -> None:
            for group in groups:
                for each in tx.find(TARGETS, "group", group):
                    if each.state != "draining" and only(each):
                        tx.put(TARGETS, replace(each, state=state, reason="", description=why))

        await self.plane.store.transact(work)

    async def registered(self, group: str, count: int) -> list[Target]:
        def there() -> bool:
            return self.states(group).count("initial") == count

        await self.plane.until(there, f"{count} targets are new in {group}; now {self.states(group)}")
        return self.targets(group)

    async def steady(self, *groups: str, desired: int = 2) -> None:
        """A service whose tasks are all led to."""
        await self.create(*groups, desired=desired)
        for group in groups:
            await self.registered(group, desired)
        await self.find("healthy", *groups)
        await self.said(STEADY)

    def stops(self, arn: str) -> int:
        payloads = self.host.of_type("PayloadMessage")
        return sum(t["arn"] == arn and t["desiredStatus"] == "STOPPED" for each in payloads for t in each["tasks"])


def drains(context: Context) -> Room:
    """Of load balancing, what lets targets go."""
    return Room(loops=[Drains(context.store, context.clock)])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    plane = await Plane(tmp_path, rooms=[drains]).start()
    made = World(plane)
    await made.begin()
    yield made
    await made.host.close()
    await plane.stop()


async def test_copies_on_one_instance_are_targets_at_the_ports_that_they_were_given(world: World) -> None:
    group = await world.group()
    made = await world.create(group)
    balancer = {"targetGroupArn": group, "containerName": "main", "containerPort": 80}
    assert made["loadBalancers"] == [balancer]
    targets = await world.registered(group, 2)
    assert {(each.id, each.port) for each in targets} == {(world.instance_id, 32_768), (world.instance_id, 32_769)}
    assert {task.last_status for task in world.tasks()} == {"RUNNING"}
    bound = {binding["hostPort"] for t in world.tasks() for c in t.containers for binding in c.network_bindings}
    assert bound == {32_768, 32_769}
    revision = await world.plane.api(
        "describe_service_revisions", serviceRevisionArns=[made["currentServiceRevisions"][0]["arn"]]
    )
    assert revision["serviceRevisions"][0]["loadBalancers"] == [balancer]


async def test_a_task_runs_once_it_is_registered_which_its_ports_have_to_be_known_for(world: World) -> None:
    group = await world.group()
    world.host.obedient = False
    await world.create(group, desired=1)
    await world.plane.until(lambda: world.host.tasks, "a task came")
    arn = next(iter(world.host.tasks))
    await world.host.report(arn, "RUNNING", containers=[{"containerName": "main", "status": "RUNNING"}])
    await asyncio.sleep(0.3)
    assert world.plane.task(arn).last_status == "ACTIVATING" and not world.targets(group)
    service = await world.service()
    assert (service["runningCount"], service["pendingCount"]) == (0, 1)
    bindings = [{"containerPort": 80, "hostPort": 40_000, "bindIP": "0.0.0.0", "protocol": "tcp"}]
    await world.host.call(
        "SubmitContainerStateChange", cluster="demo", task=arn, containerName="main", status="RUNNING",
        networkBindings=bindings,
    )  # fmt: skip
    task = await world.plane.until_status(arn, "RUNNING")
    assert task.started_at is not None and [each.port for each in world.targets(group)] == [40_000]


async def test_a_service_is_steady_once_every_target_is_healthy_in_every_group(world: World) -> None:
    first, second = await world.group("first"), await world.group("second")
    await world.create(first, second)
    await world.registered(first, 2)
    await world.registered(second, 2)
    await world.find("healthy", first)
    await asyncio.sleep(0.3)
    service = await world.service()
    assert service["runningCount"] == 2 and service["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert STEADY not in await world.messages()
    await world.find("healthy", second)
    said = await world.said(STEADY)
    counted = [each for each in said if " registered " in each]
    assert sum(int(each.split()[3]) for each in counted if first in each) == 2
    assert all(each.startswith("(service web) registered ") for each in counted)
    assert all(each.endswith((f" targets in (target-group {first})", f"(target-group {second})")) for each in counted)


async def test_old_tasks_go_as_new_ones_are_healthy_and_end_once_they_have_drained(world: World) -> None:
    group = await world.group(delay=1)
    await world.steady(group)
    old = {task.arn for task in world.tasks()}
    await world.update(forceNewDeployment=True)
    fresh = await world.registered(group, 2)
    await asyncio.sleep(0.3)
    assert {task.arn for task in world.tasks(desired_status="RUNNING")} > old
    await world.find("healthy", group, only=lambda each: each.key == next(t.key for t in fresh if t.state == "initial"))
    await world.plane.until(lambda: world.states(group) == ["draining", "healthy", "healthy", "initial"], "one drains")
    leaving = world.tasks(desired_status="STOPPED")
    assert len(leaving) == 1 and leaving[0].arn in old and leaving[0].last_status == "DEACTIVATING"
    assert not world.stops(leaving[0].arn)
    await world.find("healthy", group)
    await world.plane.until(lambda: world.stops(leaving[0].arn), "its agent is told")
    gone = leaving[0].targets[0]
    assert elb.target(world.plane.store.reader, group, gone.id, gone.port) is None
    said = await world.said("deployment completed")
    deployment = leaving[0].started_by
    assert f"(service web) deregistered 1 targets in (target-group {group})" in said
    assert f"(service web, taskSet {deployment}) has begun draining connections on 1 tasks." in said
    await world.plane.until(lambda: len(world.targets(group)) == 2, "the old ones are gone")


async def test_a_task_that_fails_its_balancers_checks_is_replaced(world: World) -> None:
    group = await world.group()
    await world.steady(group)
    sick = world.targets(group)[0]
    await world.find("unhealthy", group, only=lambda each: each.key == sick.key, why="Request timed out")
    await world.plane.until(lambda: len(world.targets(group)) == 3, "another one comes first")
    await world.find("healthy", group, only=lambda each: each.state == "initial")
    said = await world.said("is unhealthy in")
    words = f"(service web) (instance {world.instance_id}) (port {sick.port}) is unhealthy in (target-group {group}) "
    assert words + "due to (reason Request timed out)" in said
    await world.plane.until(lambda: len(world.targets(group)) == 2, "it is no target any more")
    (task,) = [each for each in world.plane.store.reader.all(TASKS) if each.desired_status == "STOPPED"]
    assert task.stopped_reason == f"Task failed ELB health checks in (target-group {group})"
    assert task.stop_code == lifecycle.SERVICE_SCHEDULER_INITIATED


async def test_what_a_balancer_finds_within_the_grace_is_not_held_against_a_task(world: World) -> None:
    group = await world.group()
    await world.create(group, desired=1, healthCheckGracePeriodSeconds=3)
    await world.registered(group, 1)
    await world.find("unhealthy", group, why="Health checks failed")
    (task,) = world.tasks()
    await world.plane.until(lambda: len(world.tasks()) == 2, "after it another one comes", 10)
    assert world.plane.clock.time() - (task.started_at or 0.0) >= 3.0
    assert STEADY not in await world.messages()


async def test_a_deployment_whose_tasks_nobody_can_be_led_to_is_rolled_back(world: World) -> None:
    group = await world.group()
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    await world.create(group, desired=1, deploymentConfiguration=breaker)
    await world.registered(group, 1)
    await world.find("healthy", group)
    await world.said(STEADY)
    (old,) = world.tasks()
    await world.update(forceNewDeployment=True)

    async def fail() -> None:
        while True:
            await world.find("unhealthy", group, only=lambda each: each.state == "initial", why="Health checks failed")
            await asyncio.sleep(0.05)

    failing = asyncio.create_task(fail())
    try:
        said = await world.said("rolling back to deployment")
    finally:
        failing.cancel()
    assert any(each.endswith("deployment failed: tasks failed ELB health checks.") for each in said)
    assert world.plane.task(old.arn).desired_status == "RUNNING"
    await world.plane.until(lambda: [each.arn for each in world.tasks()] == [old.arn], "the old task alone is left")
    assert world.states(group) == ["healthy"]


async def test_a_balancer_that_checks_anew_makes_no_task_bad_that_has_served(world: World) -> None:
    group = await world.group()
    await world.steady(group)
    await world.update(forceNewDeployment=True)
    await world.registered(group, 2)
    old = {task.arn for task in world.tasks(served=True)}
    await world.find("initial", group)
    await asyncio.sleep(0.3)
    assert {task.arn for task in world.tasks(desired_status="RUNNING")} > old


async def test_a_group_that_is_deleted_takes_no_task_with_it(world: World) -> None:
    group = await world.group()
    await world.steady(group)

    def delete(tx: Any) -> None:
        for key in tx.keys(TARGETS, "group", group):
            tx.delete(TARGETS, key)
        tx.delete(TARGET_GROUPS, group)

    await world.plane.store.transact(delete)
    before = {task.arn for task in world.tasks()}
    await asyncio.sleep(0.3)
    assert {task.arn for task in world.tasks(desired_status="RUNNING")} == before
    await world.update(desiredCount=3)
    said = await world.said("failed to register targets")
    assert f"(service web) failed to register targets in (target-group {group}) with " in said[-1]
    assert said[-1].endswith(f"(error Target groups '{group}' not found)")


async def test_a_target_that_somebody_else_takes_away_is_a_task_that_nobody_finds(world: World) -> None:
    group = await world.group()
    await world.steady(group)
    first = world.targets(group)[0]
    await world.plane.store.transact(lambda tx: tx.delete(TARGETS, first.key))
    await world.registered(group, 1)
    await world.find("healthy", group)
    said = await world.said("is unhealthy in")
    assert any(each.endswith("(reason Target is not registered to the target group)") for each in said)


async def test_a_dead_task_is_no_target_for_long(world: World) -> None:
    group = await world.group(delay=1)
    await world.steady(group)
    (task, _) = world.tasks()
    await world.host.report(task.arn, "STOPPED")
    await world.plane.until(lambda: "draining" in world.states(group), "it drains")
    assert world.plane.task(task.arn).last_status == "STOPPED"
    await world.registered(group, 1)
    await world.find("healthy", group)
    await world.plane.until(lambda: world.states(group) == ["healthy", "healthy"], "it is gone, another one is there")


async def test_a_deleted_service_leaves_no_target(world: World) -> None:
    group = await world.group(delay=1)
    await world.steady(group)
    await world.plane.api("delete_service", cluster="demo", service="web", force=True)
    await world.plane.until(lambda: world.states(group) == ["draining", "draining"], "they drain")
    assert {task.last_status for task in world.tasks()} == {"DEACTIVATING"}
    await world.plane.until(lambda: not world.tasks() and not world.targets(group), "all is gone")
    assert (await world.service())["status"] == "INACTIVE"


async def test_killed_control_planes_register_once_and_leave_nothing(world: World) -> None:
    group = await world.group(delay=1)
    await world.create(group, desired=3)
    await world.plane.until(lambda: len(world.tasks(last_status="RUNNING")) > 0, "one runs")
    await world.plane.restart(kill=True)
    await world.host.disconnect()
    await world.host.connect()
    await world.registered(group, 3)
    await world.find("healthy", group)
    await world.said(STEADY)
    await world.update(desiredCount=0)
    await world.plane.until(lambda: "draining" in world.states(group), "some drain")
    await world.plane.restart(kill=True)
    await world.host.disconnect()
    await world.host.connect()
    await world.plane.until(lambda: not world.targets(group) and not world.tasks(), "nothing is left")
    said = await world.messages()
    counts = [sum(int(m.split()[3]) for m in said if f" {word} " in m) for word in ("registered", "deregistered")]
    assert counts == [3, 3]


async def test_an_update_changes_the_balancers_by_a_deployment(world: World) -> None:
    first, second = await world.group("first"), await world.group("second")
    await world.steady(first, desired=1)
    balancer = {"targetGroupArn": second, "containerName": "main", "containerPort": 80}
    changed = await world.update(loadBalancers=[balancer])
    assert changed["loadBalancers"] == [balancer] and len(changed["deployments"]) == 2
    await world.registered(second, 1)
    await world.find("healthy", second)
    await world.plane.until(lambda: not world.targets(first), "the old task is no target")
    changed = await world.update(loadBalancers=[])
    assert changed["loadBalancers"] == []
    await world.plane.until(lambda: not world.targets(second), "no task is a target")
    await world.plane.until(lambda: len(world.tasks(last_status="RUNNING")) == 1, "one runs")


async def test_a_fargate_task_is_a_target_by_its_own_address(world: World) -> None:
    group = await world.group(kind="ip")
    fargate = SimulatedAgent(world.plane)
    await fargate.register()
    await fargate.connect(send_credentials=True)
    roles = {"cpu": "256", "memory": "512", "requiresCompatibilities": ["FARGATE"]}
    await world.define("far", networkMode="awsvpc", **roles)
    network = {"awsvpcConfiguration": {"subnets": [world.plane.subnets()[0].id]}}
    await world.create(group, desired=1, taskDefinition="far", launchType="FARGATE", networkConfiguration=network)
    (target,) = await world.registered(group, 1)
    (task,) = world.tasks()
    address = next(d["value"] for d in task.attachments[0].details if d["name"] == "privateIPv4Address")
    assert (target.id, target.port) == (address, 80)
    await world.find("unhealthy", group, why="Health checks failed with these codes: [500]")
    await world.registered(group, 1)
    await world.find("healthy", group, only=lambda each: each.id != address)
    said = await world.said("is unhealthy in")
    words = f"(service web) (task {task.arn.rpartition('/')[2]}) (port 80) is unhealthy in (target-group {group})"
    assert f"{words} due to (reason Health checks failed with these codes: [500])" in said
    await fargate.close()


async def test_a_daemons_task_that_is_not_well_is_replaced(world: World) -> None:
    group = await world.group()
    balancer = {"targetGroupArn": group, "containerName": "main", "containerPort": 80}
    await world.plane.api(
        "create_service", cluster="demo", serviceName="web", taskDefinition="web", schedulingStrategy="DAEMON",
        loadBalancers=[balancer],
    )  # fmt: skip
    await world.registered(group, 1)
    await world.find("healthy", group)
    await world.said(STEADY)
    (task,) = world.tasks()
    await world.find("unhealthy", group, why="Health checks failed")
    await world.plane.until(lambda: world.plane.task(task.arn).last_status == "STOPPED", "it is stopped")
    await world.registered(group, 1)


@pytest.mark.parametrize(
    ("balancer", "words"),
    [
        ({"targetGroupArn": f"{PREFIX}:targetgroup/none/1"}, "validate the specified targetGroupArn"),
        (
            {"targetGroupArn": "web", "containerPort": 81},
            "The container main did not have a container port 81 defined.",
        ),
        ({"targetGroupArn": "web", "containerName": "x"}, "The container x does not exist in the task definition."),
        (
            {"targetGroupArn": "addresses"},
            "has target type ip, which is incompatible with the bridge network mode specified in the task definition.",
        ),
        ({"targetGroupArn": "idle"}, "does not have an associated load balancer."),
        ({"targetGroupArn": None}, "Either loadBalancerName or targetGroupArn must be specified"),
        (
            {"targetGroupArn": None, "loadBalancerName": "none"},
            "validate the listeners configured on your load balancer",
        ),
        ({"targetGroupArn": "web", "loadBalancerName": "none"}, "Only one of loadBalancerName and targetGroupArn"),
    ],
    ids=lambda each: str(each)[:40],
)
async def test_what_a_service_cannot_be_a_target_of(world: World, balancer: dict[str, Any], words: str) -> None:
    groups = {
        "web": await world.group(),
        "addresses": await world.group("addresses", kind="ip"),
        "idle": await world.group("idle", used=False),
    }
    given = {"containerName": "main", "containerPort": 80, **balancer}
    given["targetGroupArn"] = groups.get(given["targetGroupArn"], given["targetGroupArn"])
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(ClientError) as refused:
        await world.create(loadBalancers=[given])
    assert words in str(refused.value)
    assert refused.value.response["Error"]["Code"] in ("InvalidParameterException", "NotImplemented")


async def test_a_service_has_at_most_five_target_groups(world: World) -> None:
    groups = [await world.group(f"g{number}") for number in range(6)]
    with pytest.raises(ClientError, match=r"load balancers can have at most 5 items\."):
        await world.create(*groups)


async def test_a_new_definition_has_to_have_the_port(world: World) -> None:
    group = await world.group()
    await world.steady(group, desired=1)
    container = {**CONTAINER, "portMappings": []}
    await world.plane.api("register_task_definition", family="mute", containerDefinitions=[container])
    with pytest.raises(ClientError, match="did not have a container port 80 defined"):
        await world.update(taskDefinition="mute")
