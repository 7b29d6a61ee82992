"""Classic load balancers, called by boto3 through the gateway."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.elb.api.conftest import ACCOUNT, fresh
from tests.served import refusal

HTTP = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 8080}


@pytest.fixture(scope="module")
def classic(served: Any) -> Any:
    return served.client("elb")


@pytest.fixture
def name(classic: Any) -> Iterator[str]:
    """A load balancer's name; it is there in two zones."""
    made = fresh("lb")
    classic.create_load_balancer(
        LoadBalancerName=made, Listeners=[HTTP], AvailabilityZones=["us-east-1a", "us-east-1b"]
    )
    yield made
    classic.delete_load_balancer(LoadBalancerName=made)


def described(classic: Any, name: str) -> Any:
    return classic.describe_load_balancers(LoadBalancerNames=[name])["LoadBalancerDescriptions"][0]


def refuses(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    return refusal(call, **given)


def test_a_load_balancer_member_by_member(classic: Any, ec2: Any, vpc_id: str, subnets: list[Any]) -> None:
    made = classic.create_load_balancer(
        LoadBalancerName="My-LB",
        Listeners=[HTTP, {"Protocol": "tcp", "LoadBalancerPort": 25, "InstancePort": 2525}],
        AvailabilityZones=["us-east-1a", "us-east-1b"],
        Tags=[{"Key": "team", "Value": "web"}],
    )
    assert re.fullmatch(r"My-LB-[0-9]{9,10}\.us-east-1\.elb\.localhost", made["DNSName"])
    default = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]["GroupId"]
    found = described(classic, "My-LB")
    assert found == {
        "LoadBalancerName": "My-LB",
        "DNSName": made["DNSName"],
        "CanonicalHostedZoneName": made["DNSName"],
        "CanonicalHostedZoneNameID": "Z35SXDOTRQ7X7K",
        "ListenerDescriptions": [
            {
                "Listener": {
                    "Protocol": "TCP", "LoadBalancerPort": 25, "InstanceProtocol": "TCP", "InstancePort": 2525
                },
                "PolicyNames": [],
            },
            {"Listener": {**HTTP, "InstanceProtocol": "HTTP"}, "PolicyNames": []},
        ],
        "Policies": {"AppCookieStickinessPolicies": [], "LBCookieStickinessPolicies": [], "OtherPolicies": []},
        "BackendServerDescriptions": [],
        "AvailabilityZones": ["us-east-1a", "us-east-1b"],
        "Subnets": [each["SubnetId"] for each in subnets[:2]],
        "VPCId": vpc_id,
        "Instances": [],
        "HealthCheck": {
            "Target": "TCP:8080", "Interval": 30, "Timeout": 5, "UnhealthyThreshold": 2, "HealthyThreshold": 10
        },
        "SourceSecurityGroup": {"OwnerAlias": ACCOUNT, "GroupName": "default"},
        "SecurityGroups": [default],
        "CreatedTime": found["CreatedTime"],
        "Scheme": "internet-facing",
    }  # fmt: skip
    tags = classic.describe_tags(LoadBalancerNames=["My-LB"])["TagDescriptions"]
    assert tags == [{"LoadBalancerName": "My-LB", "Tags": [{"Key": "team", "Value": "web"}]}]
    classic.add_tags(LoadBalancerNames=["My-LB"], Tags=[{"Key": "stage", "Value": "prod"}])
    classic.remove_tags(LoadBalancerNames=["My-LB"], Tags=[{"Key": "team"}])
    tags = classic.describe_tags(LoadBalancerNames=["My-LB"])["TagDescriptions"][0]["Tags"]
    assert tags == [{"Key": "stage", "Value": "prod"}]
    classic.delete_load_balancer(LoadBalancerName="My-LB")
    classic.delete_load_balancer(LoadBalancerName="My-LB")
    assert refuses(classic.describe_load_balancers, LoadBalancerNames=["My-LB"]) == (
        "LoadBalancerNotFound", "There is no ACTIVE Load Balancer named 'My-LB'"
    )  # fmt: skip


