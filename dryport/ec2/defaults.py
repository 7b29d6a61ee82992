"""What every VPC is born with, and the default VPC of a region.

Source: "Default VPC components", VPC user guide.
"""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from dryport.aws.identifiers import resource_id
from dryport.ec2 import addressing, model
from dryport.store import Transaction

DEFAULT_CIDR = "172.31.0.0/16"
DEFAULT_SUBNETS = ("172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20")  # by zone
ANYWHERE = "0.0.0.0/0"


def create_vpc(
    tx: Transaction,
    random: Random,
    account: str,
    region: str,
    cidr: str,
    *,
    is_default: bool = False,
    instance_tenancy: str = "default",
    tags: dict[str, str] | None = None,
) -> model.Vpc:
    """A VPC with its main route table, default network ACL and default security group."""
    vpc = model.Vpc(
        id=resource_id(random, "vpc"),
        account=account,
        region=region,
        tags=tags or {},
        cidr_block=cidr,
        cidr_association_id=resource_id(random, "vpc-cidr-assoc"),
        dhcp_options_id=_dhcp_options(tx, random, account, region).id,
        is_default=is_default,
        instance_tenancy=instance_tenancy,
        enable_dns_hostnames=is_default,
    )
    tx.put(model.VPCS, vpc)
    main = model.RouteTableAssociation(id=resource_id(random, "rtbassoc"))
    tx.put(
        model.ROUTE_TABLES,
        model.RouteTable(
            id=resource_id(random, "rtb"), account=account, region=region, vpc_id=vpc.id, associations=[main]
        ),
    )
    tx.put(
        model.NETWORK_ACLS,
        model.NetworkAcl(id=resource_id(random, "acl"), account=account, region=region, vpc_id=vpc.id),
    )
    create_default_group(tx, random, vpc)
    return vpc


def _dhcp_options(tx: Transaction, random: Random, account: str, region: str) -> model.DhcpOptions:
    existing = tx.find(model.DHCP_OPTIONS, "scope", model.scope(account, region))
    if existing:
        return existing[0]
    made = model.DhcpOptions(id=resource_id(random, "dopt"), account=account, region=region)
    tx.put(model.DHCP_OPTIONS, made)
    return made


def create_default_group(tx: Transaction, random: Random, vpc: model.Vpc) -> model.SecurityGroup:
    """The default group: everything in from its own members, everything out."""
    group = model.SecurityGroup(
        id=resource_id(random, "sg"),
        account=vpc.account,
        region=vpc.region,
        name="default",
        description="default VPC security group",
        vpc_id=vpc.id,
    )
    tx.put(model.SECURITY_GROUPS, group)
    tx.put(
        model.SECURITY_GROUP_RULES,
        model.SecurityGroupRule(
            id=resource_id(random, "sgr"),
            account=vpc.account,
            region=vpc.region,
            group_id=group.id,
            is_egress=False,
            protocol="-1",
            referenced_group_id=group.id,
        ),
    )
    allow_all_egress(tx, random, group)
    return group


def allow_all_egress(tx: Transaction, random: Random, group: model.SecurityGroup) -> None:
    """The rule that every new group has: everything out."""
    rule = model.SecurityGroupRule(
        id=resource_id(random, "sgr"),
        account=group.account,
        region=group.region,
        group_id=group.id,
        is_egress=True,
        protocol="-1",
        cidr_ipv4=ANYWHERE,
    )
    tx.put(model.SECURITY_GROUP_RULES, rule)


def create_subnet(
    tx: Transaction,
    random: Random,
    vpc: model.Vpc,
    cidr: str,
    zone: str,
    *,
    is_default: bool = False,
    tags: dict[str, str] | None = None,
) -> model.Subnet:
    """A subnet, under its VPC's default network ACL."""
    subnet = model.Subnet(
        id=resource_id(random, "subnet"),
        account=vpc.account,
        region=vpc.region,
        tags=tags or {},
        vpc_id=vpc.id,
        cidr_block=cidr,
        availability_zone=zone,
        availability_zone_id=addressing.zone_id(zone),
        default_for_az=is_default,
        map_public_ip_on_launch=is_default,
    )
    tx.put(model.SUBNETS, subnet)
    for acl in tx.find(model.NETWORK_ACLS, "vpc", vpc.id):
        associations = {**acl.association_ids, subnet.id: resource_id(random, "aclassoc")}
        tx.put(model.NETWORK_ACLS, replace(acl, association_ids=associations))
    return subnet


def create_default_vpc(tx: Transaction, random: Random, account: str, region: str) -> model.Vpc:
    """172.31.0.0/16 with a subnet a zone, an internet gateway and the route to it."""
    vpc = create_vpc(tx, random, account, region, DEFAULT_CIDR, is_default=True)
    for zone, cidr in zip(addressing.zones(region), DEFAULT_SUBNETS, strict=True):
        create_subnet(tx, random, vpc, cidr, zone, is_default=True)
    gateway = model.InternetGateway(id=resource_id(random, "igw"), account=account, region=region, vpc_id=vpc.id)
    tx.put(model.INTERNET_GATEWAYS, gateway)
    route = model.Route(destination=ANYWHERE, gateway_id=gateway.id)
    for table in tx.find(model.ROUTE_TABLES, "vpc", vpc.id):
        tx.put(model.ROUTE_TABLES, replace(table, routes=[route]))
    return vpc
