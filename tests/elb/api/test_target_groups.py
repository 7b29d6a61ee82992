"""Target groups, their targets and health, called by boto3 through the gateway."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.elb.api.conftest import ACCOUNT, forward, state_of
from tests.served import Served, refusal

Make = Callable[..., Any]
_NOT_IN_USE = {
    "State": "unused",
    "Reason": "Target.NotInUse",
    "Description": "Target group is not configured to receive traffic from the load balancer",
}
_INITIAL = {
    "State": "initial",
    "Reason": "Elb.RegistrationInProgress",
    "Description": "Target registration is in progress",
}


def test_a_target_group_member_by_member(elb: Any, vpc_id: str, group: Make) -> None:
    made = group(Name="web")
    arn = made["TargetGroupArn"]
    assert re.fullmatch(rf"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/web/[0-9a-f]{{16}}", arn)
    assert made == {
        "TargetGroupArn": arn,
        "TargetGroupName": "web",
        "Protocol": "HTTP",
        "Port": 80,
        "VpcId": vpc_id,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/",
        "Matcher": {"HttpCode": "200"},
        "LoadBalancerArns": [],
        "TargetType": "instance",
        "ProtocolVersion": "HTTP1",
        "IpAddressType": "ipv4",
    }
    assert elb.describe_target_groups(Names=["web"])["TargetGroups"] == [made]
    assert group(Name="web") == made
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    )
    assert group(Name="web") == made
    assert refusal(group, Name="web", Port=81) == (
        "DuplicateTargetGroupName",
        "A target group with the same name 'web' exists, but with different settings",
    )


def test_health_checks_of_tcp(elb: Any, group: Make) -> None:
    tcp = group(Protocol="TCP", TargetType="ip")
    assert (tcp["HealthCheckProtocol"], tcp["HealthCheckTimeoutSeconds"]) == ("TCP", 10)
    assert not {"Matcher", "HealthCheckPath", "ProtocolVersion"} & tcp.keys()
    changed = elb.modify_target_group(
        TargetGroupArn=tcp["TargetGroupArn"], HealthCheckProtocol="HTTP", HealthCheckPort="8080"
    )["TargetGroups"][0]
    assert changed["HealthCheckTimeoutSeconds"] == 6 and changed["HealthCheckPort"] == "8080"
    assert changed["Matcher"] == {"HttpCode": "200-399"} and changed["HealthCheckPath"] == "/"
    again = elb.modify_target_group(TargetGroupArn=tcp["TargetGroupArn"], HealthCheckPath="/up")["TargetGroups"][0]
    assert again == {**changed, "HealthCheckPath": "/up"}
    assert refusal(group, Protocol="TCP", Matcher={"HttpCode": "200"}) == (
        "InvalidConfigurationRequest",
        "Custom health check matchers are not supported for health checks for target groups with the TCP protocol.",
    )


def test_a_tls_target_group(elb: Any, group: Make) -> None:
    made = group(Protocol="TLS", TargetType="ip", Port=443)
    assert (made["HealthCheckProtocol"], made["HealthCheckTimeoutSeconds"]) == ("TCP", 10)


def test_health_checks_of_grpc(elb: Any, group: Make) -> None:
    made = group(ProtocolVersion="GRPC")
    assert (made["HealthCheckPath"], made["Matcher"]) == ("/AWS.ALB/healthcheck", {"GrpcCode": "12"})
    arn = made["TargetGroupArn"]
    changed = elb.modify_target_group(TargetGroupArn=arn, Matcher={"GrpcCode": "0-1,14"}, HealthCheckPath="/a.B/C")
    assert changed["TargetGroups"] == [{**made, "Matcher": {"GrpcCode": "0-1,14"}, "HealthCheckPath": "/a.B/C"}]
    assert refusal(elb.modify_target_group, TargetGroupArn=arn, Matcher={"GrpcCode": "100"})[0] == "ValidationError"
    assert refusal(elb.modify_target_group, TargetGroupArn=arn, Matcher={"HttpCode": "200"})[0] == "ValidationError"
    assert refusal(group, Matcher={"GrpcCode": "0"})[0] == "ValidationError"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"Name": "a" * 33}, f"Target group name '{'a' * 33}' cannot be longer than '32' characters"),
        (
            {"Name": "test@test"},
            "Target group name 'test@test' can only contain characters that are alphanumeric characters or hyphens(-)",
        ),
        (
            {"Name": "Na--me"},
            "1 validation error detected: Value 'Na--me' at 'targetGroup.targetGroupArn.targetGroupName' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: (?!.*--)(?!^-)(?!.*-$)^[A-Za-z0-9-]+$",
        ),
        ({"Port": None}, "A port must be specified"),
        ({"Protocol": None}, "A protocol must be specified"),
        ({"VpcId": None}, "A VPC ID must be specified"),
        ({"VpcId": "vpc-00000000"}, "The VPC ID 'vpc-00000000' is not found"),
        (
            {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 5},
            "Health check timeout '5' must be smaller than the interval '5'",
        ),
        (
            {"Protocol": "TCP", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 6},
            "Health check timeout '6' must be smaller than or equal to the interval '5'",
        ),
        ({"Matcher": {"HttpCode": "500"}}, "Health check matcher HTTP code '500' must be within '200-499' inclusive"),
        ({"Matcher": {"HttpCode": "20x"}}, "Health check matcher HTTP code '20x' is not valid"),
        (
            {"HealthCheckProtocol": "TCP"},
            "Health check protocol 'TCP' must be one of 'HTTP, HTTPS'",
        ),
        ({"ProtocolVersion": "HTTP3"}, "Protocol version 'HTTP3' must be one of 'GRPC, HTTP1, HTTP2'"),
    ],
)
def test_what_is_asked_wrongly(elb: Any, vpc_id: str, more: dict[str, Any], message: str) -> None:
    asked = {"Name": "wrong", "Protocol": "HTTP", "Port": 80, "VpcId": vpc_id, **more}
    asked = {name: value for name, value in asked.items() if value is not None}
    assert refusal(elb.create_target_group, **asked) == ("ValidationError", message)
    assert refusal(elb.describe_target_groups, Names=["wrong"]) == (
        "TargetGroupNotFound",
        "One or more target groups not found",
    )


@pytest.mark.parametrize("more", [{"Protocol": "QUIC"}, {"TargetType": "lambda"}])
def test_what_is_not_acted_on_is_refused_by_name(group: Make, more: dict[str, str]) -> None:
    code, message = refusal(group, **more)
    assert code == "NotImplemented" and next(iter(more.values())) in message


def test_targets_that_are_instances(
    elb: Any, ec2: Any, served: Served, balancer: Make, group: Make, instance: str, other_vpc: Any
) -> None:
    arn = group(Port=8080)["TargetGroupArn"]

    def health(**more: Any) -> Any:
        return elb.describe_target_health(TargetGroupArn=arn, **more)["TargetHealthDescriptions"]

    for target, message in (
        ("i-00000000000000000", "The following targets are not valid instances: 'i-00000000000000000'"),
        ("10.0.0.1", "Instance ID '10.0.0.1' is not valid"),
    ):
        targets = [{"Id": instance}, {"Id": target}]
        assert refusal(elb.register_targets, TargetGroupArn=arn, Targets=targets)[1] == message
    assert health() == []
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}, {"Id": instance, "Port": 9090}])
    assert health(Targets=[{"Id": instance, "Port": 8080}]) == [
        {"Target": {"Id": instance, "Port": 8080}, "HealthCheckPort": "8080", "TargetHealth": _NOT_IN_USE}
    ]
    assert health(Targets=[{"Id": instance, "Port": 1}]) == [
        {
            "Target": {"Id": instance, "Port": 1},
            "TargetHealth": {
                "State": "unused",
                "Reason": "Target.NotRegistered",
                "Description": "Target is not registered to the target group",
            },
        }
    ]
    lb = balancer()["LoadBalancerArn"]
    elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=80, DefaultActions=forward(arn))
    assert [each["TargetHealth"] for each in health()] == [_INITIAL, _INITIAL]
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance, "Port": 9090}, {"Id": "i-0badbadbadbadbad0"}])
    draining = health(Targets=[{"Id": instance, "Port": 9090}])[0]["TargetHealth"]
    assert (draining["State"], draining["Reason"]) == ("draining", "Target.DeregistrationInProgress")
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance, "Port": 9090}])
    assert health(Targets=[{"Id": instance, "Port": 9090}])[0]["TargetHealth"] == _INITIAL
    foreign = elb.create_target_group(Name="foreign", Protocol="HTTP", Port=80, VpcId=other_vpc[0])["TargetGroups"][0]
    assert refusal(elb.register_targets, TargetGroupArn=foreign["TargetGroupArn"], Targets=[{"Id": instance}]) == (
        "InvalidTarget",
        f"The following targets are not in the target group VPC '{other_vpc[0]}': '{instance}'",
    )
    elb.delete_target_group(TargetGroupArn=foreign["TargetGroupArn"])
    ec2.stop_instances(InstanceIds=[instance])
    while state_of(ec2, instance) != "stopped":
        pass
    stopped = health(Targets=[{"Id": instance}])[0]["TargetHealth"]
    assert stopped == {
        "State": "unused",
        "Reason": "Target.InvalidState",
        "Description": "Target is in the stopped state",
    }
    assert refusal(elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": instance, "Port": 7}]) == (
        "InvalidTarget",
        f"The following targets are not in a running state and cannot be registered: '{instance}'",
    )
    ec2.start_instances(InstanceIds=[instance])
    elb.delete_load_balancer(LoadBalancerArn=lb)
    elb.delete_target_group(TargetGroupArn=arn)


def test_targets_that_are_addresses(elb: Any, balancer: Make, group: Make, subnets: list[Any]) -> None:
    arn = group(TargetType="ip")["TargetGroupArn"]
    inside = [each["CidrBlock"].replace(".0/20", ".9") for each in subnets]
    zone = subnets[0]["AvailabilityZone"]
    for target, message in (
        ({"Id": "10.0.0"}, "The IP address '10.0.0' is not a valid IPv4 address"),
        ({"Id": "8.8.8.8"}, "The IP address '8.8.8.8' is not in the VPC, nor in the ranges of RFC 1918 and RFC 6598"),
        (
            {"Id": "10.1.2.3"},
            "The Availability Zone is required for IP address '10.1.2.3' because it is not in the VPC",
        ),
        (
            {"Id": inside[0], "AvailabilityZone": "all"},
            f"The IP address '{inside[0]}' is within the VPC, and cannot have its Availability Zone overridden to "
            f"'all' from '{zone}'",
        ),
    ):
        assert refusal(elb.register_targets, TargetGroupArn=arn, Targets=[target]) == ("ValidationError", message)
    targets = [{"Id": inside[0]}, {"Id": "10.1.2.3", "Port": 81, "AvailabilityZone": "all"}, {"Id": inside[2]}]
    elb.register_targets(TargetGroupArn=arn, Targets=targets)
    lb = balancer()["LoadBalancerArn"]  # in the first two zones
    elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=80, DefaultActions=forward(arn))
    found = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    shown = {each["Target"]["Id"]: (each["Target"]["AvailabilityZone"], each["TargetHealth"]) for each in found}
    assert shown[inside[0]] == (zone, _INITIAL)
    assert shown["10.1.2.3"] == ("all", _INITIAL)
    assert shown[inside[2]][0] == subnets[2]["AvailabilityZone"]
    assert shown[inside[2]][1] == {
        "State": "unused",
        "Reason": "Target.NotInUse",
        "Description": "Target is in an Availability Zone that is not enabled for the load balancer",
    }
    assert refusal(elb.delete_target_group, TargetGroupArn=arn) == (
        "ResourceInUse",
        f"Target group '{arn}' is currently in use by a listener or a rule",
    )
    assert elb.describe_target_groups(LoadBalancerArn=lb)["TargetGroups"][0]["LoadBalancerArns"] == [lb]
    elb.delete_load_balancer(LoadBalancerArn=lb)
    elb.delete_target_group(TargetGroupArn=arn)
    elb.delete_target_group(TargetGroupArn=arn)
    assert refusal(elb.describe_target_health, TargetGroupArn=arn) == (
        "TargetGroupNotFound",
        f"Target groups '{arn}' not found",
    )


def test_no_more_than_a_thousand_targets(elb: Any, group: Make) -> None:
    arn = group(TargetType="ip")["TargetGroupArn"]
    targets = [{"Id": f"10.9.{n // 250}.{n % 250}", "Port": 80, "AvailabilityZone": "all"} for n in range(1000)]
    elb.register_targets(TargetGroupArn=arn, Targets=targets)
    assert (
        refusal(elb.register_targets, TargetGroupArn=arn, Targets=[{**targets[0], "Port": 81}])[0] == "TooManyTargets"
    )
    elb.deregister_targets(TargetGroupArn=arn, Targets=targets)
    assert elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] == []


def test_pages(elb: Any, group: Make) -> None:
    made = [group()["TargetGroupArn"] for _ in range(3)]
    pages = elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 2})
    found = [each["TargetGroupArn"] for page in pages for each in page["TargetGroups"]]
    assert set(made) <= set(found) and len(found) == len(set(found))
    assert refusal(elb.describe_target_groups, Marker="?")[0] == "ValidationError"