def test_what_exists_and_what_cannot_be(classic: Any, elb: Any, name: str, subnets: list[Any], other_vpc: Any) -> None:
    zones = ["us-east-1a", "us-east-1b"]
    again = classic.create_load_balancer(LoadBalancerName=name, Listeners=[HTTP], AvailabilityZones=zones)
    assert again["DNSName"] == described(classic, name)["DNSName"]
    create = classic.create_load_balancer
    other = {**HTTP, "InstancePort": 81}
    assert refuses(create, LoadBalancerName=name, Listeners=[other], AvailabilityZones=zones) == (
        "DuplicateLoadBalancerName",
        f"Load Balancer named '{name}' already exists and it is configured with different parameters.",
    )
    for given, code, words in (
        ({}, "ValidationError", "Either AvailabilityZones or SubnetIds must be specified"),
        (
            {"Subnets": [subnets[0]["SubnetId"]], "AvailabilityZones": zones},
            "ValidationError",
            "Only one of SubnetIds or AvailabilityZones may be specified",
        ),
        ({"Subnets": ["subnet-0"]}, "SubnetNotFound", "The subnet ID 'subnet-0' does not exist"),
        ({"Subnets": other_vpc[1]}, "InvalidSubnet", f"VPC {other_vpc[0]} has no internet gateway"),
        ({"AvailabilityZones": zones, "SecurityGroups": ["sg-0"]}, "InvalidSecurityGroup", "sg-0"),
        ({"AvailabilityZones": zones, "Scheme": "sideways"}, "InvalidScheme", "sideways"),
    ):
        found = refuses(create, LoadBalancerName="x", Listeners=[HTTP], **given)
        assert found[0] == code and words in found[1]
    assert refuses(create, LoadBalancerName="x" * 33, Listeners=[HTTP], AvailabilityZones=zones) == (
        "ValidationError", "LoadBalancer name cannot be longer than 32 characters"
    )  # fmt: skip
    # The other API does not know it.
    assert name not in [each["LoadBalancerName"] for each in elb.describe_load_balancers()["LoadBalancers"]]


def test_listeners(classic: Any, name: str) -> None:
    create = classic.create_load_balancer_listeners
    create(LoadBalancerName=name, Listeners=[HTTP, {"Protocol": "TCP", "LoadBalancerPort": 81, "InstancePort": 81}])
    create(LoadBalancerName=name, Listeners=[HTTP])
    assert refuses(create, LoadBalancerName=name, Listeners=[{**HTTP, "InstancePort": 1}]) == (
        "DuplicateListener",
        f"A listener already exists for {name} with LoadBalancerPort 80, but with a different InstancePort, Protocol, "
        "or SSLCertificateId",
    )
    for given, code in (
        ({"Protocol": "UDP"}, "UnsupportedProtocol"),
        ({"InstanceProtocol": "TCP"}, "ValidationError"),
        ({"Protocol": "HTTPS"}, "ValidationError"),
        ({"SSLCertificateId": "arn:aws:iam::000000000000:server-certificate/none"}, "ValidationError"),
        ({"InstanceProtocol": "HTTPS"}, "InvalidConfigurationRequest"),  # the port has a plain one
    ):
        asked = {**HTTP, "LoadBalancerPort": 99, **given}
        assert refuses(create, LoadBalancerName=name, Listeners=[asked])[0] == code
    missing = "arn:aws:iam::000000000000:server-certificate/none"
    asked = {**HTTP, "Protocol": "HTTPS", "LoadBalancerPort": 99, "SSLCertificateId": missing}
    assert refuses(create, LoadBalancerName=name, Listeners=[asked]) == (
        "CertificateNotFound", f"Server Certificate not found for the key: {missing}"
    )  # fmt: skip
    set_certificate = classic.set_load_balancer_listener_ssl_certificate
    given = {"LoadBalancerName": name, "SSLCertificateId": missing}
    assert refuses(set_certificate, LoadBalancerPort=99, **given)[0] == "ListenerNotFound"
    assert refuses(set_certificate, LoadBalancerPort=80, **given)[0] == "InvalidConfigurationRequest"
    classic.delete_load_balancer_listeners(LoadBalancerName=name, LoadBalancerPorts=[81, 4711])
    ports = [each["Listener"]["LoadBalancerPort"] for each in described(classic, name)["ListenerDescriptions"]]
    assert ports == [80]


