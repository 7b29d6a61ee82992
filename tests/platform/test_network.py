"""A task's network: addresses, security groups on real packets, names, the internet's edge."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform

SERVE = "echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"


@pytest.fixture
def group(platform: Platform) -> Iterator[str]:
    """A security group with no way in."""
    ec2 = platform.client("ec2")
    made: str = ec2.create_security_group(GroupName="tests", Description="tests")["GroupId"]
    yield made
    eventually(lambda: _deleted(ec2, made))


def _deleted(ec2: Any, group: str) -> bool:
    try:
        ec2.delete_security_group(GroupId=group)
    except ec2.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "DependencyViolation":
            raise
        return False
    return True


def interface_of(platform: Platform, task: dict[str, Any]) -> dict[str, Any]:
    """The network interface of a described task, as EC2 describes it."""
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    found = platform.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])
    interface: dict[str, Any] = found["NetworkInterfaces"][0]
    assert interface["PrivateIpAddress"] == details["privateIPv4Address"]
    return interface


def answers(address: str, port: int = 8080) -> bool:
    """Whether a web server answers there; the address is one of this machine's own routes (198.18.0.0/15)."""
    route = json.loads(subprocess.run(["ip", "-j", "route", "get", address], capture_output=True, check=True).stdout)
    assert route[0].get("dev") not in (None, "eth0"), route
    connection = http.client.HTTPConnection(address, port, timeout=1.0)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read() == b"hello\n"
    except OSError:
        return False
    finally:
        connection.close()


def test_a_security_group_decides_who_gets_in(tasks: Tasks, platform: Platform, group: str) -> None:
    ec2 = platform.client("ec2")
    arn = tasks.run(tasks.define(tasks.container(SERVE)), public=True, groups=[group])[0]
    task = tasks.until(arn, "RUNNING")
    interface = interface_of(platform, task)
    public, private = interface["Association"]["PublicIp"], interface["PrivateIpAddress"]
    assert not answers(public)
    rule = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**rule, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    eventually(lambda: answers(public), 5)
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[{**rule, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    eventually(lambda: not answers(public), 5)

    # From another task: refused, until a rule names that task's group.
    ask = f"timeout 2 wget -qO- http://{private}:8080/ && echo in || echo out"
    assert "out" in tasks.output(tasks.finish(tasks.container(ask))["taskArn"])
    default = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{**rule, "UserIdGroupPairs": [{"GroupId": default[0]["GroupId"]}]}]
    )
    eventually(lambda: tasks.output(tasks.finish(tasks.container(ask))["taskArn"]) == ["hello", "in"], 20)
    assert not answers(public)
    tasks.stop(arn)


def test_a_task_reaches_neither_the_machine_nor_other_services(tasks: Tasks, platform: Platform) -> None:
    uplink = platform.config.public_network.split("/")[0].rsplit(".", 1)[0]
    script = (
        f"timeout 2 wget -qO- http://169.254.171.1:{platform.port}/_dryport/health >/dev/null && echo endpoint; "
        f"nc -w 2 {uplink}.1 22 </dev/null && echo ssh; nc -w 2 192.0.2.2 {platform.port} </dev/null && echo host; "
        "nc -w 2 127.0.0.1 4566 </dev/null && echo loopback; nslookup a.localhost; hostname; echo done"
    )
    lines = tasks.output(tasks.finish(tasks.container(script))["taskArn"])
    assert lines[0] == "endpoint"
    assert not {"ssh", "host", "loopback"} & set(lines)
    assert any("169.254.171.1" in line for line in lines)
    assert lines[-1] == "done"


def test_the_interface_says_whose_it_is(tasks: Tasks, platform: Platform) -> None:
    more = [{"key": "team", "value": "blue"}]
    arn = tasks.run(tasks.define(tasks.container()), enableECSManagedTags=True, tags=more)[0]
    task = tasks.until(arn, "RUNNING")
    interface = interface_of(platform, task)
    assert interface["Description"].endswith(f":attachment/{task['attachments'][0]['id']}")
    assert interface["RequesterManaged"] is True and interface["RequesterId"]
    assert interface["TagSet"] == [{"Key": "aws:ecs:clusterName", "Value": "default"}]
    attachment = interface["Attachment"]
    assert (attachment["DeviceIndex"], attachment["Status"], attachment["DeleteOnTermination"]) == (
        1,
        "attached",
        False,
    )
    assert "InstanceId" not in attachment and attachment["InstanceOwnerId"] != interface["OwnerId"]
    tasks.stop(arn)


def test_the_interface_is_gone_after_the_task(tasks: Tasks, platform: Platform) -> None:
    arn = tasks.run(tasks.define(tasks.container()))[0]
    interface = interface_of(platform, tasks.until(arn, "RUNNING"))
    tasks.stop(arn)
    ec2 = platform.client("ec2")
    left = ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [interface["SubnetId"]]}])
    assert interface["NetworkInterfaceId"] not in {each["NetworkInterfaceId"] for each in left["NetworkInterfaces"]}
