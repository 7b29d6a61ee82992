"""EC2's API, called by boto3 through the gateway."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.ec2 import model, published
from tests.served import Served, refusal


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


def by(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def test_every_region_has_a_default_vpc(served: Served) -> None:
    for region in ("us-east-1", "eu-central-1"):
        client = served.client("ec2", region)
        vpc = only(client.describe_vpcs(Filters=by("is-default", "true"))["Vpcs"])
        assert vpc["CidrBlock"] == "172.31.0.0/16" and vpc["State"] == "available"
        subnets = client.describe_subnets(Filters=by("vpc-id", vpc["VpcId"]))["Subnets"]
        assert [s["AvailabilityZone"] for s in subnets] == [f"{region}{zone}" for zone in "abc"]
        assert all(s["DefaultForAz"] and s["MapPublicIpOnLaunch"] for s in subnets)
        assert [s["AvailableIpAddressCount"] for s in subnets] == [4091] * 3
        table = only(client.describe_route_tables(Filters=by("vpc-id", vpc["VpcId"]))["RouteTables"])
        gateway = only(client.describe_internet_gateways()["InternetGateways"])
        assert gateway["Attachments"] == [{"State": "available", "VpcId": vpc["VpcId"]}]
        assert table["Routes"] == [
            {
                "DestinationCidrBlock": "172.31.0.0/16",
                "GatewayId": "local",
                "Origin": "CreateRouteTable",
                "State": "active",
            },
            {
                "DestinationCidrBlock": "0.0.0.0/0",
                "GatewayId": gateway["InternetGatewayId"],
                "Origin": "CreateRoute",
                "State": "active",
            },
        ]
        group = only(client.describe_security_groups()["SecurityGroups"])
        assert (group["GroupName"], group["Description"]) == ("default", "default VPC security group")
        pair = {"UserId": group["OwnerId"], "GroupId": group["GroupId"]}
        assert group["IpPermissions"] == [
            {"IpProtocol": "-1", "UserIdGroupPairs": [pair], "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}
        ]
        acl = only(client.describe_network_acls()["NetworkAcls"])
        assert {a["SubnetId"] for a in acl["Associations"]} == {s["SubnetId"] for s in subnets}
        assert only(client.describe_dhcp_options()["DhcpOptions"])["DhcpOptionsId"] == vpc["DhcpOptionsId"]


def test_regions_and_zones(ec2: Any) -> None:
    zones = ec2.describe_availability_zones(ZoneIds=["use1-az2"])["AvailabilityZones"]
    assert only(zones)["ZoneName"] == "us-east-1b"
    found = ec2.describe_regions(Filters=by("region-name", "eu-*"))["Regions"]
    assert {"eu-west-1", "eu-central-2"} <= {r["RegionName"] for r in found}
    assert all(r["RegionName"].startswith("eu-") for r in found)
    assert refusal(ec2.describe_regions, RegionNames=["xx-north-1"])[0] == "InvalidParameterValue"


def test_a_dry_run_does_nothing(ec2: Any) -> None:
    before = len(ec2.describe_vpcs()["Vpcs"])
    with pytest.raises(ClientError) as caught:
        ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    assert caught.value.response["Error"]["Code"] == "DryRunOperation"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert len(ec2.describe_vpcs()["Vpcs"]) == before


def test_a_vpc_with_public_and_private_subnets_as_terraform_makes_it(ec2: Any) -> None:
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "main"}]}]
    made = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=tags)["Vpc"]
    assert made["State"] == "pending" and made["Tags"] == [{"Key": "Name", "Value": "main"}]
    vpc = made["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    attribute = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    assert attribute["EnableDnsHostnames"] == {"Value": True}
    public = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    private = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    assert refusal(ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway) == (
        "RouteAlreadyExists",
        "The route identified by 0.0.0.0/0 already exists.",
    )
    assert refusal(ec2.replace_route, RouteTableId=table, DestinationCidrBlock="8.8.8.0/24", GatewayId=gateway) == (
        "InvalidParameterValue",
        "There is no route defined for '8.8.8.0/24' in the route table. Use CreateRoute instead.",
    )
    assert (
        refusal(ec2.delete_route, RouteTableId=table, DestinationCidrBlock="8.8.8.0/24")[0] == "InvalidRoute.NotFound"
    )
    refused = refusal(ec2.create_route, RouteTableId=table, DestinationCidrBlock="8.8.8.0/24", TransitGatewayId="tgw-1")
    assert refused[0] == "NotImplemented"
    token = {"VpcId": vpc, "ClientToken": "a-table"}
    other = ec2.create_route_table(**token)["RouteTable"]["RouteTableId"]
    assert ec2.create_route_table(**token)["RouteTable"]["RouteTableId"] == other
    ec2.delete_route_table(RouteTableId=other)
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=public)["AssociationId"]
    assert refusal(ec2.associate_route_table, RouteTableId=other, SubnetId=public)[0] == "InvalidRouteTableID.NotFound"
    found = ec2.describe_route_tables(Filters=by("association.subnet-id", public))["RouteTables"]
    assert only(found)["RouteTableId"] == table
    found = ec2.describe_subnets(Filters=[*by("vpc-id", vpc), *by("map-public-ip-on-launch", "false")])["Subnets"]
    assert only(found)["SubnetId"] == private

    assert refusal(ec2.delete_vpc, VpcId=vpc) == (
        "DependencyViolation",
        f"The vpc '{vpc}' has dependencies and cannot be deleted.",
    )
    assert refusal(ec2.delete_route_table, RouteTableId=table)[0] == "DependencyViolation"
    assert refusal(ec2.delete_internet_gateway, InternetGatewayId=gateway)[0] == "DependencyViolation"
    ec2.disassociate_route_table(AssociationId=association)
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    ec2.delete_route_table(RouteTableId=table)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_subnet(SubnetId=public)
    ec2.delete_subnet(SubnetId=private)
    ec2.delete_vpc(VpcId=vpc)
    assert refusal(ec2.describe_vpcs, VpcIds=[vpc]) == ("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
    assert not ec2.describe_security_groups(Filters=by("vpc-id", vpc))["SecurityGroups"]


@pytest.mark.parametrize(
    ("block", "code"),
    [("10.0.0.0/8", "InvalidVpc.Range"), ("10.0.0.0/29", "InvalidVpc.Range"), ("10.0.0", "InvalidParameterValue")],
)
def test_blocks_that_no_vpc_can_have(ec2: Any, block: str, code: str) -> None:
    assert refusal(ec2.create_vpc, CidrBlock=block)[0] == code


def test_subnets_do_not_overlap(ec2: Any, vpc: str) -> None:
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")
    assert refusal(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.128/25") == (
        "InvalidSubnet.Conflict",
        "The CIDR '10.0.0.128/25' conflicts with another subnet",
    )
    assert refusal(ec2.create_subnet, VpcId=vpc, CidrBlock="10.1.0.0/24")[0] == "InvalidSubnet.Range"
    assert refusal(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone="us-east-1z")[0] == (
        "InvalidParameterValue"
    )


def test_security_group_rules_come_and_go(ec2: Any, vpc: str) -> None:
    group = ec2.create_security_group(GroupName="web", Description="for the web", VpcId=vpc)["GroupId"]
    assert refusal(ec2.create_security_group, GroupName="web", Description="x", VpcId=vpc) == (
        "InvalidGroup.Duplicate",
        f"The security group 'web' already exists for VPC '{vpc}'",
    )
    rules = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 80,
                "ToPort": 80,
                "IpRanges": [{"CidrIp": "10.0.0.7/16", "Description": "in the VPC"}, {"CidrIp": "0.0.0.0/0"}],
                "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
                "UserIdGroupPairs": [{"GroupId": group}],
            }
        ],
    )["SecurityGroupRules"]
    assert len(rules) == 4
    assert rules[0]["CidrIpv4"] == "10.0.0.0/16" and rules[0]["Description"] == "in the VPC"
    described = only(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"])
    entry = only(described["IpPermissions"])
    assert (entry["FromPort"], entry["ToPort"], entry["IpProtocol"]) == (80, 80, "tcp")
    assert entry["IpRanges"] == [{"Description": "in the VPC", "CidrIp": "10.0.0.0/16"}, {"CidrIp": "0.0.0.0/0"}]
    assert entry["UserIdGroupPairs"][0]["GroupId"] == group
    duplicate = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0"}
    assert refusal(ec2.authorize_security_group_ingress, **duplicate) == (
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" already exists',
    )
    revoked = ec2.revoke_security_group_ingress(**duplicate)["RevokedSecurityGroupRules"]
    assert only(revoked)["SecurityGroupRuleId"] == rules[1]["SecurityGroupRuleId"]
    assert refusal(ec2.revoke_security_group_ingress, **duplicate) == (
        "InvalidPermission.NotFound",
        "The specified rule does not exist in this security group.",
    )
    changed = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "CidrIpv4": "10.0.0.0/16"}
    update = {"SecurityGroupRuleId": rules[0]["SecurityGroupRuleId"], "SecurityGroupRule": changed}
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[update])
    found = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rules[0]["SecurityGroupRuleId"]])
    rule = only(found["SecurityGroupRules"])
    assert (rule["IpProtocol"], rule["FromPort"], rule["IsEgress"]) == ("udp", 53, False)
    ids = [each["SecurityGroupRuleId"] for each in rules if each is not rules[1]]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids)
    assert only(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"])["IpPermissions"] == []
    ec2.delete_security_group(GroupId=group)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"IpProtocol": "tcp", "CidrIp": "0.0.0.0/0"}, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": 90, "ToPort": 80, "CidrIp": "0.0.0.0/0"}, "InvalidParameterValue"),
        ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 70000, "CidrIp": "0.0.0.0/0"}, "InvalidParameterValue"),
        ({"IpProtocol": "gopher", "CidrIp": "0.0.0.0/0"}, "InvalidParameterValue"),
        ({"IpProtocol": "-1", "CidrIp": "10.0.0.1"}, "InvalidParameterValue"),
        ({"IpProtocol": "-1", "CidrIp": "10.0.0.0/33"}, "InvalidParameterValue"),
        (
            {"IpPermissions": [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-00000000"}]}]},
            "InvalidGroup.NotFound",
        ),
        (
            {"IpPermissions": [{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-0123456789abcdef0"}]}]},
            "InvalidPrefixListID.NotFound",
        ),
        ({}, "MissingParameter"),
    ],
)
def test_rules_that_are_refused(ec2: Any, vpc: str, parameters: dict[str, Any], code: str) -> None:
    group = only(ec2.describe_security_groups(Filters=by("vpc-id", vpc))["SecurityGroups"])["GroupId"]
    assert refusal(ec2.authorize_security_group_ingress, GroupId=group, **parameters)[0] == code


def test_groups_in_use_are_not_deleted(ec2: Any, vpc: str) -> None:
    first, second = (
        ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc)["GroupId"] for name in ("one", "two")
    )
    permission = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": first}]}]
    ec2.authorize_security_group_ingress(GroupId=second, IpPermissions=permission)
    violation = ("DependencyViolation", f"resource {first} has a dependent object")
    assert refusal(ec2.delete_security_group, GroupId=first) == violation
    ec2.delete_security_group(GroupId=second)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet, Groups=[first])["NetworkInterface"]["NetworkInterfaceId"]
    assert refusal(ec2.delete_security_group, GroupId=first) == violation
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    ec2.delete_security_group(GroupId=first)
    assert refusal(ec2.describe_security_groups, GroupIds=["sg-x"]) == (
        "InvalidGroupId.Malformed",
        'Invalid id: "sg-x" (expecting "sg-...")',
    )


def test_interfaces(ec2: Any, vpc: str) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    made = ec2.create_network_interface(SubnetId=subnet, Description="mine", PrivateIpAddress="10.0.0.9")
    interface = made["NetworkInterface"]
    assert interface["PrivateDnsName"] == "ip-10-0-0-9.ec2.internal"
    assert re.fullmatch("(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", interface["MacAddress"])
    assert refusal(ec2.create_network_interface, SubnetId=subnet, PrivateIpAddress="10.0.0.9")[0] == (
        "InvalidIPAddress.InUse"
    )
    for reserved in ("10.0.0.3", "10.0.0.255", "10.0.1.4"):
        assert refusal(ec2.create_network_interface, SubnetId=subnet, PrivateIpAddress=reserved)[0] == (
            "InvalidParameterValue"
        )
    found = ec2.describe_network_interfaces(Filters=by("addresses.private-ip-address", "10.0.0.9"))
    assert only(found["NetworkInterfaces"])["Status"] == "available"
    other = ec2.create_security_group(GroupName="other", Description="x", VpcId=vpc)["GroupId"]
    identity = {"NetworkInterfaceId": interface["NetworkInterfaceId"]}
    ec2.modify_network_interface_attribute(**identity, Groups=[other])
    groups = ec2.describe_network_interface_attribute(**identity, Attribute="groupSet")["Groups"]
    assert groups == [{"GroupId": other, "GroupName": "other"}]
    token = ec2.create_network_interface(SubnetId=subnet, ClientToken="once")["NetworkInterface"]["NetworkInterfaceId"]
    again = ec2.create_network_interface(SubnetId=subnet, ClientToken="once")["NetworkInterface"]["NetworkInterfaceId"]
    assert token == again
    assert refusal(ec2.delete_subnet, SubnetId=subnet)[0] == "DependencyViolation"
    ec2.delete_network_interface(**identity)
    assert refusal(ec2.describe_network_interfaces, NetworkInterfaceIds=[interface["NetworkInterfaceId"]])[0] == (
        "InvalidNetworkInterfaceID.NotFound"
    )


def test_secondary_addresses(ec2: Any, vpc: str) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/27")["Subnet"]["SubnetId"]

    def free() -> int:
        return int(only(ec2.describe_subnets(SubnetIds=[subnet])["Subnets"])["AvailableIpAddressCount"])

    def addresses(interface: str) -> list[tuple[str, bool]]:
        found = only(ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"])
        return [(each["PrivateIpAddress"], each["Primary"]) for each in found["PrivateIpAddresses"]]

    listed = [{"PrivateIpAddress": "10.0.0.9", "Primary": True}, {"PrivateIpAddress": "10.0.0.10", "Primary": False}]
    first = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddresses=listed)["NetworkInterface"]
    assert first["PrivateIpAddress"] == "10.0.0.9"
    first = first["NetworkInterfaceId"]
    assert addresses(first) == [("10.0.0.9", True), ("10.0.0.10", False)]
    second = ec2.create_network_interface(SubnetId=subnet, SecondaryPrivateIpAddressCount=2)["NetworkInterface"]
    second = second["NetworkInterfaceId"]
    assert [primary for _, primary in addresses(second)] == [True, False, False] and free() == 27 - 5
    found = ec2.describe_network_interfaces(Filters=by("addresses.private-ip-address", "10.0.0.10"))
    assert only(found["NetworkInterfaces"])["NetworkInterfaceId"] == first

    taken = {address for each in (first, second) for address, _ in addresses(each)}
    twelve, other = [each for each in (f"10.0.0.{number}" for number in range(12, 30)) if each not in taken][:2]
    named = {"NetworkInterfaceId": first, "PrivateIpAddresses": [twelve]}
    answer = ec2.assign_private_ip_addresses(**named)
    assert answer["AssignedPrivateIpAddresses"] == [{"PrivateIpAddress": twelve}]
    moved = {"NetworkInterfaceId": second, "PrivateIpAddresses": [twelve]}
    message = f"Some of [{twelve}] are assigned, but move is not allowed."
    assert refusal(ec2.assign_private_ip_addresses, **moved) == ("InvalidParameterValue", message)
    ec2.assign_private_ip_addresses(**moved, AllowReassignment=True)
    assert addresses(second)[-1] == (twelve, False) and len(addresses(first)) == 2
    primary = {"NetworkInterfaceId": second, "PrivateIpAddresses": ["10.0.0.9"], "AllowReassignment": True}
    assert refusal(ec2.assign_private_ip_addresses, **primary)[0] == "InvalidParameterValue"
    assert refusal(ec2.create_network_interface, SubnetId=subnet, PrivateIpAddress=twelve)[0] == (
        "InvalidIPAddress.InUse"
    )
    assert refusal(ec2.unassign_private_ip_addresses, **named)[0] == "InvalidParameterValue"
    ec2.unassign_private_ip_addresses(**moved)
    assert free() == 27 - 5
    both = {"PrivateIpAddresses": [other], "SecondaryPrivateIpAddressCount": 1}
    assert refusal(ec2.assign_private_ip_addresses, NetworkInterfaceId=first, **both)[0] == (
        "InvalidParameterCombination"
    )
    assert refusal(ec2.assign_private_ip_addresses, NetworkInterfaceId=first)[0] == "MissingParameter"
    assert refusal(ec2.assign_private_ip_addresses, NetworkInterfaceId=first, SecondaryPrivateIpAddressCount=30)[0] == (
        "InsufficientFreeAddressesInSubnet"
    )
    assert len(addresses(first)) == 2  # nothing of what was refused
    ec2.delete_network_interface(NetworkInterfaceId=second)
    assert free() == 27 - 2


def test_addresses_are_unique_under_concurrency_and_run_out(ec2: Any, vpc: str) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]

    def make(_: int) -> str | None:
        try:
            return str(ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["PrivateIpAddress"])
        except ClientError as error:
            assert error.response["Error"]["Code"] == "InsufficientFreeAddressesInSubnet"
            return None

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(make, range(14)))
    assert sorted(given, key=str) == sorted([*(f"10.0.0.{n}" for n in range(4, 15)), None, None, None], key=str)
    found = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert only(found)["AvailableIpAddressCount"] == 0


def test_tags(ec2: Any, vpc: str) -> None:
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "blue"}, {"Key": "stage", "Value": "test"}])
    found = ec2.describe_vpcs(Filters=by("tag:team", "bl*"))["Vpcs"]
    assert only(found)["VpcId"] == vpc
    assert not ec2.describe_vpcs(Filters=by("tag:team", "red"))["Vpcs"]
    listed = ec2.describe_tags(Filters=by("resource-id", vpc))["Tags"]
    assert {(t["Key"], t["Value"], t["ResourceType"]) for t in listed} == {
        ("team", "blue", "vpc"),
        ("stage", "test", "vpc"),
    }
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "red"}, {"Key": "stage"}])
    assert [t["Key"] for t in ec2.describe_tags(Filters=by("resource-id", vpc))["Tags"]] == ["team"]
    assert (
        refusal(ec2.create_tags, Resources=[vpc], Tags=[{"Key": "aws:x", "Value": "y"}])[0] == "InvalidParameterValue"
    )


def test_pages(ec2: Any, vpc: str) -> None:
    for number in range(12):
        ec2.create_security_group(GroupName=f"group-{number}", Description="x", VpcId=vpc)
    paginator = ec2.get_paginator("describe_security_groups")
    pages = list(paginator.paginate(Filters=by("vpc-id", vpc), PaginationConfig={"PageSize": 5}))
    sizes = [len(page["SecurityGroups"]) for page in pages]
    assert sizes == [5, 5, 3]
    names = {group["GroupName"] for page in pages for group in page["SecurityGroups"]}
    assert len(names) == 13
    assert refusal(ec2.describe_security_groups, MaxResults=5, NextToken="nonsense")[0] == "InvalidNextToken"
    assert refusal(ec2.describe_vpcs, Filters=by("no-such-filter", "x")) == (
        "InvalidParameterValue",
        "The filter 'no-such-filter' is invalid",
    )


def test_other_accounts_see_nothing(served: Served, vpc: str) -> None:
    reader = served.context.store.reader
    assert published.vpc(reader, "111111111111", "us-east-1", vpc) is None
    assert published.vpc(reader, served.context.config.account, "eu-west-1", vpc) is None
    assert published.vpc(reader, served.context.config.account, "us-east-1", vpc) is not None


def test_a_deleted_default_vpc_stays_deleted_until_it_is_asked_for(served: Served) -> None:
    ec2 = served.client("ec2", "ap-south-1")
    vpc = only(ec2.describe_vpcs()["Vpcs"])["VpcId"]
    gateway = only(ec2.describe_internet_gateways()["InternetGateways"])["InternetGatewayId"]
    assert refusal(ec2.create_default_vpc)[0] == "DefaultVpcAlreadyExists"
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_vpc(VpcId=vpc)
    assert ec2.describe_vpcs()["Vpcs"] == []
    assert refusal(ec2.create_security_group, GroupName="x", Description="x")[0] == "VPCIdNotSpecified"
    ec2.create_default_vpc()
    assert len(ec2.describe_subnets()["Subnets"]) == 3


def test_the_cli_reads_it(served: Served) -> None:
    done = served.cli("ec2", "describe-vpcs", "--query", "Vpcs[?IsDefault].CidrBlock", "--output", "text")
    assert done.stdout.strip() == "172.31.0.0/16", done.stderr


def test_published_interfaces_say_what_is_wrong(served: Served) -> None:
    async def make(**changed: Any) -> None:
        request = {"subnet_id": "subnet-1", "group_ids": [], **changed}
        where: dict[str, Any] = {"now": 1.0, "account": served.context.config.account, "region": "us-east-1"}
        await served.context.store.transact(
            lambda tx: published.create_network_interface(tx, served.context.random, **where, **request)
        )

    with pytest.raises(Exception, match=r"InvalidSubnetID\.NotFound"):
        served.run(make())
    reader = served.context.store.reader
    subnet = published.default_subnets(reader, served.context.config.account, "us-east-1")[0].id
    with pytest.raises(Exception, match=r"InvalidGroup\.NotFound"):
        served.run(make(subnet_id=subnet, group_ids=["sg-nope"]))
    assert reader.count(model.NETWORK_INTERFACES, "subnet", subnet) == 0