def test_places(classic: Any, name: str, subnets: list[Any]) -> None:
    third = subnets[2]["SubnetId"]
    enable = classic.enable_availability_zones_for_load_balancer
    assert enable(LoadBalancerName=name, AvailabilityZones=["us-east-1c"])["AvailabilityZones"] == [
        "us-east-1a", "us-east-1b", "us-east-1c"
    ]  # fmt: skip
    disable = classic.disable_availability_zones_for_load_balancer
    assert disable(LoadBalancerName=name, AvailabilityZones=["us-east-1a"])["AvailabilityZones"] == [
        "us-east-1b", "us-east-1c"
    ]  # fmt: skip
    left = classic.detach_load_balancer_from_subnets(LoadBalancerName=name, Subnets=[third])["Subnets"]
    assert left == [subnets[1]["SubnetId"]]
    more = classic.attach_load_balancer_to_subnets(LoadBalancerName=name, Subnets=[third])["Subnets"]
    assert more == [*left, third]
    assert refuses(disable, LoadBalancerName=name, AvailabilityZones=["us-east-1b", "us-east-1c"])[0] == (
        "InvalidConfigurationRequest"
    )
    assert refuses(classic.detach_load_balancer_from_subnets, LoadBalancerName=name, Subnets=["subnet-1"])[0] == (
        "InvalidConfigurationRequest"
    )


@pytest.mark.parametrize("target", ["TCP:22", "SSL:443", "HTTP:80/a/b?c=d", "HTTPS:8443/"])
def test_health_checks(classic: Any, name: str, target: str) -> None:
    asked = {"Target": target, "Interval": 10, "Timeout": 4, "UnhealthyThreshold": 3, "HealthyThreshold": 2}
    assert classic.configure_health_check(LoadBalancerName=name, HealthCheck=asked)["HealthCheck"] == asked
    assert described(classic, name)["HealthCheck"] == asked


def test_health_checks_that_cannot_be(classic: Any, name: str) -> None:
    asked = {"Target": "TCP:22", "Interval": 10, "Timeout": 4, "UnhealthyThreshold": 3, "HealthyThreshold": 2}
    pathless = (
        "HealthCheck HTTP Target must specify a port followed by a path that begins with a slash. e.g. "
        "HTTP:80/ping/this/path"
    )
    for given, words in (
        ({"Target": "HTTP:80"}, pathless),
        ({"Target": "HTTP:80 x"}, pathless),
        ({"Target": "TCP:80/x"}, "must specify a port only"),
        ({"Target": "TCP:70000"}, "in the range 1 to 65535"),
        ({"Target": "ICMP:1"}, "must be a protocol of"),
        ({"Timeout": 10}, "HealthCheck timeout must be less than interval"),
    ):
        found = refuses(classic.configure_health_check, LoadBalancerName=name, HealthCheck={**asked, **given})
        assert found[0] == "ValidationError" and words in found[1]


