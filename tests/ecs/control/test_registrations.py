"""Tasks as instances of Cloud Map's, with agents on real websockets and name servers that may be away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dryport.ecs.model import Task
from dryport.servicediscovery.model import INSTANCES
from dryport.servicediscovery.room import room_on
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent
from tests.servicediscovery.conftest import Driver

BINDINGS = [{"containerPort": 80, "hostPort": 32_768, "bindIP": "0.0.0.0", "protocol": "tcp"}]


class World:
    """A plane with Cloud Map, an instance's agent, and a service of bridge tasks that has an SRV registry."""

    def __init__(self, plane: Plane, driver: Driver) -> None:
        self.plane, self.driver = plane, driver
        self.cloudmap = boto3.client(
            "servicediscovery",
            endpoint_url=plane.endpoint,
            region_name="us-east-1",
            aws_access_key_id=plane.key.access_key_id,
            aws_secret_access_key=plane.key.secret_access_key,
        )
        self.host: SimulatedAgent
        self.registry: dict[str, Any]

    async def call(self, operation: str, **request: Any) -> Any:
        return await asyncio.to_thread(getattr(self.cloudmap, operation), **request)

    async def begin(self) -> None:
        self.host = SimulatedAgent(self.plane, "demo", obedient=False)
        await self.host.register(**await self.plane.ec2_instance())
        await self.host.connect()
        vpc_id = self.plane.subnets()[0].vpc_id
        made = await self.call("create_private_dns_namespace", Name="sim.test", Vpc=vpc_id)
        while True:
            found = (await self.call("get_operation", OperationId=made["OperationId"]))["Operation"]
            if found["Status"] == "SUCCESS":
                break
        records = {"DnsRecords": [{"Type": "SRV", "TTL": 1}]}
        answer = await self.call(
            "create_service", Name="web", NamespaceId=found["Targets"]["NAMESPACE"], DnsConfig=records
        )
        self.registry = answer["Service"]
        container = {"name": "main", "image": "busybox", "memory": 64, "portMappings": [{"containerPort": 80}]}
        await self.plane.api("register_task_definition", family="web", containerDefinitions=[container])

    async def create(self, **registry: Any) -> dict[str, Any]:
        given = {"registryArn": self.registry["Arn"], "containerName": "main", "containerPort": 80, **registry}
        given = {name: value for name, value in given.items() if value is not None}
        request = {"cluster": "demo", "serviceName": "web", "taskDefinition": "web", "desiredCount": 1}
        made: dict[str, Any] = (await self.plane.api("create_service", **request, serviceRegistries=[given]))["service"]
        return made

    async def running(self) -> Task:
        """The service's task, once its agent has reported its ports."""
        plane = self.plane
        await plane.until(lambda: self.host.tasks, "a task came")
        arn = next(iter(self.host.tasks))
        containers = [{"containerName": "main", "status": "RUNNING", "runtimeId": "run", "networkBindings": BINDINGS}]
        await self.host.report(arn, "RUNNING", containers=containers)
        await plane.until(lambda: plane.task(arn).registration == "registered", "it is registered")
        return plane.task(arn)

    def instances(self) -> dict[str, dict[str, str]]:
        found = self.plane.store.reader.find(INSTANCES, "service", self.registry["Id"])
        return {each.id: each.attributes for each in found}

    def stops(self, arn: str) -> int:
        payloads = self.host.of_type("PayloadMessage")
        return sum(t["arn"] == arn and t["desiredStatus"] == "STOPPED" for each in payloads for t in each["tasks"])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    driver = Driver()
    plane = await Plane(tmp_path, rooms=[lambda context: room_on(context, driver)]).start()
    made = World(plane, driver)
    await made.begin()
    yield made
    await made.host.close()
    await plane.stop()


