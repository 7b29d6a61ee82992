"""VPCs and what is in them."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope, scope_of, token
from dryport.store import Table


class RegionState(Record, frozen=True, kw_only=True):
    """An account's region that has been used: its default VPC was made then, and is not made again by itself."""

    account: str
    region: str


class Vpc(Resource, frozen=True, kw_only=True):
    cidr_block: str
    cidr_association_id: str
    dhcp_options_id: str
    is_default: bool = False
    instance_tenancy: str = "default"
    enable_dns_support: bool = True
    enable_dns_hostnames: bool = False


class Subnet(Resource, frozen=True, kw_only=True):
    vpc_id: str
    cidr_block: str
    availability_zone: str
    availability_zone_id: str
    default_for_az: bool = False
    map_public_ip_on_launch: bool = False


class InternetGateway(Resource, frozen=True, kw_only=True):
    vpc_id: str | None = None  # attached to


class Route(Record, frozen=True, kw_only=True):
    """A route beside the implicit ``local`` one; ``destination`` is an IPv4 or IPv6 block or a prefix list's id.

    One of ``gateway_id`` (an internet gateway) and ``nat_gateway_id`` is set.
    """

    destination: str
    gateway_id: str = ""
    nat_gateway_id: str = ""


class RouteTableAssociation(Record, frozen=True, kw_only=True):
    """``subnet_id`` is ``None`` where the table is the VPC's main one."""

    id: str
    subnet_id: str | None = None


class RouteTable(Resource, frozen=True, kw_only=True):
    vpc_id: str
    client_token: str = ""
    routes: list[Route] = []
    associations: list[RouteTableAssociation] = []

    @property
    def is_main(self) -> bool:
        """Whether the subnets without a table of their own use this one."""
        return any(association.subnet_id is None for association in self.associations)


class NetworkAcl(Resource, frozen=True, kw_only=True):
    """A VPC's default network ACL, which lets everything through; there are no others yet."""

    vpc_id: str
    association_ids: dict[str, str] = {}  # by subnet id


class DhcpOptions(Resource, frozen=True, kw_only=True):
    """The default set of a region: the platform's resolver and domain."""


class SecurityGroup(Resource, frozen=True, kw_only=True):
    name: str
    description: str
    vpc_id: str


class SecurityGroupRule(Resource, frozen=True, kw_only=True):
    """A rule: one protocol and port range, one peer (exactly one of the four is set).

    ``protocol`` is as EC2 answers it (``tcp``, ``udp``, ``icmp``, ``icmpv6``, ``-1`` for all, otherwise a number);
    with ICMP the ports are type and code, -1 is any. ``from_port`` and ``to_port`` are -1 where there are none.
    """

    group_id: str
    is_egress: bool
    protocol: str
    from_port: int = -1
    to_port: int = -1
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    prefix_list_id: str | None = None
    referenced_group_id: str | None = None
    description: str | None = None


BALANCERS = "amazon-elb"  # the requester of load balancers' interfaces


class NetworkInterface(Resource, frozen=True, kw_only=True):
    """An interface with a private IPv4 address, and ``secondary_ips`` beside it.

    ``device`` says how far the host is: ``detached`` (a user made it, nothing uses it), ``wanted``, ``plugged`` (its
    rules are in force), ``detaching`` (still its instance's until it is unplugged), ``unplugging`` (deleted for every
    client, its address not yet free), ``failed`` with ``device_error``; or ``routed``, an address without a link, which
    the VPC's router itself stands for (NAT gateways, mount targets). ``namespace`` is the network namespace that its
    near end goes to, "" being the built-in host's own. ``owner`` is what it was made for (a task's ARN), "" for one
    that a user made. ``public_ip`` is given by the controller before ``plugged``, where it is wanted. One that is
    attached to an instance has an ``instance_id``, also while that is stopped and it is ``detached`` from every
    network; ``device_index`` 0 is the primary one. That of a task on an instance is that one's for everybody who looks
    (``task_of``), though it comes and goes with its task.
    """

    mac_address: str
    private_ip: str
    private_dns_name: str
    subnet_id: str
    vpc_id: str
    availability_zone: str
    group_ids: list[str]
    secondary_ips: list[str] = []
    description: str = ""
    wants_public_ip: bool = False
    public_ip: str | None = None
    association_id: str | None = None  # of the public address
    owner: str = ""
    requester_id: str = ""
    client_token: str = ""
    interface_type: str = "interface"  # interface, nat_gateway
    names: list[str] = []  # by which the VPC's name server knows it in its zone, beside its private name
    source_dest_check: bool = True
    attachment_id: str | None = None
    instance_id: str = ""
    task_of: str = ""  # the instance that its task runs on
    device_index: int = 1
    delete_on_termination: bool = False
    namespace: str = ""
    device: str = "wanted"
    device_error: str = ""
    created_at: float = 0.0
    attached_at: float | None = None

    @property
    def private_ips(self) -> list[str]:
        """All of its private addresses, the primary one first."""
        return [self.private_ip, *self.secondary_ips]