def test_policies(classic: Any, name: str) -> None:
    lb = {"LoadBalancerName": name}
    classic.create_app_cookie_stickiness_policy(**lb, PolicyName="app", CookieName="session")
    classic.create_lb_cookie_stickiness_policy(**lb, PolicyName="browser")
    classic.create_lb_cookie_stickiness_policy(**lb, PolicyName="minute", CookieExpirationPeriod=60)
    proxy = [{"AttributeName": "ProxyProtocol", "AttributeValue": "true"}]
    create = classic.create_load_balancer_policy
    create(**lb, PolicyName="proxy", PolicyTypeName="ProxyProtocolPolicyType", PolicyAttributes=proxy)
    assert refuses(create, **lb, PolicyName="proxy", PolicyTypeName="ProxyProtocolPolicyType", PolicyAttributes=proxy)[
        0
    ] == ("DuplicatePolicyName")
    assert refuses(create, **lb, PolicyName="y", PolicyTypeName="Y")[0] == "PolicyTypeNotFound"
    assert refuses(create, **lb, PolicyName="y", PolicyTypeName="ProxyProtocolPolicyType")[0] == (
        "InvalidConfigurationRequest"
    )
    assert described(classic, name)["Policies"] == {
        "AppCookieStickinessPolicies": [{"PolicyName": "app", "CookieName": "session"}],
        "LBCookieStickinessPolicies": [
            {"PolicyName": "browser"},
            {"PolicyName": "minute", "CookieExpirationPeriod": 60},
        ],
        "OtherPolicies": ["proxy"],
    }
    enable = classic.set_load_balancer_policies_of_listener
    enable(**lb, LoadBalancerPort=80, PolicyNames=["app"])
    assert described(classic, name)["ListenerDescriptions"][0]["PolicyNames"] == ["app"]
    assert refuses(enable, **lb, LoadBalancerPort=80, PolicyNames=["app", "minute"])[0] == (
        "InvalidConfigurationRequest"
    )
    assert refuses(enable, **lb, LoadBalancerPort=80, PolicyNames=["proxy"])[0] == "InvalidConfigurationRequest"
    assert refuses(enable, **lb, LoadBalancerPort=80, PolicyNames=["none"]) == (
        "PolicyNotFound", f"There is no policy with name none for load balancer {name}"
    )  # fmt: skip
    assert refuses(enable, **lb, LoadBalancerPort=9, PolicyNames=["app"])[0] == "ListenerNotFound"
    backend = classic.set_load_balancer_policies_for_backend_server
    backend(**lb, InstancePort=8080, PolicyNames=["proxy"])
    assert described(classic, name)["BackendServerDescriptions"] == [{"InstancePort": 8080, "PolicyNames": ["proxy"]}]
    delete = classic.delete_load_balancer_policy
    for used in ("app", "proxy"):
        assert refuses(delete, **lb, PolicyName=used)[0] == "InvalidConfigurationRequest"
    backend(**lb, InstancePort=8080, PolicyNames=[])
    enable(**lb, LoadBalancerPort=80, PolicyNames=[])
    for each in ("app", "proxy", "minute", "none"):
        delete(**lb, PolicyName=each)
    found = classic.describe_load_balancer_policies(**lb)["PolicyDescriptions"]
    assert found == [
        {
            "PolicyName": "browser", "PolicyTypeName": "LBCookieStickinessPolicyType",
            "PolicyAttributeDescriptions": [],
        }
    ]  # fmt: skip


def test_what_aws_defines_of_policies(classic: Any) -> None:
    found = classic.describe_load_balancer_policies(PolicyNames=["ELBSecurityPolicy-TLS-1-2-2017-01"])
    values = {
        each["AttributeName"]: each["AttributeValue"]
        for each in found["PolicyDescriptions"][0]["PolicyAttributeDescriptions"]
    }
    assert values["Protocol-TLSv1.2"] == "true" and values["Protocol-TLSv1.1"] == "false"
    assert values["Reference-Security-Policy"] == "ELBSecurityPolicy-TLS-1-2-2017-01"
    assert refuses(classic.describe_load_balancer_policies, PolicyNames=["x"])[0] == "PolicyNotFound"
    types = classic.describe_load_balancer_policy_types()["PolicyTypeDescriptions"]
    cookie = next(each for each in types if each["PolicyTypeName"] == "AppCookieStickinessPolicyType")
    assert cookie["PolicyAttributeTypeDescriptions"] == [
        {"AttributeName": "CookieName", "AttributeType": "String", "Cardinality": "ONE"}
    ]
    assert len(types) == 6
    assert refuses(classic.describe_load_balancer_policy_types, PolicyTypeNames=["x"])[0] == "PolicyTypeNotFound"


