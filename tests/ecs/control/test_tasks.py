"""Tasks from RunTask's row to STOPPED, with agents on real websockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from msgspec.structs import replace

from dryport.ec2.model import NETWORK_INTERFACES
from dryport.ecs.acs.model import TASK_GRANTS
from dryport.iam.model import CREDENTIALS
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane


async def test_a_fargate_task_lives_and_dies(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    definition = await plane.define_fargate()
    task_arn = await plane.run_task(definition)
    task = await plane.until_status(task_arn, "RUNNING")
    await plane.until(lambda: plane.task(task_arn).attachments[0].status == "ATTACHED", "attachment")
    task = await plane.until(lambda: (t := plane.task(task_arn)).sent and t, "acknowledged payload")
    details = {pair["name"]: pair["value"] for pair in task.attachments[0].details}
    interface = plane.store.reader.get(NETWORK_INTERFACES, details["networkInterfaceId"])
    assert interface is not None
    assert details == {
        "subnetId": interface.subnet_id,
        "networkInterfaceId": interface.id,
        "macAddress": interface.mac_address,
        "privateDnsName": interface.private_dns_name,
        "privateIPv4Address": interface.private_ip,
    }
    assert task.containers[0].network_interfaces == [
        {"attachmentId": task.attachments[0].id, "privateIpv4Address": interface.private_ip}
    ]
    assert (task.connectivity, task.availability_zone) == ("CONNECTED", interface.availability_zone)
    for later in (task.connectivity_at, task.started_at):
        assert later is not None and task.created_at <= later
    sent = fargate.tasks[task_arn]
    assert sent["elasticNetworkInterfaces"][0]["macAddress"] == interface.mac_address
    assert (sent["cpu"], sent["memory"]) == (0.25, 512)
    keys = {credential.access_key_id for credential in plane.store.reader.find(CREDENTIALS, "owner", task_arn)}
    assert keys == {sent["roleCredentials"]["accessKeyId"], sent["executionRoleCredentials"]["accessKeyId"]}

    await plane.stop_task(task_arn)
    task = await plane.until_status(task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason) == ("UserInitiated", "Task stopped by user")
    assert [c.last_status for c in task.containers] == ["STOPPED"]
    assert task.attachments[0].status == "DELETED"
    moments = [task.started_at, task.stopping_at, task.execution_stopped_at, task.stopped_at]
    known = [at for at in moments if at is not None]
    assert known == moments == sorted(known)
    assert not plane.store.reader.find(NETWORK_INTERFACES, "owner", task_arn)
    assert not plane.store.reader.find(CREDENTIALS, "owner", task_arn)
    assert plane.store.reader.get(TASK_GRANTS, task_arn) is None


async def test_fifty_at_once(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    definition = await plane.define_fargate()
    arns = await asyncio.gather(*(plane.run_task(definition) for _ in range(50)))
    for task_arn in arns:
        await plane.until_status(task_arn, "RUNNING")
    payloads = [task["arn"] for message in fargate.of_type("PayloadMessage") for task in message["tasks"]]
    assert sorted(payloads) == sorted(arns)
    macs = {fargate.tasks[task_arn]["elasticNetworkInterfaces"][0]["macAddress"] for task_arn in arns}
    assert len(macs) == 50
    await asyncio.gather(*(plane.stop_task(task_arn) for task_arn in arns))
    for task_arn in arns:
        await plane.until_status(task_arn, "STOPPED")
    assert plane.store.reader.count(NETWORK_INTERFACES) == 0


async def test_an_essential_container_that_exits_stops_the_task(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    task_arn = await plane.run_task(await plane.define_fargate())
    await plane.until_status(task_arn, "RUNNING")
    stopped = [{"containerName": "main", "status": "STOPPED", "exitCode": 7, "imageDigest": "sha256:1"}]
    await fargate.report(task_arn, "STOPPED", containers=stopped)
    task = await plane.until_status(task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason) == ("EssentialContainerExited", "Essential container in task exited")
    assert (task.containers[0].exit_code, task.containers[0].image_digest) == (7, "sha256:1")


async def test_reports_come_twice_and_out_of_order(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent(obedient=False)
    task_arn = await plane.run_task(await plane.define_fargate())
    await plane.until(lambda: task_arn in fargate.tasks, "payload")
    await fargate.report(task_arn, "RUNNING")
    await fargate.report(task_arn, "PENDING")
    await fargate.report(task_arn, "RUNNING")
    assert plane.task(task_arn).last_status == "RUNNING"
    await fargate.report(task_arn, "STOPPED")
    first = await plane.until_status(task_arn, "STOPPED")
    await fargate.report(task_arn, "RUNNING")
    await fargate.report(
        task_arn, "STOPPED", containers=[{"containerName": "main", "status": "STOPPED", "exitCode": 9}]
    )
    assert plane.task(task_arn) == first


async def test_a_task_that_is_stopped_before_there_is_capacity_never_ran(plane: Plane) -> None:
    task_arn = await plane.run_task(await plane.define_fargate())
    await plane.stop_task(task_arn)
    task = await plane.until_status(task_arn, "STOPPED")
    assert (task.stop_code, task.started_at, task.instance_arn) == ("UserInitiated", None, None)
    assert task.containers[0].last_status == "STOPPED"
    assert plane.store.reader.count(NETWORK_INTERFACES) == 0


async def test_a_waiting_task_starts_when_a_host_connects(plane: Plane, agent: MakeAgent) -> None:
    task_arn = await plane.run_task(await plane.define_fargate())
    await asyncio.sleep(0.05)
    assert plane.task(task_arn).last_status == "PROVISIONING"
    await agent()
    await plane.until_status(task_arn, "RUNNING")


async def test_without_a_host_the_task_fails_in_the_end(plane: Plane) -> None:
    long_ago = plane.clock.time() - 61
    task_arn = await plane.run_task(await plane.define_fargate(), created_at=long_ago)
    task = await plane.until_status(task_arn, "STOPPED")
    assert task.stop_code == "TaskFailedToStart"
    assert task.stopped_reason == (
        "Capacity is unavailable at this time. Please try again later or in a different availability zone"
    )


async def test_a_subnet_that_is_not_there(plane: Plane, agent: MakeAgent) -> None:
    await agent()
    settings = {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}
    definition = await plane.define_fargate()
    task_arn = await plane.run_task(definition, attachments=[], network_configuration=settings)
    task = await plane.until_status(task_arn, "STOPPED")
    assert task.stop_code == "TaskFailedToStart"
    assert task.stopped_reason == (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled "
        "in subnet 'subnet-1': InvalidSubnetID.NotFound"
    )
    assert not plane.store.reader.find(CREDENTIALS, "owner", task_arn)


async def test_an_interface_that_cannot_be_plugged(plane: Plane, agent: MakeAgent) -> None:
    await agent()
    plane.plugger.broken = "no such namespace"
    task_arn = await plane.run_task(await plane.define_fargate())
    task = await plane.until_status(task_arn, "STOPPED")
    assert task.stop_code == "TaskFailedToStart"
    assert task.stopped_reason == (
        "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: no such namespace"
    )


async def test_a_task_that_the_agent_refuses(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent(obedient=False)
    fargate.acknowledge = False
    task_arn = await plane.run_task(await plane.define_fargate())
    await plane.until(lambda: task_arn in fargate.tasks, "payload")
    await fargate.report(task_arn, "STOPPED", reason="UnrecognizedTaskError: bad", containers=[])
    task = await plane.until_status(task_arn, "STOPPED")
    assert (task.stop_code, task.stopped_reason) == ("TaskFailedToStart", "UnrecognizedTaskError: bad")


async def test_disconnected_agents_get_what_they_missed(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    definition = await plane.define_fargate()
    running = await plane.run_task(definition)
    await plane.until_status(running, "RUNNING")
    await plane.until(lambda: plane.task(running).sent, "acknowledged")
    await fargate.disconnect()
    await plane.until(lambda: not plane.container_instance(fargate.arn).agent_connected, "disconnected")
    await plane.stop_task(running)
    waiting = await plane.run_task(definition)
    before = len(fargate.received)
    await fargate.connect()
    await plane.until_status(running, "STOPPED")
    await plane.until_status(waiting, "RUNNING")
    kinds = [each["type"] for each in fargate.received[before:]]
    assert kinds[:2] == ["HeartbeatMessage", "TaskManifestMessage"]
    manifests = fargate.of_type("TaskManifestMessage")
    assert manifests[0]["timeline"] < manifests[1]["timeline"]


async def test_what_the_store_does_not_know_is_stopped(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent(obedient=False)
    await fargate.disconnect()
    stranger = "arn:aws:ecs:us-east-1:000000000000:task/demo/stranger"
    fargate.tasks[stranger] = {"arn": stranger, "taskClusterArn": "c", "containers": []}
    fargate.status[stranger] = "RUNNING"
    await fargate.connect()
    answers = await plane.until(lambda: fargate.of_type("TaskStopVerificationAck"), "verification")
    assert [each["taskArn"] for each in answers[0]["stopTasks"]] == [stranger]


async def test_credentials_are_sent_to_an_agent_that_starts_and_renewed(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    task_arn = await plane.run_task(await plane.define_fargate())
    await plane.until_status(task_arn, "RUNNING")
    await plane.until(lambda: plane.task(task_arn).sent, "acknowledged")
    assert fargate.of_type("IAMRoleCredentialsMessage") == []
    await fargate.disconnect()
    await fargate.connect(send_credentials=True)
    sent = await plane.until(lambda: len(m := fargate.of_type("IAMRoleCredentialsMessage")) == 2 and m, "credentials")
    first = fargate.tasks[task_arn]["roleCredentials"]
    assert {each["roleType"]: each["roleCredentials"] for each in sent}["TaskApplication"] == first

    def age(tx: Any) -> None:
        grant = tx.get(TASK_GRANTS, task_arn)
        tx.put(TASK_GRANTS, replace(grant, task=replace(grant.task, expires=plane.clock.time() + 60)))

    await plane.store.transact(age)
    await plane.restart()  # it looks at every task then
    await fargate.connect()
    renewed = await plane.until(
        lambda: len(m := fargate.of_type("IAMRoleCredentialsMessage")) == 4 and m[2:], "renewed credentials"
    )
    fresh = {each["roleType"]: each["roleCredentials"] for each in renewed}["TaskApplication"]
    assert fresh["credentialsId"] == first["credentialsId"]
    assert fresh["accessKeyId"] != first["accessKeyId"]
    assert plane.store.reader.get(CREDENTIALS, first["accessKeyId"]) is not None


async def test_health_from_telemetry(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    check = {"command": ["CMD-SHELL", "true"]}
    containers = [{"name": "main", "image": "busybox", "essential": True, "healthCheck": check}]
    task_arn = await plane.run_task(await plane.define_fargate(containerDefinitions=containers))
    await plane.until_status(task_arn, "RUNNING")
    socket = await fargate.telemetry()
    health = {
        "tasks": [{"taskArn": task_arn, "containers": [{"containerName": "main", "healthStatus": "HEALTHY"}]}],
        "metadata": {},
    }
    head = "Authorization: x\r\nHost: y\r\n\r\n"
    await socket.send_str(head + json.dumps({"type": "PublishHealthRequest", "message": health}))
    assert json.loads((await socket.receive()).data)["type"] == "AckPublishHealth"
    task = plane.task(task_arn)
    assert (task.health_status, task.containers[0].health_status) == ("HEALTHY", "HEALTHY")
    await socket.send_str(head + json.dumps({"type": "PublishMetricsRequest", "message": {"taskMetrics": []}}))
    assert json.loads((await socket.receive()).data)["type"] == "AckPublishMetric"
    await socket.close()


async def test_a_restart_of_the_control_plane_changes_nothing(plane: Plane, agent: MakeAgent) -> None:
    fargate = await agent()
    definition = await plane.define_fargate()
    arns = [await plane.run_task(definition) for _ in range(5)]
    await plane.restart()
    await fargate.disconnect()
    await plane.until(lambda: not plane.container_instance(fargate.arn).agent_connected, "reset")
    await fargate.connect()
    for task_arn in arns:
        await plane.until_status(task_arn, "RUNNING")
    assert plane.store.reader.count(NETWORK_INTERFACES) == 5
