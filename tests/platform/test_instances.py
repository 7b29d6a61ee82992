"""EC2 instances as container instances: real hosts, agents, tasks, ports that security groups open and close."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.fleet import CLUSTER, Fleet
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform


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
    fleet.terminate(made)
