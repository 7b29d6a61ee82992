"""Services behind load balancers on the whole platform: registered, deployed under load, killed, gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dryport.agent.settings import Settings
from dryport.elb.driver import balancer_id
from dryport.host import cgroups
from dryport.host.balancers.process import Run
from dryport.platform.leftovers import agent_dir
from tests.conftest import Platform
from tests.iam.accounts import trust
from tests.load import Load
from tests.platform.fleet import Fleet
from tests.platform.support import EXECUTION_ROLE, Tasks, eventually
from tests.ports import free_port
from tests.served import refusal

pytestmark = pytest.mark.platform

SERVE = "mkdir -p /www && echo {version} $HOSTNAME > /www/index.html && exec httpd -f -p 8080 -h /www"
CHECK = {
    "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 2,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}


class Front:
    """A load balancer that answers at a port of this machine."""

    def __init__(self, platform: Platform, kind: str = "application") -> None:
        self.protocol = "HTTP" if kind == "application" else "TCP"
        self.elb, self.ec2, self.ecs = platform.client("elbv2"), platform.client("ec2"), platform.client("ecs")
        subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda each: str(each["AvailabilityZone"]))
        self.subnets, self.vpc_id = [each["SubnetId"] for each in subnets], subnets[0]["VpcId"]
        name = f"front-{kind}"
        self.open = self.ec2.create_security_group(GroupName=name, Description="front", VpcId=self.vpc_id)["GroupId"]
        everybody = [{"CidrIp": "0.0.0.0/0"}]
        ports = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": everybody}]
        self.ec2.authorize_security_group_ingress(GroupId=self.open, IpPermissions=ports)
        made = self.elb.create_load_balancer(Name=name, Type=kind, Subnets=self.subnets, SecurityGroups=[self.open])
        self.arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        self.name = made["LoadBalancers"][0]["DNSName"]
        eventually(lambda: self._state() == "active", 30)

    def _state(self) -> str:
        found = self.elb.describe_load_balancers(LoadBalancerArns=[self.arn])["LoadBalancers"][0]
        return str(found["State"]["Code"])

    def group(self, name: str, kind: str) -> tuple[str, str]:
        """A target group with a listener: its ARN, and where it answers."""
        made = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=self.vpc_id, TargetType=kind, **CHECK
        )
        arn: str = made["TargetGroups"][0]["TargetGroupArn"]
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
        port = free_port()
        forward = [{"Type": "forward", "TargetGroupArn": arn}]
        self.elb.create_listener(LoadBalancerArn=self.arn, Protocol="HTTP", Port=port, DefaultActions=forward)
        return arn, f"http://{self.name}:{port}/"

    def targets(self, group: str) -> dict[tuple[str, int], str]:
        """The state of each target."""
        found = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return {(each["Target"]["Id"], each["Target"]["Port"]): each["TargetHealth"]["State"] for each in found}

    def delete(self) -> None:
        """Everything, and what was made with it."""
        groups = self.elb.describe_target_groups(LoadBalancerArn=self.arn)["TargetGroups"]
        self.elb.delete_load_balancer(LoadBalancerArn=self.arn)
        for each in groups:
            self.elb.delete_target_group(TargetGroupArn=each["TargetGroupArn"])
        eventually(lambda: not self._interfaces(), 60)
        self.ec2.delete_security_group(GroupId=self.open)

    def _interfaces(self) -> list[Any]:
        found = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return [each for each in found if self.open in [one["GroupId"] for one in each["Groups"]]]


class Kept:
    """A service behind a balancer."""

    def __init__(self, front: Front, name: str, cluster: str = "default") -> None:
        self.front, self.name, self.cluster, self.ecs = front, name, cluster, front.ecs

    def describe(self) -> dict[str, Any]:
        found = self.ecs.describe_services(cluster=self.cluster, services=[self.name])["services"][0]
        assert isinstance(found, dict)
        return found

    def messages(self) -> list[str]:
        return [each["message"] for each in reversed(self.describe()["events"])]

    def steady(self, seconds: float = 60.0) -> dict[str, Any]:
        """The service, once its deployment is complete."""

        def probe() -> dict[str, Any] | None:
            found = self.describe()
            alone = len(found["deployments"]) == 1 and found["runningCount"] == found["desiredCount"]
            return found if alone and found["deployments"][0]["rolloutState"] == "COMPLETED" else None

        return eventually(probe, seconds)

    def tasks(self) -> dict[str, dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=self.cluster, serviceName=self.name)["taskArns"]
        found = self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"] if arns else []
        return {each["taskArn"]: each for each in found}

    def delete(self) -> None:
        self.ecs.delete_service(cluster=self.cluster, service=self.name, force=True)
        eventually(lambda: self.describe()["status"] == "INACTIVE", 60)


@pytest.fixture(scope="module")
def front(platform: Platform) -> Iterator[Front]:
    made = Front(platform)
    yield made
    made.delete()


def _define(tasks: Tasks, family: str, version: str) -> str:
    container = tasks.container(SERVE.format(version=version), portMappings=[{"containerPort": 8080}])
    made = tasks.ecs.register_task_definition(
        family=family, networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        executionRoleArn=EXECUTION_ROLE, containerDefinitions=[container],
    )  # fmt: skip
    arn: str = made["taskDefinition"]["taskDefinitionArn"]
    return arn


def _addresses(kept: Kept) -> dict[str, str]:
    """The tasks' ARNs by their address."""
    found = {}
    for arn, task in kept.tasks().items():
        details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
        found[details["privateIPv4Address"]] = arn
    return found


