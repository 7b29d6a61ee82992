"""Elastic addresses, NAT gateways and prefix lists: the API, and what is in force of them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.ec2 import firewall, model, nat
from dryport.ec2.model import NatGateway, Route, RouteTable, RouteTableAssociation, Subnet
from tests.ec2.test_api import by, only
from tests.served import Served, refusal


@pytest.fixture(autouse=True)
def public_network(served: Served) -> None:
    """What the networks' loop says once the host driver is there."""

    async def say() -> None:
        network = model.PublicNetwork(block="198.18.4.0/22")
        await served.context.store.transact(lambda tx: tx.put(model.PUBLIC_NETWORKS, network))

    served.run(say())


def settle(served: Served, vpc: str, now: float = 1.0) -> None:
    """What the networks' loop does once the rules are in force."""

    async def work() -> None:
        await served.context.store.transact(lambda tx: nat.settle(tx, vpc, now))

    served.run(work())


@pytest.fixture
def address(ec2: Any) -> Any:
    made = ec2.allocate_address(Domain="vpc")
    yield made
    found = ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"]
    if "AssociationId" in only(found):
        ec2.disassociate_address(AssociationId=found[0]["AssociationId"])
    ec2.release_address(AllocationId=made["AllocationId"])


def test_an_elastic_address_is_given_to_an_interface_and_taken_back(ec2: Any, address: Any) -> None:
    assert {key: address[key] for key in ("Domain", "NetworkBorderGroup", "PublicIpv4Pool")} == {
        "Domain": "vpc",
        "NetworkBorderGroup": "us-east-1",
        "PublicIpv4Pool": "amazon",
    }
    allocation = address["AllocationId"]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    first, second = (
        ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(2)
    )
    association = ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=first)["AssociationId"]
    again = ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=first)["AssociationId"]
    assert again == association
    described = only(ec2.describe_addresses(Filters=by("association-id", association))["Addresses"])
    interface = only(ec2.describe_network_interfaces(NetworkInterfaceIds=[first])["NetworkInterfaces"])
    assert described["PrivateIpAddress"] == interface["PrivateIpAddress"]
    assert interface["Association"]["PublicIp"] == address["PublicIp"]
    assert interface["Association"]["AllocationId"] == allocation
    assert refusal(ec2.release_address, AllocationId=allocation)[0] == "InvalidIPAddress.InUse"
    taken = {"AllocationId": allocation, "NetworkInterfaceId": second}
    assert refusal(ec2.associate_address, **taken)[0] == "Resource.AlreadyAssociated"
    moved = ec2.associate_address(**taken, AllowReassociation=True)["AssociationId"]
    assert moved != association
    interface = only(ec2.describe_network_interfaces(NetworkInterfaceIds=[first])["NetworkInterfaces"])
    assert "Association" not in interface
    ec2.delete_network_interface(NetworkInterfaceId=second)
    assert "AssociationId" not in only(ec2.describe_addresses(AllocationIds=[allocation])["Addresses"])
    ec2.delete_network_interface(NetworkInterfaceId=first)


def test_addresses_have_a_quota_and_are_named_right(ec2: Any, address: Any) -> None:
    others = [ec2.allocate_address() for _ in range(4)]
    assert refusal(ec2.allocate_address)[0] == "AddressLimitExceeded"
    assert len({each["PublicIp"] for each in (address, *others)}) == 5
    for each in others:
        ec2.release_address(AllocationId=each["AllocationId"])
    assert refusal(ec2.release_address, AllocationId="eipalloc-0123456789abcdef0")[0] == "InvalidAllocationID.NotFound"
    assert refusal(ec2.release_address, PublicIp="198.18.5.300")[0] == "InvalidAddress.NotFound"
    assert refusal(ec2.release_address)[0] == "MissingParameter"
    attribute = only(ec2.describe_addresses_attribute(Attribute="domain-name")["Addresses"])
    assert attribute["PtrRecord"].startswith("ec2-198-18-")


