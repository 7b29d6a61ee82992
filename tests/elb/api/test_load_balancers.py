"""Load balancers, called by boto3 through the gateway."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.elb.api.conftest import ACCOUNT, forward, fresh
from tests.served import refusal

Make = Callable[..., Any]


def test_an_application_load_balancer_member_by_member(
    elb: Any, ec2: Any, subnets: list[Any], vpc_id: str, balancer: Make
) -> None:
    made = balancer(Name="my-lb", Tags=[{"Key": "team", "Value": "web"}])
    unique = re.fullmatch(
        rf"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:loadbalancer/app/my-lb/([0-9a-f]{{16}})",
        made["LoadBalancerArn"],
    )
    assert unique
    assert re.fullmatch(r"my-lb-[0-9]{9,10}\.us-east-1\.elb\.localhost", made["DNSName"])
    default = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    )
    assert made == {
        "LoadBalancerArn": made["LoadBalancerArn"],
        "DNSName": made["DNSName"],
        "CanonicalHostedZoneId": "Z35SXDOTRQ7X7K",
        "CreatedTime": made["CreatedTime"],
        "LoadBalancerName": "my-lb",
        "Scheme": "internet-facing",
        "VpcId": vpc_id,
        "State": {"Code": "provisioning"},
        "Type": "application",
        "AvailabilityZones": [
            {"ZoneName": each["AvailabilityZone"], "SubnetId": each["SubnetId"], "LoadBalancerAddresses": []}
            for each in subnets[:2]
        ],
        "SecurityGroups": [default["SecurityGroups"][0]["GroupId"]],
        "IpAddressType": "ipv4",
    }
    assert elb.describe_load_balancers(Names=["my-lb"])["LoadBalancers"] == [made]
    assert elb.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"] == [made]


def test_internal_and_network_ones(elb: Any, ec2: Any, subnets: list[Any], balancer: Make) -> None:
    inside = balancer(Name="Inner", Scheme="internal")
    assert re.fullmatch(r"internal-Inner-[0-9]+\.us-east-1\.elb\.localhost", inside["DNSName"])
    address = ec2.allocate_address(Domain="vpc")
    mapping = [{"SubnetId": subnets[0]["SubnetId"], "AllocationId": address["AllocationId"]}]
    network = elb.create_load_balancer(Name="wire", Type="network", SubnetMappings=mapping)["LoadBalancers"][0]
    unique = network["LoadBalancerArn"].rpartition("/")[2]
    assert f":loadbalancer/net/wire/{unique}" in network["LoadBalancerArn"]
    assert network["DNSName"] == f"wire-{unique}.us-east-1.elb.localhost"
    assert "SecurityGroups" not in network and network["CanonicalHostedZoneId"] == "Z26RNL4JYFTOTI"
    assert network["AvailabilityZones"][0]["LoadBalancerAddresses"] == [
        {"IpAddress": address["PublicIp"], "AllocationId": address["AllocationId"]}
    ]
    group = network_group = [inside["SecurityGroups"][0]]
    call = {"LoadBalancerArn": network["LoadBalancerArn"], "SecurityGroups": network_group}
    assert refusal(elb.set_security_groups, **call)[0] == "InvalidConfigurationRequest"
    elb.delete_load_balancer(LoadBalancerArn=network["LoadBalancerArn"])
    ec2.release_address(AllocationId=address["AllocationId"])
    assert (
        elb.set_security_groups(LoadBalancerArn=inside["LoadBalancerArn"], SecurityGroups=group)["SecurityGroupIds"]
        == group
    )


def test_the_same_again_is_answered_and_another_refused(elb: Any, subnets: list[Any], balancer: Make) -> None:
    made = balancer(Name="twice")
    assert balancer(Name="twice") == made
    message = "A load balancer with the same name 'twice' exists, but with different settings"
    assert refusal(balancer, Name="twice", Scheme="internal") == ("DuplicateLoadBalancerName", message)
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    assert balancer(Name="twice", Scheme="internal")["LoadBalancerArn"] != made["LoadBalancerArn"]


def test_names(balancer: Make) -> None:
    words = "The load balancer name"
    for name, end in (
        ("a" * 33, "cannot be longer than '32' characters"),
        ("a.b", "can only contain characters that are alphanumeric characters and hyphens(-)"),
        ("-a", "cannot begin with a hyphen(-)"),
        ("internal-a", "cannot begin with 'internal-'"),
    ):
        assert refusal(balancer, Name=name) == ("ValidationError", f"{words} '{name}' {end}")


def test_subnets_and_groups_that_cannot_be(ec2: Any, subnets: list[Any], other_vpc: Any, balancer: Make) -> None:
    first = subnets[0]["SubnetId"]
    assert refusal(balancer, Subnets=[first]) == (
        "ValidationError",
        "At least two subnets in two different Availability Zones must be specified",
    )
    assert refusal(balancer, Subnets=[first, "subnet-00000000"])[0] == "SubnetNotFound"
    assert refusal(balancer, Subnets=[first, first]) == (
        "InvalidConfigurationRequest",
        "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
    )
    vpc, inside = other_vpc
    assert refusal(balancer, Subnets=[first, inside[1]])[0] == "InvalidConfigurationRequest"
    assert refusal(balancer, Subnets=inside) == ("InvalidSubnet", f"VPC {vpc} has no internet gateway")
    assert balancer(Subnets=inside, Scheme="internal")["VpcId"] == vpc
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.9.0/28", AvailabilityZone="us-east-1c")["Subnet"]["SubnetId"]
    taken = [ec2.create_network_interface(SubnetId=small)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(4)]
    code, message = refusal(balancer, Subnets=[inside[0], small], Scheme="internal")
    assert code == "InvalidSubnet"
    assert (
        message
        == f"Not enough IP space available in {small}. ELB requires at least 8 free IP addresses in each subnet."
    )
    for each in taken:
        ec2.delete_network_interface(NetworkInterfaceId=each)
    assert refusal(balancer, SecurityGroups=["sg-00000000"])[0] == "InvalidSecurityGroup"
    foreign = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"][0]
    assert refusal(balancer, SecurityGroups=[foreign["GroupId"]]) == (
        "InvalidConfigurationRequest",
        "One or more security groups are invalid",
    )


def test_what_is_not_acted_on_is_refused_by_name(elb: Any, balancer: Make) -> None:
    for more, word in (
        ({"Type": "gateway"}, "gateway"),
        ({"IpAddressType": "dualstack"}, "dualstack"),
        ({"CustomerOwnedIpv4Pool": "ipv4pool-coip-0123"}, "CustomerOwnedIpv4Pool"),
    ):
        code, message = refusal(balancer, **more)
        assert code == "NotImplemented" and word in message
    made = balancer()
    assert (
        elb.set_ip_address_type(LoadBalancerArn=made["LoadBalancerArn"], IpAddressType="ipv4")["IpAddressType"]
        == "ipv4"
    )
    call = {"LoadBalancerArn": made["LoadBalancerArn"], "IpAddressType": "dualstack"}
    assert refusal(elb.set_ip_address_type, **call)[0] == "NotImplemented"


def test_other_subnets(elb: Any, subnets: list[Any], balancer: Make) -> None:
    made = balancer()
    wanted = [subnets[1]["SubnetId"], subnets[2]["SubnetId"]]
    answer = elb.set_subnets(LoadBalancerArn=made["LoadBalancerArn"], Subnets=wanted)
    assert [each["SubnetId"] for each in answer["AvailabilityZones"]] == wanted
    shown = elb.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"][0]
    assert shown["AvailabilityZones"] == answer["AvailabilityZones"]
    assert refusal(elb.set_subnets, LoadBalancerArn=made["LoadBalancerArn"], Subnets=wanted[:1])[0] == "ValidationError"


def test_pages_and_what_is_not_there(elb: Any, balancer: Make) -> None:
    for _ in range(3):
        balancer()
    everything = elb.describe_load_balancers()["LoadBalancers"]
    first = elb.describe_load_balancers(PageSize=2)
    rest = elb.describe_load_balancers(PageSize=400, Marker=first["NextMarker"])
    assert first["LoadBalancers"] + rest["LoadBalancers"] == everything and "NextMarker" not in rest
    paginator = elb.get_paginator("describe_load_balancers")
    assert sum(len(each["LoadBalancers"]) for each in paginator.paginate(PaginationConfig={"PageSize": 1})) == len(
        everything
    )
    assert refusal(elb.describe_load_balancers, Names=["nobody"]) == (
        "LoadBalancerNotFound",
        "Load balancers '[nobody]' not found",
    )
    gone = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:loadbalancer/app/x/0123456789abcdef"
    assert refusal(elb.describe_load_balancers, LoadBalancerArns=[gone]) == (
        "LoadBalancerNotFound",
        "One or more load balancers not found",
    )
    assert refusal(elb.describe_load_balancers, LoadBalancerArns=["x"]) == (
        "ValidationError",
        "'x' is not a valid load balancer ARN",
    )
    elb.delete_load_balancer(LoadBalancerArn=gone)


def test_deletion_takes_the_listeners_along(elb: Any, balancer: Make, group: Make) -> None:
    made, target = balancer(), group()
    arn = made["LoadBalancerArn"]
    listener = elb.create_listener(
        LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=forward(target["TargetGroupArn"])
    )["Listeners"][0]
    protection = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=protection)
    assert refusal(elb.delete_load_balancer, LoadBalancerArn=arn) == (
        "OperationNotPermitted",
        f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
    )
    protection[0]["Value"] = "false"
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=protection)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    assert refusal(elb.describe_load_balancers, LoadBalancerArns=[arn])[0] == "LoadBalancerNotFound"
    assert refusal(elb.describe_listeners, ListenerArns=[listener["ListenerArn"]])[0] == "ListenerNotFound"
    assert (
        elb.describe_target_groups(TargetGroupArns=[target["TargetGroupArn"]])["TargetGroups"][0]["LoadBalancerArns"]
        == []
    )
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig={"Delay": 0, "MaxAttempts": 2})


def test_no_more_than_fifty_of_a_type(elb: Any, served: Any) -> None:
    west = served.client("elbv2", region="us-west-2")
    found = served.client("ec2", region="us-west-2").describe_subnets()["Subnets"]
    two = [each["SubnetId"] for each in sorted(found, key=lambda each: str(each["AvailabilityZone"]))[:2]]
    made = [west.create_load_balancer(Name=fresh("many"), Subnets=two)["LoadBalancers"][0] for _ in range(50)]
    assert refusal(west.create_load_balancer, Name="one-more", Subnets=two) == (
        "TooManyLoadBalancers",
        "The maximum number of load balancers has been reached",
    )
    assert west.create_load_balancer(Name="other", Type="network", Subnets=two)
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    for each in made:
        west.delete_load_balancer(LoadBalancerArn=each["LoadBalancerArn"])


def test_addresses_that_the_user_chose(elb: Any, ec2: Any, other_vpc: Any, balancer: Make) -> None:
    _, inside = other_vpc
    mapping = {"SubnetId": inside[0], "PrivateIPv4Address": "10.77.0.40"}
    asked = {"Name": "chosen", "Type": "network", "Scheme": "internal", "Subnets": [], "SubnetMappings": [mapping]}
    made = balancer(**asked)
    assert made["AvailabilityZones"][0]["LoadBalancerAddresses"] == [{"PrivateIPv4Address": "10.77.0.40"}]
    assert balancer(**asked) == made
    assert refusal(balancer, **{**asked, "SubnetMappings": [{"SubnetId": inside[0]}]})[0] == "DuplicateLoadBalancerName"
    two = [mapping, {"SubnetId": inside[1], "PrivateIPv4Address": "10.77.1.40"}]
    answer = elb.set_subnets(LoadBalancerArn=made["LoadBalancerArn"], SubnetMappings=two)
    assert [each["LoadBalancerAddresses"][0]["PrivateIPv4Address"] for each in answer["AvailabilityZones"]] == [
        "10.77.0.40",
        "10.77.1.40",
    ]

    def other(address: str, **more: Any) -> tuple[str, str]:
        mapping = [{"SubnetId": inside[0], "PrivateIPv4Address": address}]
        return refusal(balancer, **{**asked, "Name": fresh(), "SubnetMappings": mapping, **more})

    assert other("10.77.1.41") == (
        "InvalidConfigurationRequest",
        "Address 10.77.1.41 does not fall within the subnet's address range",
    )
    taken = ec2.create_network_interface(SubnetId=inside[0], PrivateIpAddress="10.77.0.41")["NetworkInterface"]
    assert other("10.77.0.41")[0] == "InvalidConfigurationRequest"
    ec2.delete_network_interface(NetworkInterfaceId=taken["NetworkInterfaceId"])
    assert other("10.77.0.41", Scheme="internet-facing")[0] == "InvalidConfigurationRequest"
    both = [mapping, {"SubnetId": inside[1]}]
    assert other("", Type="application", SubnetMappings=both)[0] == "InvalidConfigurationRequest"
    assert elb.describe_capacity_reservation(LoadBalancerArn=made["LoadBalancerArn"])["CapacityReservationState"] == []