def test_what_serves_gets_the_processor_before_what_starts_tasks(platform: Platform, front: Front) -> None:
    """By the weights of sessions (where Linux groups them), and of the cgroups of all tasks and of the agent."""
    agent = Settings(endpoint="", state_dir=agent_dir(platform.config)).cgroup
    assert _share("dryport") > 4 * _share(agent)
    assert platform.pid("agent") in cgroups.processes(agent)
    if not Path("/proc/self/autogroup").exists():
        return
    balancers = platform.config.balancer_dir
    master = msgspec.json.decode((balancers / balancer_id(front.arn) / "run.json").read_bytes(), type=Run).pid
    assert _nice(master) < _nice(platform.pid("control")) < _nice(platform.pid("host"))


def _share(cgroup: str) -> int:
    """Of the processors, in units of its version."""
    file = "cpu.weight" if cgroups.version() == 2 else "cpu.shares"
    return int((cgroups.directories(cgroup)[0] / file).read_text())


def _nice(pid: int) -> int:
    return int(Path(f"/proc/{pid}/autogroup").read_text().rpartition("nice ")[2])


def test_fargate_tasks_take_traffic_over_a_deployment_and_a_death(front: Front, tasks: Tasks) -> None:
    """Not a request fails while every task is replaced; one that is killed takes only what it held."""
    group, url = front.group("fargate", "ip")
    kept = Kept(front, "fargate")
    network = {"subnets": front.subnets, "securityGroups": [front.open]}
    tasks.ecs.create_service(
        serviceName="fargate", taskDefinition=_define(tasks, "fargate", "one"), desiredCount=3, launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 8080}],
    )  # fmt: skip
    kept.steady()
    assert front.targets(group) == {(address, 8080): "healthy" for address in _addresses(kept)}

    with Load(url) as load:
        tasks.ecs.update_service(service="fargate", taskDefinition=_define(tasks, "fargate", "two"))
        kept.steady(120)
        eventually(lambda: len(front.targets(group)) == 3)
    assert not load.failed
    assert {each.server.split()[0] for each in load.answers} == {"one", "two"}
    assert load.answers[-1].server.startswith("two")
    said = kept.messages()
    assert any(each.endswith(f"targets in (target-group {group})") and " deregistered " in each for each in said)

    before = _addresses(kept)
    lost = next(iter(before.values()))
    with Load(url, connections=4) as load:
        os.kill(_process(lost), signal.SIGKILL)
        eventually(lambda: lost not in kept.tasks() and set(front.targets(group).values()) == {"healthy"}, 60)
        kept.steady()
    assert len(load.failed) <= 4  # what it held
    eventually(lambda: front.targets(group).keys() == {(address, 8080) for address in _addresses(kept)})

    kept.delete()
    assert front.targets(group) == {}


def _process(task_arn: str) -> int:
    """The process of a task's server, as this machine counts."""
    wanted = f"{task_arn.rsplit('/', 1)[1]}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cgroup", "rb") as cgroup, open(f"/proc/{entry}/cmdline", "rb") as line:
                    if wanted in cgroup.read() and line.read().startswith(b"httpd"):
                        return int(entry)
            except OSError:
                continue  # it has ended meanwhile
    raise AssertionError(f"{task_arn} has no process")


@pytest.fixture(scope="module")
def instance(platform: Platform, tasks: Tasks, front: Front) -> Iterator[tuple[Fleet, str]]:
    fleet = Fleet(platform, tasks.image, "balanced", "balanced")
    made = fleet.launch(SecurityGroupIds=[front.open])["InstanceId"]
    yield fleet, made
    fleet.terminate(made)


