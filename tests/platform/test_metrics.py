"""Services' own metrics in CloudWatch, of containers that run."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.platform.support import EXECUTION_ROLE, Tasks, eventually
from tests.ports import free_port

pytestmark = pytest.mark.platform


def points(tasks: Tasks, namespace: str, name: str, dimensions: dict[str, str], *statistics: str) -> list[Any]:
    """The data points of the last ten minutes."""
    now = datetime.now(UTC)
    answer = tasks.platform.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=list(statistics),
    )
    return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])


def test_a_busy_service_is_seen_to_be_busy(tasks: Tasks) -> None:
    cli = tasks.platform.cli
    subnet = tasks.platform.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    tasks.ecs.register_task_definition(
        family="busy", networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        executionRoleArn=EXECUTION_ROLE, containerDefinitions=[tasks.container("while :; do :; done")],
    )  # fmt: skip
    cli(
        "ecs", "create-service", "--service-name", "busy", "--task-definition", "busy", "--desired-count", "1",
        "--launch-type", "FARGATE", "--network-configuration", f"awsvpcConfiguration={{subnets=[{subnet}]}}",
    )  # fmt: skip
    dimensions = {"ClusterName": "default", "ServiceName": "busy"}
    try:

        def full() -> list[Any]:
            found = points(tasks, "AWS/ECS", "CPUUtilization", dimensions, "Average", "SampleCount")
            return [point for point in found if point["Average"] > 60]

        point = eventually(full, seconds=200)[0]
        assert (point["SampleCount"], point["Unit"]) == (1.0, "Percent")
        assert point["Average"] < 130, "it may use a quarter of a CPU"
        [memory] = points(tasks, "AWS/ECS", "MemoryUtilization", dimensions, "Average")[-1:]
        assert 0 <= memory["Average"] < 10
    finally:
        cli("ecs", "delete-service", "--service", "busy", "--force")
        cli("ecs", "wait", "services-inactive", "--services", "busy")


def test_a_load_balancers_requests_are_counted(tasks: Tasks) -> None:
    """Its alarm goes off for answers that its targets did not give, as deployments' do; a classic one counts, too."""
    elb, ec2 = tasks.platform.client("elbv2"), tasks.platform.client("ec2")
    cloudwatch = tasks.platform.client("cloudwatch")
    subnets = ec2.describe_subnets()["Subnets"]
    group = ec2.create_security_group(GroupName="counted", Description="counted", VpcId=subnets[0]["VpcId"])["GroupId"]
    everybody = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=everybody)
    made = elb.create_load_balancer(
        Name="counted", Subnets=[each["SubnetId"] for each in subnets[:2]], SecurityGroups=[group]
    )["LoadBalancers"][0]
    arn, port, other = made["LoadBalancerArn"], free_port(), free_port()
    classic = tasks.platform.client("elb")
    listener = {"Protocol": "HTTP", "LoadBalancerPort": other, "InstancePort": 80}
    zones = [each["AvailabilityZone"] for each in subnets[:2]]
    old = classic.create_load_balancer(
        LoadBalancerName="old", Listeners=[listener], AvailabilityZones=zones, SecurityGroups=[group]
    )["DNSName"]
    name = arn.partition(":loadbalancer/")[2]
    answer = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "MessageBody": "no"}}
    try:
        elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=[answer])
        cloudwatch.put_metric_alarm(
            AlarmName="counted", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_ELB_5XX_Count", Statistic="Sum",
            Dimensions=[{"Name": "LoadBalancer", "Value": name}], Period=60, EvaluationPeriods=1, Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="notBreaching",
        )  # fmt: skip

        refused = {
            "AWS/ApplicationELB": ("HTTPCode_ELB_5XX_Count", {"LoadBalancer": name}),
            "AWS/ELB": ("HTTPCode_ELB_5XX", {"LoadBalancerName": "old"}),
        }

        def counted() -> float:
            """Requests that were refused, while they are made: the fewer of both balancers'."""
            for url in (f"http://{made['DNSName']}:{port}/", f"http://{old}:{other}/"):
                subprocess.run(["curl", "-s", "-o", "/dev/null", "-m", "2", url], check=False)
            time.sleep(1)
            found = {space: points(tasks, space, *asked, "Sum") for space, asked in refused.items()}
            fewest: float = min(sum(point["Sum"] for point in each) for each in found.values())
            return fewest

        assert 1 <= eventually(counted, 200) <= 200
        connections = points(tasks, "AWS/ApplicationELB", "NewConnectionCount", {"LoadBalancer": name}, "Sum")
        assert connections[-1]["Sum"] >= 1

        def alarming() -> bool:
            return bool(cloudwatch.describe_alarms(AlarmNames=["counted"], StateValue="ALARM")["MetricAlarms"])

        eventually(alarming, 90)
    finally:
        cloudwatch.delete_alarms(AlarmNames=["counted"])
        elb.delete_load_balancer(LoadBalancerArn=arn)
        classic.delete_load_balancer(LoadBalancerName="old")
        ours = {"Filters": [{"Name": "group-id", "Values": [group]}]}
        eventually(lambda: not ec2.describe_network_interfaces(**ours)["NetworkInterfaces"], 30)
        ec2.delete_security_group(GroupId=group)
