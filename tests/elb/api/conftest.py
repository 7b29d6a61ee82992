"""The API of Elastic Load Balancing behind the real gateway, with EC2 on a machine of the tests' own."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dryport.acm.room import room as acm_room
from dryport.control.context import Room
from dryport.ec2.room import room_on as ec2_room_on
from dryport.elb.api import SERVICE
from dryport.elb.classic.api import SERVICE as CLASSIC
from dryport.iam.room import room as iam_room
from dryport.ssm.room import room as ssm_room
from tests.ec2.machine import Machine
from tests.served import Served

ACCOUNT = "000000000000"
_IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-elb-"))
    machine = Machine()
    alone = Room(
        services={"elbv2": lambda: SERVICE, "elb": lambda: CLASSIC}
    )  # nobody balances: what is wanted stays as it was asked for
    # Nobody issues: what is requested stays pending.
    acm = lambda context: Room(services=acm_room(context).services)  # noqa: E731
    ec2 = lambda context: ec2_room_on(context, machine)  # noqa: E731
    made = Served(state_dir, [ec2, ssm_room, iam_room, acm, lambda context: alone])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="module")
def elb(served: Served) -> Any:
    return served.client("elbv2")


@pytest.fixture(scope="module")
def ec2(served: Served) -> Any:
    return served.client("ec2")


@pytest.fixture(scope="module")
def vpc_id(ec2: Any) -> str:
    return str(ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"])


@pytest.fixture(scope="module")
def subnets(ec2: Any, vpc_id: str) -> list[Any]:
    """The default subnets, by zone."""
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
    return sorted(found, key=lambda each: str(each["AvailabilityZone"]))


@pytest.fixture(scope="module")
def other_vpc(ec2: Any) -> Any:
    """A VPC without an internet gateway, with a subnet in each of two zones."""
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    return vpc, [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.77.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in enumerate("ab")
    ]


def fresh(word: str = "a") -> str:
    """A name that nobody has yet."""
    return f"{word}-{next(_NUMBERS)}"


@pytest.fixture
def balancer(elb: Any, subnets: list[Any]) -> Iterator[Callable[..., Any]]:
    """Makes load balancers in the first two zones, which go at the end."""
    made: list[str] = []

    def make(**more: Any) -> Any:
        asked = {"Name": fresh("lb"), "Subnets": [each["SubnetId"] for each in subnets[:2]], **more}
        found = elb.create_load_balancer(**asked)["LoadBalancers"][0]
        made.append(found["LoadBalancerArn"])
        return found

    yield make
    for each in made:
        elb.delete_load_balancer(LoadBalancerArn=each)


@pytest.fixture
def group(elb: Any, vpc_id: str) -> Iterator[Callable[..., Any]]:
    """Makes target groups, which go at the end where nothing uses them."""
    made: list[str] = []

    def make(**more: Any) -> Any:
        asked = {"Name": fresh("tg"), "Protocol": "HTTP", "Port": 80, "VpcId": vpc_id, **more}
        found = elb.create_target_group(**asked)["TargetGroups"][0]
        made.append(found["TargetGroupArn"])
        return found

    yield make
    found = elb.describe_target_groups()["TargetGroups"]
    used = {each["TargetGroupArn"] for each in found if each["LoadBalancerArns"]}
    for each in made:
        if each not in used:
            elb.delete_target_group(TargetGroupArn=each)


@pytest.fixture
def listener(elb: Any, balancer: Callable[..., Any]) -> Any:
    """An HTTP listener that answers by itself."""
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    return elb.create_listener(
        LoadBalancerArn=balancer()["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[answer]
    )["Listeners"][0]


@pytest.fixture(scope="module")
def instance(served: Served, ec2: Any, subnets: list[Any]) -> str:
    """The id of a running instance in the first zone."""
    image = served.client("ssm").get_parameter(Name=_IMAGE)["Parameter"]["Value"]
    made = ec2.run_instances(
        ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=subnets[0]["SubnetId"]
    )["Instances"][0]["InstanceId"]
    while state_of(ec2, made) != "running":
        time.sleep(0.02)
    return str(made)


def state_of(ec2: Any, instance_id: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance_id])
    return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])


def forward(arn: str) -> list[dict[str, Any]]:
    """Actions that forward to a target group."""
    return [{"Type": "forward", "TargetGroupArn": arn}]
