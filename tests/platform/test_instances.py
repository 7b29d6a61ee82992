"""EC2 instances as container instances: real hosts, agents, tasks, ports that security groups open and close."""

from __future__ import annotations

import base64
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from dryport.host.client import HostClient
from tests.conftest import Platform
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform

CLUSTER = "instances"
PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"
USER_DATA = f"#!/bin/sh\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\necho user data was here\n"


class Fleet:
    """Instances of a security group of their own in a cluster."""

    def __init__(self, platform: Platform, image: str) -> None:
        self.platform, self.image = platform, image
        self.ec2, self.ecs = platform.client("ec2"), platform.client("ecs")
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.ami = platform.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"]
        self.group = self.ec2.create_security_group(GroupName="fleet", Description="their ports")["GroupId"]

    def launch(self) -> dict[str, Any]:
        """A new instance, once its agent is connected: DescribeInstances' shape."""
        made = self.ec2.run_instances(
            ImageId=self.ami,
            InstanceType="t3.small",
            MinCount=1,
            MaxCount=1,
            SecurityGroupIds=[self.group],
            UserData=USER_DATA,
            IamInstanceProfile={"Name": "ecsInstanceRole"},
        )["Instances"][0]["InstanceId"]
        eventually(lambda: self.container_instance(made).get("agentConnected"))
        return self.instance(made)

    def instance(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][
            0
        ]
        return found

    def container_instance(self, instance_id: str) -> dict[str, Any]:
        arns = self.ecs.list_container_instances(cluster=CLUSTER)["containerInstanceArns"]
        if not arns:
            return {}
        found = self.ecs.describe_container_instances(cluster=CLUSTER, containerInstances=arns)["containerInstances"]
        return next((each for each in found if each.get("ec2InstanceId") == instance_id), {})

    def run(self, family: str, script: str, **settings: Any) -> str:
        """Run a task of one container in bridge mode; its ARN."""
        container = {"name": "main", "image": self.image, "memory": 32, "command": ["sh", "-c", script], **settings}
        self.ecs.register_task_definition(family=family, containerDefinitions=[container])
        answer = self.ecs.run_task(cluster=CLUSTER, taskDefinition=family)
        assert not answer["failures"], answer["failures"]
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def task(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
        return found

    def running(self, arn: str) -> dict[str, Any]:
        """The task, once it runs."""
        status = eventually(lambda: (s := self.task(arn)["lastStatus"]) in ("RUNNING", "STOPPED") and s)
        assert status == "RUNNING", self.task(arn)
        return self.task(arn)


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Fleet:
    return Fleet(platform, tasks.image)


@pytest.fixture(scope="module")
def instance(fleet: Fleet) -> Iterator[dict[str, Any]]:
    made = fleet.launch()
    yield made
    fleet.ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    eventually(lambda: fleet.instance(made["InstanceId"])["State"]["Name"] == "terminated")


def answers(address: str, port: int) -> bool:
    """Whether somebody says hello there."""
    try:
        with socket.create_connection((address, port), timeout=1) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"hello" in client.recv(1000)
    except OSError:
        return False


def test_an_instance_registers_by_itself_with_what_it_is(fleet: Fleet, instance: dict[str, Any]) -> None:
    registered = fleet.container_instance(instance["InstanceId"])
    attributes = {each["name"]: each.get("value") for each in registered["attributes"]}
    assert attributes["ecs.instance-type"] == "t3.small"
    assert attributes["ecs.ami-id"] == fleet.ami
    assert attributes["ecs.availability-zone"] == instance["Placement"]["AvailabilityZone"]
    resources = {each["name"]: each["integerValue"] for each in registered["registeredResources"]}
    assert resources["CPU"] == 2048 and 0 < resources["MEMORY"] <= 2048
    console = fleet.ec2.get_console_output(InstanceId=instance["InstanceId"])["Output"]
    assert "user data was here" in console or "user data was here" in base64.b64decode(console).decode()


def test_a_host_port_answers_while_a_group_allows_it(fleet: Fleet, instance: dict[str, Any]) -> None:
    script = "echo hello > /www/index.html; exec httpd -f -p 80 -h /www"
    arn = fleet.run("web", script, portMappings=[{"containerPort": 80, "hostPort": 8080}])
    fleet.running(arn)
    address = instance["PublicIpAddress"]
    assert not answers(address, 8080)
    rule = {"GroupId": fleet.group, "IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIp": "0.0.0.0/0"}
    fleet.ec2.authorize_security_group_ingress(**rule)
    eventually(lambda: answers(address, 8080))
    fleet.ec2.revoke_security_group_ingress(**rule)
    eventually(lambda: not answers(address, 8080))
    second = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="web")
    assert [each["reason"] for each in second["failures"]] == ["RESOURCE:PORTS"]
    fleet.ecs.stop_task(cluster=CLUSTER, task=arn)
    eventually(lambda: fleet.task(arn)["lastStatus"] == "STOPPED")


def test_an_ephemeral_host_port_is_reported(fleet: Fleet, instance: dict[str, Any]) -> None:
    arn = fleet.run("dynamic", "exec httpd -f -p 80 -h /www", portMappings=[{"containerPort": 80}])
    bindings = fleet.running(arn)["containers"][0]["networkBindings"]
    assert {32768 <= each["hostPort"] <= 60999 for each in bindings} == {True}
    fleet.ecs.stop_task(cluster=CLUSTER, task=arn)
    eventually(lambda: fleet.task(arn)["lastStatus"] == "STOPPED")


async def test_a_host_that_is_killed_takes_its_tasks_with_it(fleet: Fleet, platform: Platform) -> None:
    made = fleet.launch()["InstanceId"]
    placed = [{"type": "memberOf", "expression": f"ec2InstanceId == '{made}'"}]
    fleet.ecs.register_task_definition(
        family="sleeper",
        containerDefinitions=[{"name": "main", "image": fleet.image, "memory": 32, "command": ["sleep", "600"]}],
    )
    answer = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="sleeper", placementConstraints=placed)
    arn = answer["tasks"][0]["taskArn"]
    fleet.running(arn)
    client = HostClient(platform.config.run_dir / "host.sock")
    try:
        state = (await client.instances())[made]
    finally:
        await client.close()
    os.kill(state.pid, signal.SIGKILL)
    eventually(lambda: fleet.task(arn)["lastStatus"] == "STOPPED")
    assert made in fleet.task(arn)["stoppedReason"]
    fleet.ec2.terminate_instances(InstanceIds=[made])
    eventually(lambda: fleet.instance(made)["State"]["Name"] == "terminated")
    eventually(lambda: not fleet.container_instance(made))


def test_instances_shut_down_with_the_platform_and_come_back(fleet: Fleet, platform: Platform) -> None:
    made = fleet.launch()["InstanceId"]
    boots = fleet.container_instance(made)["containerInstanceArn"]
    platform.down()
    platform.up()
    eventually(lambda: fleet.container_instance(made).get("agentConnected"))
    assert fleet.instance(made)["State"]["Name"] == "running"
    assert fleet.container_instance(made)["containerInstanceArn"] == boots
    log = (platform.state_dir / "log" / "control.log").read_text()
    assert "had not shut down" not in log
    fleet.ec2.terminate_instances(InstanceIds=[made])
    eventually(lambda: fleet.instance(made)["State"]["Name"] == "terminated")
