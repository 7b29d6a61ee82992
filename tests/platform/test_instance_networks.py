"""Tasks of an EC2 instance that have a network interface of their own (awsvpc)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
from tests.platform.support import TASK_ROLE, Tasks, eventually

pytestmark = pytest.mark.platform

SERVE = "echo hello > /www/index.html; exec httpd -f -p 80 -h /www"


class Interfaces(Fleet):
    """Runs awsvpc tasks."""

    def start(self, family: str, script: str, *, group: str | None = None, **settings: Any) -> dict[str, Any]:
        """RunTask's answer to one task of one container."""
        container = {"name": "main", "image": self.image, "memory": 32, "command": ["sh", "-c", script]}
        self.ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            containerDefinitions=[container | {"stopTimeout": 2}],
            **settings,
        )
        network: dict[str, Any] = {"subnets": self.subnets()}
        if group:
            network["securityGroups"] = [group]
        answer: dict[str, Any] = self.ecs.run_task(
            cluster=self.cluster, taskDefinition=family, networkConfiguration={"awsvpcConfiguration": network}
        )
        return answer

    def subnets(self) -> list[str]:
        """One of each zone: a task goes where its instance is."""
        return [each["SubnetId"] for each in self.ec2.describe_subnets()["Subnets"]]

    def begun(self, *arguments: Any, **settings: Any) -> str:
        """The ARN of a task that was placed."""
        answer = self.start(*arguments, **settings)
        assert not answer["failures"], answer["failures"]
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def reached_from(self, address: str, group: str) -> bool:
        """Whether a task of a security group gets an answer from an address."""
        arn = self.begun("client", f"timeout 3 wget -qO- http://{address}/ | grep hello", group=group)
        code = self.stopped(arn)["containers"][0]["exitCode"]
        assert code in (0, 1), code
        return bool(code == 0)

    def left_over(self, instance_id: str) -> list[str]:
        """What tasks of the instance have left there."""
        script = "docker ps -aq --filter label=com.amazonaws.ecs.container-name=~internal~ecs~pause; ls /run/netns"
        return self.inside(instance_id, "sh", "-c", f"mkdir -p /run/netns; {script}").split()


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Interfaces:
    return Interfaces(platform, tasks.image, "interfaces", "interfaces")


@pytest.fixture(scope="module")
def instance(fleet: Interfaces) -> Iterator[str]:
    made = fleet.launch(InstanceType="t3.medium")["InstanceId"]
    yield made
    fleet.terminate(made)


def address_of(task: dict[str, Any]) -> str:
    attachment = task["attachments"][0]
    assert (attachment["type"], attachment["status"]) == ("ElasticNetworkInterface", "ATTACHED")
    details = {each["name"]: each["value"] for each in attachment["details"]}
    assert task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"] == details["privateIPv4Address"]
    return str(details["privateIPv4Address"])


def test_an_agent_says_that_its_tasks_can_have_interfaces(fleet: Interfaces, instance: str) -> None:
    names = {each["name"] for each in fleet.container_instance(instance)["attributes"]}
    assert "ecs.capability.task-eni" in names
    assert "ecs.capability.task-eni-block-instance-metadata" not in names


def test_a_tasks_own_address_answers_whom_its_group_allows(fleet: Interfaces, instance: str) -> None:
    groups = {
        name: fleet.ec2.create_security_group(GroupName=f"own-{name}", Description="of a task")["GroupId"]
        for name in ("server", "friend", "stranger")
    }
    pair = {"GroupId": groups["friend"]}
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [pair]}
    fleet.ec2.authorize_security_group_ingress(GroupId=groups["server"], IpPermissions=[rule])
    arn = fleet.begun("server", SERVE, group=groups["server"])
    address = address_of(fleet.running(arn))
    assert fleet.reached_from(address, groups["friend"])
    assert not fleet.reached_from(address, groups["stranger"])
    fleet.stop(arn)
    eventually(lambda: fleet.left_over(instance) == [])


def test_a_tasks_interface_is_seen_at_its_instance(fleet: Interfaces, instance: str) -> None:
    arn = fleet.begun("seen", "sleep 600")
    attachment = fleet.running(arn)["attachments"][0]
    details = {each["name"]: each["value"] for each in attachment["details"]}
    shown = fleet.ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])
    interface = shown["NetworkInterfaces"][0]
    assert interface["Description"] == f"arn:aws:ecs:us-east-1:000000000000:attachment/{attachment['id']}"
    assert interface["RequesterManaged"] is True and interface["InterfaceType"] == "interface"
    found = interface["Attachment"]
    assert (found["InstanceId"], found["DeviceIndex"], found["Status"]) == (instance, 1, "attached")
    assert (found["InstanceOwnerId"], found["DeleteOnTermination"]) == ("000000000000", False)
    both = fleet.instance(instance)["NetworkInterfaces"]
    assert [each["Attachment"]["DeviceIndex"] for each in both] == [0, 1]
    assert both[1]["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
    assert len(fleet.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]) == 2

    # It is ECS's to change and take away.
    own = {"NetworkInterfaceId": interface["NetworkInterfaceId"]}
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: fleet.ec2.modify_network_interface_attribute(**own, Description={"Value": "x"}), "AuthFailure"),
        (lambda: fleet.ec2.assign_private_ip_addresses(**own, SecondaryPrivateIpAddressCount=1), "AuthFailure"),
        (lambda: fleet.ec2.detach_network_interface(AttachmentId=found["AttachmentId"]), "OperationNotPermitted"),
        (lambda: fleet.ec2.delete_network_interface(**own), "InvalidParameterValue"),
    ]
    for refused, code in calls:
        with pytest.raises(fleet.ec2.exceptions.ClientError, match=code):
            refused()
    fleet.stop(arn)
    assert len(fleet.instance(instance)["NetworkInterfaces"]) == 1