def test_copies_on_an_instance_take_traffic_at_ports_of_their_own(front: Front, instance: tuple[Fleet, str]) -> None:
    """Bridge mode, no host port: each copy is a target by itself, and comes and goes without a lost request."""
    fleet, instance_id = instance
    group, url = front.group("bridge", "instance")
    kept = Kept(front, "bridge", fleet.cluster)
    ports = {"portMappings": [{"containerPort": 8080}], "stopTimeout": 2}
    fleet.define("bridge", SERVE.format(version="one"), **ports)
    fleet.ecs.create_service(
        cluster=fleet.cluster, serviceName="bridge", taskDefinition="bridge", desiredCount=2,
        loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 8080}],
    )  # fmt: skip
    kept.steady()

    def bound() -> set[tuple[str, int]]:
        bindings = [one for each in kept.tasks().values() for one in each["containers"][0]["networkBindings"]]
        return {(instance_id, each["hostPort"]) for each in bindings}

    assert len(bound()) == 2 and front.targets(group) == dict.fromkeys(bound(), "healthy")
    fleet.define("bridge", SERVE.format(version="two"), **ports)
    with Load(url) as load:
        fleet.ecs.update_service(cluster=fleet.cluster, service="bridge", taskDefinition="bridge")
        kept.steady(120)
        eventually(lambda: len(front.targets(group)) == 2)
    assert not load.failed
    assert load.answers[-1].server.startswith("two")
    assert front.targets(group) == dict.fromkeys(bound(), "healthy")
    kept.delete()
    assert front.targets(group) == {}


def test_a_service_behind_a_classic_balancer(front: Front, instance: tuple[Fleet, str]) -> None:
    """Its instance is registered, at a host port that a listener leads to; with a role that may; then it is gone."""
    fleet, instance_id = instance
    classic, iam = fleet.platform.client("elb"), fleet.platform.client("iam")
    port = free_port()
    listener = {"Protocol": "HTTP", "LoadBalancerPort": port, "InstancePort": 8088}
    name = classic.create_load_balancer(
        LoadBalancerName="old", Listeners=[listener], Subnets=front.subnets, SecurityGroups=[front.open]
    )["DNSName"]
    check = {"Target": "HTTP:8088/", "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 2}
    classic.configure_health_check(LoadBalancerName="old", HealthCheck=check)
    cross = {"CrossZoneLoadBalancing": {"Enabled": True}}
    classic.modify_load_balancer_attributes(LoadBalancerName="old", LoadBalancerAttributes=cross)
    fleet.define("classic", SERVE.format(version="one"), portMappings=[{"containerPort": 8080, "hostPort": 8088}])
    fleet.define("loose", SERVE.format(version="one"), portMappings=[{"containerPort": 8080}])
    behind = [{"loadBalancerName": "old", "containerName": "main", "containerPort": 8080}]

    def create(family: str = "classic", **more: Any) -> Any:
        asked = {"loadBalancers": behind, "desiredCount": 1, **more}
        return fleet.ecs.create_service(
            cluster=fleet.cluster, serviceName="classic", taskDefinition=family, **asked
        )["service"]  # fmt: skip

    unvalidated = (
        "Unable to assume role and validate the listeners configured on your load balancer. Please verify that the ECS "
        "service role being passed has the proper permissions."
    )
    for given, words in (
        ({"family": "loose"}, "A host port mapping for the container port 8080 is required."),
        ({"loadBalancers": [{**behind[0], "loadBalancerName": "none"}]}, unvalidated),
        ({"role": "taskRole"}, unvalidated),  # it does not trust ECS
        ({"role": "ecsInfrastructureRole"}, unvalidated),  # it may not look
        ({"role": "x", "loadBalancers": []}, "A role was passed, but no load balancers were present."),
    ):
        assert refusal(create, **given) == ("InvalidParameterException", words)
    iam.create_role(RoleName="ecsServiceRole", AssumeRolePolicyDocument=trust("ecs"))
    managed = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceRole"
    iam.attach_role_policy(RoleName="ecsServiceRole", PolicyArn=managed)
    made = create(role="ecsServiceRole")
    assert made["roleArn"] == "arn:aws:iam::000000000000:role/ecsServiceRole" and made["loadBalancers"] == behind

    kept = Kept(front, "classic", fleet.cluster)
    kept.steady(120)
    states = classic.describe_instance_health(LoadBalancerName="old")["InstanceStates"]
    assert [(each["InstanceId"], each["State"]) for each in states] == [(instance_id, "InService")]
    with Load(f"http://{name}:{port}/") as load:
        time.sleep(1)
    assert load.answers and not load.failed
    assert "(service classic) registered 1 instances in (elb old)" in kept.messages()

    kept.delete()
    assert classic.describe_instance_health(LoadBalancerName="old")["InstanceStates"] == []
    assert "(service classic) deregistered 1 instances in (elb old)" in kept.messages()
    classic.delete_load_balancer(LoadBalancerName="old")
    iam.detach_role_policy(RoleName="ecsServiceRole", PolicyArn=managed)
    iam.delete_role(RoleName="ecsServiceRole")
