"""Networks: VPCs, the interfaces plugged into them, the rules that bind their packets, their names."""

from __future__ import annotations

from dryport.host.messages.base import Message


class Vpc(Message, frozen=True, kw_only=True):
    """A VPC to route: its block, its subnets' blocks, where its name server answers.

    ``domain`` is that of its private names (``ec2.internal``); ``dns`` false turns its name server off.
    """

    id: str
    cidr: str
    subnets: list[str]
    resolver: str
    domain: str
    dns: bool = True


class Guest(Message, frozen=True, kw_only=True):
    """What an instance sees of an interface: ``eth<index>``, the block of its subnet, the router in it."""

    index: int
    subnet: str
    gateway: str


class Port(Message, frozen=True, kw_only=True):
    """An interface to plug in. ``namespace`` is a name or path for its near end, "" the machine's own.

    ``secondary`` are further addresses of it. ``guest`` where it is an instance's, which is to answer at them.
    """

    vpc_id: str
    interface_id: str
    mac: str
    address: str
    namespace: str = ""
    secondary: list[str] = []
    guest: Guest | None = None


class Rule(Message, frozen=True, kw_only=True):
    """What a security group lets through.

    ``protocol`` is ``all``, ``tcp``, ``udp``, ``icmp`` or a number; ``ports`` the first and last one, with ICMP type
    and code (-1: any), ``None`` any. Peers are IPv4 blocks and members of groups.
    """

    protocol: str
    ports: tuple[int, int] | None = None
    networks: list[str] = []
    groups: list[str] = []


class Group(Message, frozen=True, kw_only=True):
    """A security group's rules by direction."""

    ingress: list[Rule] = []
    egress: list[Rule] = []


class Ruleset(Message, frozen=True, kw_only=True):
    """All that decides over a VPC's packets.

    ``members``: private address to the groups of its interface. ``public``: private address to public one.
    ``internet``: pairs of a subnet's block and a block that its route table sends to the internet gateway.
    ``nat``: a subnet's block, a block that it reaches through a NAT gateway, and that gateway's private address.
    """

    groups: dict[str, Group] = {}
    members: dict[str, list[str]] = {}
    public: dict[str, str] = {}
    internet: list[tuple[str, str]] = []
    nat: list[tuple[str, str, str]] = []


class Names(Message, frozen=True, kw_only=True):
    """A VPC's own names, lower case without a final dot, each with its IPv4 addresses.

    A name of ``nearest`` has addresses by the blocks that are asked from (a subnet's); elsewhere it is not known.
    """

    records: dict[str, list[str]] = {}
    nearest: dict[str, dict[str, list[str]]] = {}


class RecordSet(Message, frozen=True, kw_only=True):
    """The values of a name's records of one type, in their text form (RFC 1035, 5), and their TTL in seconds.

    An answer has at most ``most`` of them, chosen anew each time.
    """

    ttl: int
    values: list[str]
    most: int = 8


class PrivateZone(Message, frozen=True, kw_only=True):
    """A domain that a VPC's name server answers for alone: the record sets of its names, by type.

    Names are lower case without a final dot. ``soa_ttl``: seconds for which it may be kept that a name is not there.
    """

    name: str
    soa_ttl: int
    records: dict[str, dict[str, RecordSet]] = {}


class EnsureVpc(Message, frozen=True, kw_only=True, tag="ensure_vpc"):
    vpc: Vpc


class DeleteVpc(Message, frozen=True, kw_only=True, tag="delete_vpc"):
    vpc_id: str


class Plug(Message, frozen=True, kw_only=True, tag="plug"):
    port: Port


class Unplug(Message, frozen=True, kw_only=True, tag="unplug"):
    vpc_id: str
    interface_id: str


class SetFirewall(Message, frozen=True, kw_only=True, tag="set_firewall"):
    vpc_id: str
    ruleset: Ruleset


class SetNames(Message, frozen=True, kw_only=True, tag="set_names"):
    vpc_id: str
    names: Names


class SetZone(Message, frozen=True, kw_only=True, tag="set_zone"):
    """``zone_id`` tells zones of one name apart; without a ``zone`` it is no more. The VPC may yet have to come."""

    vpc_id: str
    zone_id: str
    zone: PrivateZone | None = None


class ListNetworks(Message, frozen=True, kw_only=True, tag="list"):
    pass


class Teardown(Message, frozen=True, kw_only=True, tag="teardown"):
    """Remove everything of this Dryport from the machine, instances too."""


class Networks(Message, frozen=True, kw_only=True, tag="networks"):
    """What is really there: VPC ids, each with the ids of the interfaces plugged into it."""

    vpcs: dict[str, list[str]] = {}