def test_attributes(classic: Any, name: str) -> None:
    lb = {"LoadBalancerName": name}
    assert classic.describe_load_balancer_attributes(**lb)["LoadBalancerAttributes"] == {
        "CrossZoneLoadBalancing": {"Enabled": False},
        "AccessLog": {"Enabled": False},
        "ConnectionDraining": {"Enabled": False, "Timeout": 300},
        "ConnectionSettings": {"IdleTimeout": 60},
        "AdditionalAttributes": [{"Key": "elb.http.desyncmitigationmode", "Value": "defensive"}],
    }
    modify = classic.modify_load_balancer_attributes
    wanted = {"ConnectionDraining": {"Enabled": True, "Timeout": 5}, "ConnectionSettings": {"IdleTimeout": 7}}
    assert modify(**lb, LoadBalancerAttributes=wanted)["LoadBalancerAttributes"] == wanted
    found = classic.describe_load_balancer_attributes(**lb)["LoadBalancerAttributes"]
    assert {**found, **wanted} == found
    wrong = {"AdditionalAttributes": [{"Key": "elb.none", "Value": "x"}]}
    assert refuses(modify, **lb, LoadBalancerAttributes=wrong)[0] == "LoadBalancerAttributeNotFound"
    strict = {"AdditionalAttributes": [{"Key": "elb.http.desyncmitigationmode", "Value": "strictest"}]}
    assert "strictest" in refuses(modify, **lb, LoadBalancerAttributes=strict)[1]


def test_instances_that_cannot_be(classic: Any, name: str) -> None:
    missing = [{"InstanceId": "i-0123456789abcdef0"}]
    for call in (
        classic.register_instances_with_load_balancer,
        classic.deregister_instances_from_load_balancer,
        classic.describe_instance_health,
    ):
        assert refuses(call, LoadBalancerName=name, Instances=missing) == (
            "InvalidInstance", "Could not find EC2 instance i-0123456789abcdef0."
        )  # fmt: skip


def test_pages_and_limits(classic: Any, name: str) -> None:
    zones = ["us-east-1a"]
    others = sorted(fresh("page") for _ in range(3))
    for each in others:
        classic.create_load_balancer(LoadBalancerName=each, Listeners=[HTTP], AvailabilityZones=zones)
    pages = classic.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
    found = [one["LoadBalancerName"] for each in pages for one in each["LoadBalancerDescriptions"]]
    assert set(others) <= set(found) and found == sorted(found)
    for each in others:
        classic.delete_load_balancer(LoadBalancerName=each)
    limits = {each["Name"]: each["Max"] for each in classic.describe_account_limits()["Limits"]}
    assert limits == {
        "classic-load-balancers": "20", "classic-listeners": "100", "classic-registered-instances": "1000"
    }  # fmt: skip


def test_access_logs_need_a_bucket_that_lets_them_in(classic: Any, name: str) -> None:
    modify = classic.modify_load_balancer_attributes
    log = {"Enabled": True, "S3BucketName": "nobodys"}
    assert refuses(modify, LoadBalancerName=name, LoadBalancerAttributes={"AccessLog": log}) == (
        "InvalidConfigurationRequest", "Access Denied for bucket: nobodys. Please check S3bucket permission"
    )  # fmt: skip
    assert refuses(modify, LoadBalancerName=name, LoadBalancerAttributes={"AccessLog": {"Enabled": True}})[0] == (
        "ValidationError"
    )
    seldom = {**log, "EmitInterval": 7}
    assert refuses(modify, LoadBalancerName=name, LoadBalancerAttributes={"AccessLog": seldom}) == (
        "ValidationError", "EmitInterval must be either 5 or 60 minutes"
    )  # fmt: skip
    off = {"AccessLog": {"Enabled": False}}
    assert modify(LoadBalancerName=name, LoadBalancerAttributes=off)["LoadBalancerAttributes"] == off