async def test_a_bridge_task_is_found_at_its_instances_address_and_the_port_it_was_given(world: World) -> None:
    await world.create()
    task = await world.running()
    task_id = task.arn.rpartition("/")[2]
    instance_id = next(value["EC2_INSTANCE_ID"] for value in world.instances().values())
    assert instance_id.startswith("i-") and world.instances() == {
        task_id: {
            "AWS_INSTANCE_IPV4": "172.31.0.9",
            "AWS_INSTANCE_PORT": "32768",
            "ECS_CLUSTER_NAME": "demo",
            "ECS_SERVICE_NAME": "web",
            "ECS_TASK_DEFINITION_FAMILY": "web",
            "AVAILABILITY_ZONE": "us-east-1a",
            "REGION": "us-east-1",
            "EC2_INSTANCE_ID": instance_id,
        }
    }
    await world.plane.until(lambda: any(each.records for each in world.driver.zones.values()), "name servers know it")
    zone = next(iter(world.driver.zones.values()))
    assert zone.records["web.sim.test"]["SRV"].values == [f"1 1 32768 {task_id}.web.sim.test."]
    assert zone.records[f"{task_id}.web.sim.test"]["A"].values == ["172.31.0.9"]


async def test_a_task_of_a_task_set_is_found_with_what_others_call_the_task_set(world: World) -> None:
    controlled = {"cluster": "demo", "deploymentController": {"type": "EXTERNAL"}, "desiredCount": 1}
    await world.plane.api("create_service", serviceName="web", **controlled)
    registry = {"registryArn": world.registry["Arn"], "containerName": "main", "containerPort": 80}
    named = {"externalId": "release-7", "serviceRegistries": [registry], "scale": {"value": 100.0, "unit": "PERCENT"}}
    made = await world.plane.api("create_task_set", cluster="demo", service="web", taskDefinition="web", **named)
    assert made["taskSet"]["serviceRegistries"] == [registry]
    await world.running()
    assert [each["ECS_TASK_SET_EXTERNAL_ID"] for each in world.instances().values()] == ["release-7"]


async def test_an_agent_is_told_to_stop_a_task_once_nobody_finds_it(world: World) -> None:
    await world.create()
    task = await world.running()
    plane = world.plane
    world.driver.away = True
    await plane.api("update_service", cluster="demo", service="web", desiredCount=0)
    await plane.until(lambda: plane.task(task.arn).last_status == "DEACTIVATING", "it is to stop")
    await plane.until(lambda: not world.instances(), "it is no instance any more")
    await asyncio.sleep(0.5)
    assert not world.stops(task.arn) and plane.task(task.arn).last_status == "DEACTIVATING"
    world.driver.away = False
    await plane.until(lambda: world.stops(task.arn), "its agent is told")
    assert next(iter(world.driver.zones.values())).records == {}
    assert plane.task(task.arn).registration == "gone"


async def test_name_servers_that_stay_away_hold_up_no_task_for_long(world: World) -> None:
    await world.create()
    task = await world.running()
    world.driver.away = True
    await world.plane.api("update_service", cluster="demo", service="web", desiredCount=0)
    await world.plane.until(lambda: world.stops(task.arn), "its agent is told", 20)
    now = world.plane.task(task.arn)
    assert world.plane.clock.time() >= (now.stopping_at or 0.0) + 9.0


async def test_a_task_that_ended_by_itself_is_found_no_more(world: World) -> None:
    await world.create()
    task = await world.running()
    await world.host.report(task.arn, "STOPPED")
    task_id = task.arn.rpartition("/")[2]
    await world.plane.until(lambda: task_id not in world.instances(), "it is gone")
    name = f"{task_id}.web.sim.test"
    await world.plane.until(
        lambda: all(name not in zone.records for zone in world.driver.zones.values()), "by name too"
    )
    assert len(world.driver.zones) == 1


async def test_a_killed_control_plane_registers_and_deregisters_all_the_same(world: World) -> None:
    await world.create()
    task = await world.running()
    await world.plane.stop_task(task.arn)
    await world.plane.restart(kill=True)
    plane = world.plane
    await plane.until(lambda: task.arn.rpartition("/")[2] not in world.instances(), "it is no instance any more")
    await plane.until(lambda: plane.task(task.arn).registration == "gone", "it is found no more")


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        ({"containerName": None, "containerPort": None}, "When specifying 'host' or 'bridge' for networkMode"),
        ({"containerPort": 81}, "did not have a container port 81 defined"),
        ({"port": 80}, "for the awsvpc network mode only"),
    ],
    ids=str,
)
async def test_what_a_bridge_task_cannot_be_registered_in(world: World, registry: Any, message: str) -> None:
    with pytest.raises(Exception, match=message):
        await world.create(**registry)
