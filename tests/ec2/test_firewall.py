"""The compiled rule set against a plain reading of security groups, packet by packet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from dryport.ec2 import firewall
from dryport.ec2.model import NetworkInterface, Route, RouteTable, RouteTableAssociation, SecurityGroupRule, Subnet
from dryport.host.messages import Rule, Ruleset
from dryport.host.ruleset import Site, compile_ruleset, difference

World = tuple[dict[str, list[SecurityGroupRule]], list[NetworkInterface]]

GROUPS = ["sg-a", "sg-b", "sg-c"]
INSIDE = ["10.0.0.4", "10.0.0.5", "10.0.1.4", "10.0.1.5"]
OUTSIDE = ["203.0.113.9", "198.18.0.1"]
BLOCKS = ["0.0.0.0/0", "10.0.0.0/16", "10.0.0.0/24", "10.0.1.0/24", "10.0.0.4/32", "203.0.113.0/24"]
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "50": 50}


class Packet(NamedTuple):
    """The first one of a connection. With ICMP the port stands for the type, the code is 0."""

    source: str
    destination: str
    protocol: int
    port: int


def matches(rule: SecurityGroupRule, packet: Packet, peer: str, members: dict[str, list[str]]) -> bool:
    """Whether a rule as AWS documents it lets a packet through, seen from the side whose rule it is."""
    if rule.cidr_ipv4 is not None:
        if IPv4Address(peer) not in IPv4Network(rule.cidr_ipv4):
            return False
    elif rule.referenced_group_id is not None:
        if rule.referenced_group_id not in members.get(peer, []):
            return False
    else:
        return False  # about IPv6
    if rule.protocol == "-1":
        return True
    if PROTOCOLS.get(rule.protocol) != packet.protocol:
        return False
    if rule.protocol in ("tcp", "udp"):
        return rule.from_port <= packet.port <= rule.to_port
    if rule.protocol == "icmp":
        return rule.from_port == -1 or (rule.from_port == packet.port and rule.to_port in (-1, 0))
    return True


def allowed(
    packet: Packet,
    rules: dict[str, list[SecurityGroupRule]],
    interfaces: list[NetworkInterface],
) -> bool:
    """The reference: the sender's groups let it out, and the receiver's let it in."""
    members = {each.private_ip: each.group_ids for each in interfaces if each.device == "plugged"}

    def passes(own: str, peer: str, egress: bool) -> bool:
        mine = [rule for group in members[own] for rule in rules[group] if rule.is_egress == egress]
        return any(matches(rule, packet, peer, members) for rule in mine)

    sent = packet.source not in members or passes(packet.source, packet.destination, True)
    return sent and packet.destination in members and passes(packet.destination, packet.source, False)


def lets_through(ruleset: Ruleset, packet: Packet) -> bool:
    """What the compiled rule set does with a packet that arrives from inside or outside."""

    def hit(rule: Rule, peer: str) -> bool:
        by_network = any(IPv4Address(peer) in IPv4Network(network) for network in rule.networks)
        by_group = any(group in ruleset.members.get(peer, []) for group in rule.groups)
        if not (by_network or by_group):
            return False
        if rule.protocol == "all":
            return True
        if PROTOCOLS[rule.protocol] != packet.protocol or rule.ports is None:
            return PROTOCOLS[rule.protocol] == packet.protocol
        if rule.protocol == "icmp":
            return rule.ports[0] == -1 or (rule.ports[0] == packet.port and rule.ports[1] in (-1, 0))
        return rule.ports[0] <= packet.port <= rule.ports[1]

    source, destination = packet.source, packet.destination
    if source in ruleset.members:
        out = [rule for group in ruleset.members[source] for rule in ruleset.groups[group].egress]
        if not any(hit(rule, destination) for rule in out):
            return False
    into = [rule for group in ruleset.members.get(destination, []) for rule in ruleset.groups[group].ingress]
    return any(hit(rule, source) for rule in into)


@st.composite
def security_rules(draw: st.DrawFn, group: str) -> SecurityGroupRule:
    protocol = draw(st.sampled_from(["tcp", "udp", "icmp", "50", "-1"]))
    first, last = -1, -1
    if protocol in ("tcp", "udp"):
        first = draw(st.integers(0, 9))
        last = draw(st.integers(first, 9))
    if protocol == "icmp":
        first = draw(st.sampled_from([-1, 3, 8]))
        last = -1 if first == -1 else draw(st.sampled_from([-1, 0, 1]))
    peer = draw(st.sampled_from([*BLOCKS, *GROUPS, "::/0"]))
    return SecurityGroupRule(
        id=f"sgr-{draw(st.integers(0, 1 << 30))}",
        account="1",
        region="us-east-1",
        group_id=group,
        is_egress=draw(st.booleans()),
        protocol=protocol,
        from_port=first,
        to_port=last,
        cidr_ipv4=peer if peer in BLOCKS else None,
        cidr_ipv6=peer if peer == "::/0" else None,
        referenced_group_id=peer if peer in GROUPS else None,
    )


def interface(address: str, groups: list[str], device: str) -> NetworkInterface:
    return NetworkInterface(
        id=f"eni-{address}",
        account="1",
        region="us-east-1",
        mac_address="02:00:00:00:00:01",
        private_ip=address,
        private_dns_name="",
        subnet_id="subnet-1",
        vpc_id="vpc-1",
        availability_zone="us-east-1a",
        group_ids=groups,
        device=device,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    rules = {group: draw(st.lists(security_rules(group), max_size=4)) for group in GROUPS}
    interfaces = [
        interface(
            address,
            draw(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=3, unique=True)),
            draw(st.sampled_from(["plugged", "plugged", "unplugging", "detached"])),
        )
        for address in INSIDE
    ]
    return rules, interfaces


PACKETS = st.builds(
    Packet,
    source=st.sampled_from(INSIDE + OUTSIDE),
    destination=st.sampled_from(INSIDE),
    protocol=st.sampled_from(sorted(PROTOCOLS.values())),
    port=st.integers(0, 9),
)


@given(world=worlds(), packets=st.lists(PACKETS, min_size=1, max_size=20))
def test_the_rule_set_lets_through_what_the_groups_allow(world: World, packets: list[Packet]) -> None:
    rules, interfaces = world
    ruleset = firewall.compile_rules(rules, interfaces, [])
    for packet in packets:
        assert lets_through(ruleset, packet) == allowed(packet, rules, interfaces), packet


@given(first=worlds(), second=worlds())
def test_a_difference_leads_to_the_same_table_as_a_fresh_start(first: World, second: World) -> None:
    site = Site("198.18.0.1", 4566, "198.18.0.2", "10.0.0.2")
    old, new = (
        compile_ruleset(firewall.compile_rules(rules, interfaces, []), site) for rules, interfaces in (first, second)
    )
    batch = difference(old, new)
    if old.structure != new.structure:
        assert "delete table" in batch
        return
    elements = {name: dict(entries) for name, entries in old.elements.items()}
    for line in batch.splitlines():
        verb, _, _, _, name, listed = line.split(" ", 5)
        for entry in listed.strip("{} ").split(", "):
            key, _, value = entry.partition(" : ")
            if verb == "add":
                assert key not in elements[name]
                elements[name][key] = value
            else:
                assert elements[name].pop(key) == value
    assert elements == new.elements


def test_routes_decide_which_subnets_reach_the_internet() -> None:
    def subnet(id: str, block: str) -> Subnet:
        return Subnet(
            id=id,
            account="1",
            region="r",
            vpc_id="v",
            cidr_block=block,
            availability_zone="ra",
            availability_zone_id="z",
        )

    subnets = [subnet("subnet-1", "10.0.0.0/24"), subnet("subnet-2", "10.0.1.0/24")]
    main = RouteTable(id="rtb-1", account="1", region="r", vpc_id="v", associations=[RouteTableAssociation(id="a")])
    routes = [
        Route(destination="0.0.0.0/0", gateway_id="igw-1"),
        Route(destination="8.8.8.0/24", gateway_id="igw-1"),
        Route(destination="::/0", gateway_id="igw-1"),
    ]
    association = RouteTableAssociation(id="b", subnet_id="subnet-2")
    public = RouteTable(id="rtb-2", account="1", region="r", vpc_id="v", routes=routes, associations=[association])
    assert firewall.internet_routes(subnets, [main, public], ["igw-1"]) == [("10.0.1.0/24", "0.0.0.0/0")]
    assert firewall.internet_routes(subnets, [main, public], []) == []