REGIONS = Table("ec2.region", RegionState, key=lambda r: scope(r.account, r.region))
VPCS = Table("ec2.vpc", Vpc, key=lambda v: v.id, indexes={"scope": scope_of})
SUBNETS = Table("ec2.subnet", Subnet, key=lambda s: s.id, indexes={"scope": scope_of, "vpc": lambda s: s.vpc_id})
INTERNET_GATEWAYS = Table(
    "ec2.internet_gateway",
    InternetGateway,
    key=lambda g: g.id,
    indexes={"scope": scope_of, "vpc": lambda g: g.vpc_id},
)
ROUTE_TABLES = Table(
    "ec2.route_table",
    RouteTable,
    key=lambda t: t.id,
    indexes={
        "scope": scope_of,
        "vpc": lambda t: t.vpc_id,
        "subnet": lambda t: [a.subnet_id for a in t.associations if a.subnet_id],
        "association": lambda t: [a.id for a in t.associations],
        "prefix_list": lambda t: [r.destination for r in t.routes if r.destination.startswith("pl-")],
        "token": lambda t: token(t.account, t.region, t.client_token),
    },
)
NETWORK_ACLS = Table(
    "ec2.network_acl", NetworkAcl, key=lambda a: a.id, indexes={"scope": scope_of, "vpc": lambda a: a.vpc_id}
)
DHCP_OPTIONS = Table("ec2.dhcp_options", DhcpOptions, key=lambda d: d.id, indexes={"scope": scope_of})
SECURITY_GROUPS = Table(
    "ec2.security_group",
    SecurityGroup,
    key=lambda g: g.id,
    indexes={
        "scope": scope_of,
        "vpc": lambda g: g.vpc_id,
        "name": lambda g: f"{g.vpc_id}/{g.name}",
    },
)
SECURITY_GROUP_RULES = Table(
    "ec2.security_group_rule",
    SecurityGroupRule,
    key=lambda r: r.id,
    indexes={
        "scope": scope_of,
        "group": lambda r: r.group_id,
        "referenced": lambda r: r.referenced_group_id,
        "prefix_list": lambda r: r.prefix_list_id,
    },
)
NETWORK_INTERFACES = Table(
    "ec2.network_interface",
    NetworkInterface,
    key=lambda i: i.id,
    indexes={
        "scope": scope_of,
        "owner": lambda i: i.owner or None,
        "instance": lambda i: i.instance_id or None,
        "task_of": lambda i: i.task_of or None,
        "attachment": lambda i: i.attachment_id,
        "vpc": lambda i: i.vpc_id,
        "subnet": lambda i: i.subnet_id,
        "group": lambda i: i.group_ids,
        "address": lambda i: [f"{i.subnet_id}/{address}" for address in i.private_ips],
        "several": lambda i: i.subnet_id if i.secondary_ips else None,  # whose subnet has fewer free addresses
        "mac": lambda i: i.mac_address,
        "public_ip": lambda i: i.public_ip,
        "device": lambda i: i.device,
        "token": lambda i: token(i.account, i.region, i.client_token),
    },
)