def test_a_nat_gateway_lives_and_goes(served: Served, ec2: Any, vpc: str, address: Any) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    wanted = {"SubnetId": subnet, "AllocationId": address["AllocationId"]}
    failed = ec2.create_nat_gateway(**wanted)["NatGateway"]
    assert failed["State"] == "pending"
    failed = only(ec2.describe_nat_gateways(NatGatewayIds=[failed["NatGatewayId"]])["NatGateways"])
    assert (failed["State"], failed["FailureCode"]) == ("failed", "Gateway.NotAttached")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    token = {"ClientToken": "one-gateway"}
    made = ec2.create_nat_gateway(**wanted, **token)["NatGateway"]["NatGatewayId"]
    assert ec2.create_nat_gateway(**wanted, **token)["NatGateway"]["NatGatewayId"] == made
    settle(served, vpc)
    found = only(ec2.describe_nat_gateways(Filter=by("state", "available"))["NatGateways"])
    assert only(found["NatGatewayAddresses"])["PublicIp"] == address["PublicIp"]
    interface = only(ec2.describe_network_interfaces(Filters=by("interface-type", "nat_gateway"))["NetworkInterfaces"])
    assert (interface["Status"], interface["Description"]) == ("in-use", f"Interface for NAT Gateway {made}")
    assert refusal(ec2.release_address, AllocationId=address["AllocationId"])[0] == "InvalidIPAddress.InUse"
    association = interface["Association"]["AssociationId"]
    assert refusal(ec2.disassociate_address, AssociationId=association)[0] == "AuthFailure"
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=made)
    routes = only(ec2.describe_route_tables(Filters=by("route.nat-gateway-id", made))["RouteTables"])["Routes"]
    assert (routes[1]["NatGatewayId"], routes[1]["State"]) == (made, "active")
    ec2.delete_nat_gateway(NatGatewayId=made)
    settle(served, vpc, now=time.time())
    routes = only(ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"])["Routes"]
    assert routes[1]["State"] == "blackhole"
    gone = only(ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"])
    assert gone["State"] == "deleted" and "DeleteTime" in gone
    ec2.delete_route_table(RouteTableId=table)
    settle(served, vpc, now=4e9)
    assert refusal(ec2.describe_nat_gateways, NatGatewayIds=[made])[0] == "NatGatewayNotFound"
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_subnet(SubnetId=subnet)


def test_a_prefix_list_has_versions_and_stands_in_rules(ec2: Any, vpc: str) -> None:
    made = ec2.create_managed_prefix_list(
        PrefixListName="offices",
        AddressFamily="IPv4",
        MaxEntries=3,
        Entries=[{"Cidr": "203.0.113.0/24", "Description": "one"}],
    )["PrefixList"]
    assert (made["State"], made["Version"]) == ("create-in-progress", 1)
    name = {"PrefixListId": made["PrefixListId"]}
    ec2.modify_managed_prefix_list(**name, CurrentVersion=1, AddEntries=[{"Cidr": "198.51.100.0/24"}])
    assert [each["Cidr"] for each in ec2.get_managed_prefix_list_entries(**name)["Entries"]] == [
        "203.0.113.0/24",
        "198.51.100.0/24",
    ]
    assert only(ec2.get_managed_prefix_list_entries(**name, TargetVersion=1)["Entries"])["Description"] == "one"
    change = {"AddEntries": [{"Cidr": "192.0.2.0/24"}]}
    assert refusal(ec2.modify_managed_prefix_list, **name, CurrentVersion=1, **change)[0] == "PrefixListVersionMismatch"
    ec2.restore_managed_prefix_list_version(**name, PreviousVersion=1, CurrentVersion=2)
    assert only(ec2.describe_managed_prefix_lists(PrefixListIds=[made["PrefixListId"]])["PrefixLists"])["Version"] == 3
    many = [{"Cidr": f"192.0.{n}.0/24"} for n in range(3)]
    refused = refusal(ec2.modify_managed_prefix_list, **name, CurrentVersion=3, AddEntries=many)
    assert refused[0] == "PrefixListMaxEntriesExceeded"
    group = ec2.create_security_group(GroupName="listed", Description="x", VpcId=vpc)["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{**name, "Description": "ssh"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    shown = only(ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"])["IpPermissions"]
    assert only(shown)["PrefixListIds"] == [{**name, "Description": "ssh"}]
    used = ec2.get_managed_prefix_list_associations(**name)["PrefixListAssociations"]
    assert only(used)["ResourceId"] == group
    assert refusal(ec2.delete_managed_prefix_list, **name)[0] == "DependencyViolation"
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert ec2.delete_managed_prefix_list(**name)["PrefixList"]["State"] == "delete-in-progress"
    ec2.delete_security_group(GroupId=group)


PLACE: dict[str, Any] = {"account": "000000000000", "region": "us-east-1"}


def subnet(number: int) -> Subnet:
    zone: dict[str, Any] = {"availability_zone": "us-east-1a", "availability_zone_id": "use1-az1"}
    return Subnet(id=f"subnet-{number}", vpc_id="vpc-1", cidr_block=f"10.0.{number}.0/24", **zone, **PLACE)


def table(number: int, *routes: Route) -> RouteTable:
    association = RouteTableAssociation(id=f"rtbassoc-{number}", subnet_id=f"subnet-{number}")
    return RouteTable(id=f"rtb-{number}", vpc_id="vpc-1", routes=list(routes), associations=[association], **PLACE)


def gateway(number: int, state: str = "available") -> NatGateway:
    return NatGateway(
        id=f"nat-{number}",
        vpc_id="vpc-1",
        subnet_id=f"subnet-{number}",
        allocation_id="eipalloc-1",
        association_id="eipassoc-1",
        interface_id="eni-1",
        private_ip=f"10.0.{number}.9",
        public_ip="198.18.5.1",
        state=state,
        **PLACE,
    )


@given(state=st.sampled_from(["pending", "available", "failed", "deleting", "deleted"]), reaches=st.booleans())
def test_a_subnet_reaches_through_a_gateway_what_the_gateway_reaches(state: str, reaches: bool) -> None:
    out = Route(destination="0.0.0.0/0", gateway_id="igw-1")
    tables = [
        table(1, *([out] if reaches else [])),
        table(2, Route(destination="pl-1", nat_gateway_id="nat-1")),
    ]
    subnets = [subnet(1), subnet(2)]
    internet = firewall.internet_routes(subnets, tables, ["igw-1"])
    lists = {"pl-1": ["203.0.113.0/25", "203.0.113.128/25", "2001:db8::/32"]}
    found = firewall.nat_routes(subnets, tables, [gateway(1, state)], internet, lists)
    works = reaches and state in ("pending", "available")
    assert found == ([("10.0.2.0/24", "203.0.113.0/24", "10.0.1.9")] if works else [])