def test_containers_of_a_task_share_its_name_address_and_endpoint(fleet: Interfaces, instance: str) -> None:
    checks = [
        "[ $(hostname) = $(cat /etc/hostname) ]",
        "grep -q $(hostname) /etc/hosts",
        "nslookup $(hostname) | grep -q Address",
        "wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task | grep -q CNI_PAUSE",
        'wget -qO- "http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" | grep -q taskRole',
        "! wget -qO- http://169.254.170.2/v2/credentials/other",
        "timeout 5 wget -qO- http://127.0.0.1:8000/ | grep hello",
    ]
    numbered = "; ".join(f"{{ {check}; }} || exit {number}" for number, check in enumerate(checks, 1))
    beside = {"image": fleet.image, "memory": 32, "stopTimeout": 2}
    serve = ["sh", "-c", "echo hello > /www/index.html; exec httpd -f -p 8000 -h /www"]
    first = beside | {"name": "main", "command": ["sh", "-c", f"sleep 1; {numbered}"]}
    fleet.ecs.register_task_definition(
        family="shared",
        networkMode="awsvpc",
        taskRoleArn=TASK_ROLE,
        containerDefinitions=[first, beside | {"name": "side", "command": serve, "essential": False}],
    )
    network = {"subnets": fleet.subnets()}
    answer = fleet.ecs.run_task(
        cluster=fleet.cluster, taskDefinition="shared", networkConfiguration={"awsvpcConfiguration": network}
    )
    task = fleet.stopped(answer["tasks"][0]["taskArn"])
    codes = {each["name"]: each.get("exitCode") for each in task["containers"]}
    assert codes["main"] == 0, task


def test_an_instance_has_as_many_tasks_as_its_type_has_interfaces(fleet: Interfaces, instance: str) -> None:
    both = [fleet.begun("sleeper", "sleep 600") for _ in range(2)]  # of three, the first is the instance's own
    third = fleet.start("sleeper", "sleep 600")
    assert [each["reason"] for each in third["failures"]] == ["RESOURCE:ENI"]
    for arn in both:
        fleet.running(arn)
    fleet.stop(both[0])
    fourth = fleet.begun("sleeper", "sleep 600")
    fleet.running(fourth)
    for arn in (both[1], fourth):
        fleet.stop(arn)
    eventually(lambda: fleet.left_over(instance) == [])


def test_a_task_outlives_its_agent_and_not_its_pause_container(fleet: Interfaces, instance: str) -> None:
    group = fleet.ec2.create_security_group(GroupName="open", Description="to all")["GroupId"]
    fleet.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0"
    )
    arn = fleet.begun("server", SERVE, group=group)
    address = address_of(fleet.running(arn))
    os.kill(fleet.agent(instance), signal.SIGKILL)
    fleet.inside(instance, "systemctl", "restart", "ecs")
    eventually(lambda: fleet.container_instance(instance)["agentConnected"])
    assert fleet.reached_from(address, group)
    assert fleet.task(arn)["lastStatus"] == "RUNNING"
    # Its own: that of the task before may be about to be removed.
    pause = (
        f"label=com.amazonaws.ecs.container-name=~internal~ecs~pause --filter label=com.amazonaws.ecs.task-arn={arn}"
    )
    fleet.inside(instance, "sh", "-c", f"docker kill $(docker ps -q --filter {pause})")
    fleet.stopped(arn)
    eventually(lambda: fleet.left_over(instance) == [])


def test_the_instances_metadata_can_be_kept_from_tasks(fleet: Interfaces, instance: str) -> None:
    ask = "timeout 5 wget -qO- http://169.254.169.254/latest/meta-data/instance-id 2>&1 | grep -E '^i-|401'"
    assert fleet.stopped(fleet.begun("curious", ask))["containers"][0]["exitCode"] == 0
    setting = "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config; systemctl restart ecs"
    fleet.inside(instance, "sh", "-c", setting)
    capability = "ecs.capability.task-eni-block-instance-metadata"

    def blocks() -> bool:
        found = fleet.container_instance(instance)
        return bool(found["agentConnected"]) and capability in {each["name"] for each in found["attributes"]}

    eventually(blocks)
    assert fleet.stopped(fleet.begun("curious", ask))["containers"][0]["exitCode"] == 1
    endpoint = "wget -qO- $ECS_CONTAINER_METADATA_URI_V4"
    assert fleet.stopped(fleet.begun("still", endpoint))["containers"][0]["exitCode"] == 0


def test_nothing_is_left_after_a_reboot(fleet: Interfaces, instance: str) -> None:
    arn = fleet.begun("sleeper", "sleep 600")
    fleet.running(arn)
    fleet.ec2.reboot_instances(InstanceIds=[instance])
    fleet.stopped(arn)
    eventually(lambda: fleet.container_instance(instance)["agentConnected"])
    eventually(lambda: fleet.left_over(instance) == [])
    again = fleet.begun("sleeper", "sleep 600")
    fleet.running(again)
    fleet.stop(again)
