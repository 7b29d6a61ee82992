"""Container instances as users see them, and tasks on them, with boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.client import ApiError
from dryport.ec2.model import NETWORK_INTERFACES
from dryport.ecs.api.hosts import NOT_VALID
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent

BRIDGE: dict[str, Any] = {
    "family": "bridge",
    "containerDefinitions": [
        {
            "name": "main",
            "image": "busybox",
            "cpu": 1024,
            "memory": 512,
            "portMappings": [{"containerPort": 80, "hostPort": 8080}],
        }
    ],
    "requiresCompatibilities": ["EC2", "EXTERNAL"],
}


def code(refused: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


async def test_describe_and_list(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo", tags=[{"key": "a", "value": "b"}])
    await plane.until(lambda: external.received, "connected")
    listed = await plane.api("list_container_instances", cluster="demo")
    assert listed == {"containerInstanceArns": [external.arn]}
    short = external.arn.rsplit("/", 1)[-1]
    answer = await plane.api("describe_container_instances", cluster="demo", containerInstances=[short, "missing"])
    (instance,) = answer["containerInstances"]
    assert instance["agentConnected"] is True
    assert instance["status"] == "ACTIVE"
    assert instance["versionInfo"] == {
        "agentVersion": "1.105.1",
        "agentHash": "a8b3e7d3",
        "dockerVersion": "DockerVersion: 20.10.24",
    }
    assert {r["name"]: r["type"] for r in instance["registeredResources"]} == {
        "CPU": "INTEGER",
        "MEMORY": "INTEGER",
        "PORTS": "STRINGSET",
        "PORTS_UDP": "STRINGSET",
    }
    assert (instance["runningTasksCount"], instance["pendingTasksCount"], instance["tags"]) == (0, 0, [])
    missing = external.arn.replace(short, "missing")
    assert answer["failures"] == [{"arn": missing, "reason": "MISSING"}]
    for expression, selected in (("agentConnected==true", [external.arn]), ("attribute:ecs.os-type != linux", [])):
        listed = await plane.api("list_container_instances", cluster="demo", filter=expression)
        assert listed == {"containerInstanceArns": selected}


async def test_the_fargate_hosts_are_hidden(plane: Plane, agent: MakeAgent) -> None:
    await agent()
    assert await plane.api("list_clusters") == {"clusterArns": [plane_cluster(plane)]}
    with pytest.raises(ClientError) as refused:
        await plane.api("list_container_instances", cluster="dryport-fargate")
    assert code(refused) == ("ClusterNotFoundException", "Cluster not found.")


def plane_cluster(plane: Plane) -> str:
    return "arn:aws:ecs:us-east-1:000000000000:cluster/demo"


async def test_start_task_takes_and_gives_back_resources(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo")
    await plane.until(lambda: external.received, "connected")
    await plane.api("register_task_definition", **BRIDGE)
    start = {"cluster": "demo", "taskDefinition": "bridge", "containerInstances": [external.arn]}
    answer = await plane.api("start_task", **start)
    assert answer["failures"] == []
    (task,) = answer["tasks"]
    assert task["launchType"] == "EXTERNAL" and task["containerInstanceArn"] == external.arn
    await plane.until_status(task["taskArn"], "RUNNING")
    payload = external.tasks[task["taskArn"]]
    assert payload["containers"][0]["portMappings"] == [{"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}]
    again = await plane.api("start_task", **start)
    assert again == {"tasks": [], "failures": [{"arn": external.arn, "reason": "RESOURCE:PORTS"}]}
    described = await plane.api("describe_container_instances", cluster="demo", containerInstances=[external.arn])
    left = {r["name"]: r for r in described["containerInstances"][0]["remainingResources"]}
    assert (left["CPU"]["integerValue"], left["MEMORY"]["integerValue"]) == (1024, 3584)
    assert left["PORTS"]["stringSetValue"] == ["22", "8080"]
    await plane.api("stop_task", cluster="demo", task=task["taskArn"], reason="enough")
    stopped = await plane.until_status(task["taskArn"], "STOPPED")
    assert (stopped.stop_code, stopped.stopped_reason) == ("UserInitiated", "enough")
    assert (await plane.api("start_task", **start))["failures"] == []


async def test_drain_and_deregister(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo")
    await plane.until(lambda: external.received, "connected")
    await plane.api("register_task_definition", **BRIDGE)
    target = {"cluster": "demo", "containerInstances": [external.arn]}
    drained = await plane.api("update_container_instances_state", status="DRAINING", **target)
    assert drained["containerInstances"][0]["status"] == "DRAINING"
    listed = await plane.api("list_container_instances", cluster="demo", status="ACTIVE")
    assert listed == {"containerInstanceArns": []}
    started = await plane.api("start_task", taskDefinition="bridge", **target)
    task_arn = started["tasks"][0]["taskArn"]
    await plane.until_status(task_arn, "RUNNING")
    with pytest.raises(ClientError) as refused:
        await plane.api("deregister_container_instance", cluster="demo", containerInstance=external.arn)
    assert code(refused) == ("InvalidParameterException", "Found running tasks on the instance.")
    gone = await plane.api("deregister_container_instance", cluster="demo", containerInstance=external.arn, force=True)
    assert gone["containerInstance"]["status"] == "INACTIVE"
    await plane.until_status(task_arn, "STOPPED")
    await plane.until(lambda: not external.connected, "connection closed")
    assert await plane.api("list_container_instances", cluster="demo") == {"containerInstanceArns": []}
    assert (await plane.api("start_task", taskDefinition="bridge", **target))["failures"] == [
        {"arn": external.arn, "reason": "INACTIVE"}
    ]


AWSVPC: dict[str, Any] = {
    "family": "awsvpc",
    "networkMode": "awsvpc",
    "containerDefinitions": [
        {"name": "main", "image": "busybox", "memory": 64, "portMappings": [{"containerPort": 80}]}
    ],
    "requiresCompatibilities": ["EC2"],
}


async def test_an_awsvpc_task_on_an_instance(plane: Plane, agent: MakeAgent) -> None:
    plane.plugger.idle = True
    host = await agent("demo", **await plane.ec2_instance("us-east-1b"))
    await plane.until(lambda: host.received, "connected")
    await plane.api("register_task_definition", **AWSVPC)
    configuration = {"awsvpcConfiguration": {"subnets": [each.id for each in plane.subnets()]}}
    request = {"cluster": "demo", "taskDefinition": "awsvpc", "networkConfiguration": configuration}
    run = await plane.api("run_task", **request)
    (task,) = run["tasks"]
    (attach,) = await plane.until(lambda: host.of_type("AttachTaskNetworkInterfacesMessage"), "the interface")
    # The task itself is not told before its interface is there.
    assert plane.task(task["taskArn"]).last_status == "PROVISIONING" and not host.of_type("PayloadMessage")
    reader = plane.store.reader
    (interface,) = reader.find(NETWORK_INTERFACES, "owner", task["taskArn"])
    instance = reader.get(CONTAINER_INSTANCES, host.arn)
    assert instance is not None
    assert interface.namespace == f"dp{plane.config.id}-{instance.ec2_instance_id}"
    assert interface.availability_zone == "us-east-1b" and not interface.wants_public_ip
    (sent,) = attach["elasticNetworkInterfaces"]
    assert (sent["macAddress"], sent["ec2Id"]) == (interface.mac_address, interface.id)
    plane.plugger.idle = False
    await plane.store.transact(plane.plugger._work)
    await plane.until_status(task["taskArn"], "RUNNING")
    (payload,) = host.tasks[task["taskArn"]]["elasticNetworkInterfaces"]
    assert payload == sent
    described = (await plane.api("describe_tasks", cluster="demo", tasks=[task["taskArn"]]))["tasks"][0]
    (attachment,) = described["attachments"]
    assert attachment["status"] == "ATTACHED"
    details = {pair["name"]: pair["value"] for pair in attachment["details"]}
    assert details["privateIPv4Address"] == interface.private_ip
    assert described["containers"][0]["networkInterfaces"][0]["privateIpv4Address"] == interface.private_ip
    assert described["containerInstanceArn"] == host.arn and described["availabilityZone"] == "us-east-1b"
    await plane.api("stop_task", cluster="demo", task=task["taskArn"])
    await plane.until_status(task["taskArn"], "STOPPED")
    assert reader.find(NETWORK_INTERFACES, "owner", task["taskArn"]) == []


async def test_the_agent_reports_its_interface(plane: Plane, agent: MakeAgent) -> None:
    plane.plugger.idle = True
    host = await agent("demo", obedient=False, **await plane.ec2_instance("us-east-1a"))
    await plane.until(lambda: host.received, "connected")
    await plane.api("register_task_definition", **AWSVPC)
    configuration = {"awsvpcConfiguration": {"subnets": [each.id for each in plane.subnets()]}}
    start = {"cluster": "demo", "taskDefinition": "awsvpc", "networkConfiguration": configuration}
    started = await plane.api("start_task", **start, containerInstances=[host.arn])
    task_arn = started["tasks"][0]["taskArn"]
    (attach,) = await plane.until(lambda: host.of_type("AttachTaskNetworkInterfacesMessage"), "the interface")
    attachment_arn = attach["elasticNetworkInterfaces"][0]["attachmentArn"]
    change = {"attachmentArn": attachment_arn, "status": "ATTACHED"}
    await host.call("SubmitAttachmentStateChanges", cluster="demo", attachments=[change])
    await plane.until(lambda: task_arn in host.tasks, "payload")
    assert plane.task(task_arn).attachments[0].status == "ATTACHED"


async def test_an_interface_that_does_not_come_fails_the_task(plane: Plane, agent: MakeAgent) -> None:
    plane.plugger.broken = "no such VPC"
    host = await agent("demo", **await plane.ec2_instance("us-east-1a"))
    await plane.until(lambda: host.received, "connected")
    await plane.api("register_task_definition", **AWSVPC)
    configuration = {"awsvpcConfiguration": {"subnets": [each.id for each in plane.subnets()]}}
    start = {"cluster": "demo", "taskDefinition": "awsvpc", "networkConfiguration": configuration}
    started = await plane.api("start_task", **start, containerInstances=[host.arn])
    stopped = await plane.until_status(started["tasks"][0]["taskArn"], "STOPPED")
    assert stopped.stop_code == "TaskFailedToStart" and "no such VPC" in (stopped.stopped_reason or "")
    assert not host.of_type("PayloadMessage") or host.tasks[stopped.arn]["desiredStatus"] == "STOPPED"


async def test_health_of_instances(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo")
    describe = {"cluster": "demo", "containerInstances": [external.arn], "include": ["CONTAINER_INSTANCE_HEALTH"]}
    before = (await plane.api("describe_container_instances", **describe))["containerInstances"][0]
    assert before["healthStatus"] == {"overallStatus": "INITIALIZING", "details": []}
    socket = await external.telemetry()
    for status in ("OK", "IMPAIRED"):
        statuses = [{"type": "ContainerRuntime", "status": status, "lastUpdated": 2.0, "lastStatusChange": 1.0}]
        message = {"type": "PublishInstanceStatusRequest", "message": {"statuses": statuses}}
        await socket.send_str(f"Host: x\r\n\r\n{json.dumps(message)}")
        assert json.loads((await socket.receive()).data)["type"] == "AckPublishInstanceStatus"
        shown = (await plane.api("describe_container_instances", **describe))["containerInstances"][0]["healthStatus"]
        (detail,) = shown["details"]
        assert (shown["overallStatus"], detail["type"], detail["status"]) == (status, "CONTAINER_RUNTIME", status)
        assert detail["lastUpdated"].timestamp() == 2.0 and detail["lastStatusChange"].timestamp() == 1.0
    await socket.close()


async def test_run_task_on_fargate(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    await plane.api(
        "register_task_definition",
        family="web",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="512",
        memory="1024",
        containerDefinitions=[{"name": "main", "image": "busybox", "environment": [{"name": "A", "value": "1"}]}],
    )
    subnets = [each.id for each in plane.subnets()]
    run = await plane.api(
        "run_task",
        cluster="demo",
        taskDefinition="web",
        launchType="FARGATE",
        count=3,
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets}},
        overrides={
            "containerOverrides": [
                {"name": "main", "command": ["sleep", "1"], "environment": [{"name": "B", "value": "2"}]}
            ]
        },
    )
    assert run["failures"] == []
    for task in run["tasks"]:
        await plane.until_status(task["taskArn"], "RUNNING")
        sent = fargate.tasks[task["taskArn"]]
        assert (sent["cpu"], sent["memory"], sent["ephemeralStorage"]) == (0.5, 1024, {"sizeInGiB": 20})
        assert sent["containers"][0]["environment"] == {"A": "1", "B": "2"}
        assert sent["containers"][0]["overrides"] == '{"command":["sleep","1"]}'
    arns = [task["taskArn"] for task in run["tasks"]]
    described = await plane.api("describe_tasks", cluster="demo", tasks=arns)
    for task in described["tasks"]:
        assert "containerInstanceArn" not in task
        (attachment,) = task["attachments"]
        names = ["subnetId", "networkInterfaceId", "macAddress", "privateDnsName", "privateIPv4Address"]
        assert [pair["name"] for pair in attachment["details"]] == names
    for task_arn in arns:
        await plane.api("stop_task", cluster="demo", task=task_arn)
        await plane.until_status(task_arn, "STOPPED")


async def test_a_deleted_task_definition_goes_with_its_last_task(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo")
    await plane.until(lambda: external.received, "connected")
    await plane.api("register_task_definition", **BRIDGE)
    started = await plane.api("start_task", cluster="demo", taskDefinition="bridge", containerInstances=[external.arn])
    task_arn = started["tasks"][0]["taskArn"]
    await plane.until_status(task_arn, "RUNNING")
    await plane.api("deregister_task_definition", taskDefinition="bridge:1")
    deleted = await plane.api("delete_task_definitions", taskDefinitions=["bridge:1"])
    assert deleted["taskDefinitions"][0]["status"] == "DELETE_IN_PROGRESS"
    described = await plane.api("describe_task_definition", taskDefinition="bridge:1")
    assert described["taskDefinition"]["status"] == "DELETE_IN_PROGRESS"
    await plane.api("stop_task", cluster="demo", task=task_arn)
    await plane.until_status(task_arn, "STOPPED")
    await plane.until(lambda: plane.definition(started["tasks"][0]["taskDefinitionArn"]) is None, "deleted revision")


async def test_stopped_tasks_are_forgotten_after_an_hour(plane: Plane, agent: MakeAgent) -> None:
    task_arn = await plane.run_task(
        await plane.define_fargate(),
        last_status="STOPPED",
        desired_status="STOPPED",
        attachments=[],
        stopped_at=plane.clock.time() - 3600,
    )
    await plane.until(lambda: plane.store.reader.get(TASKS, task_arn) is None, "forgotten")
    recent = await plane.run_task(
        await plane.define_fargate(),
        last_status="STOPPED",
        desired_status="STOPPED",
        attachments=[],
        stopped_at=plane.clock.time() - 3590,
    )
    await plane.api("list_clusters")
    assert plane.task(recent).last_status == "STOPPED"


async def test_an_ec2_instance_is_what_its_identity_says(plane: Plane) -> None:
    mine = await plane.ec2_instance("us-east-1b")
    host = SimulatedAgent(plane, "demo")
    registered = await host.register(**mine)
    document = json.loads(mine["instanceIdentityDocument"])
    assert registered["ec2InstanceId"] == document["instanceId"]
    values = {each["name"]: each.get("value") for each in registered["attributes"]}
    assert values["ecs.ami-id"] == "ami-1" and values["ecs.instance-type"] == "t3.small"
    assert values["ecs.availability-zone"] == "us-east-1b"
    assert values["ecs.vpc-id"] == plane.subnets()[0].vpc_id and values["ecs.subnet-id"].startswith("subnet-")
    signature = "instanceIdentityDocumentSignature"
    other = await plane.ec2_instance()
    elsewhere = await plane.ec2_instance(region="eu-west-1")
    foreign = await plane.ec2_instance(account="111111111111")
    gone = await plane.ec2_instance(state="terminated")
    for wrong in (
        {**mine, signature: ""},
        {**mine, signature: "!"},
        {**mine, signature: other[signature]},
        {**mine, "instanceIdentityDocument": "{"},
        {**mine, "instanceIdentityDocument": mine["instanceIdentityDocument"] + " "},
        elsewhere,
        foreign,
        gone,
    ):
        stranger = SimulatedAgent(plane, "demo")
        with pytest.raises(ApiError) as denied:
            await stranger.register(**wrong)
        await stranger.close()
        assert (denied.value.code, denied.value.message) == ("ClientException", NOT_VALID)
    # The ARN of one instance is no good for another.
    thief = SimulatedAgent(plane, "demo")
    thief.arn = host.arn
    with pytest.raises(ApiError):
        await thief.register(**other)
    await thief.close()
    await host.close()
