"""From security groups, interfaces and routes to the rules that bind packets. Pure.

Source: "Security group rules" and "Internet gateways", VPC user guide. A security group allows and never denies; an
interface lets through what any of its groups allows; answers to allowed traffic pass. VPCs here have IPv4 only, so
rules about IPv6 peers bind nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, collapse_addresses

from dryport.ec2.model import NatGateway, NetworkInterface, Route, RouteTable, SecurityGroupRule, Subnet
from dryport.host.messages import Group, Rule, Ruleset

EMPTY: Mapping[str, Iterable[str]] = {}
ABSENT = frozenset({"detached", "detaching", "unplugging"})  # states of interfaces that no packet belongs to


_ALL = Rule(protocol="all", networks=["0.0.0.0/0"])
_OPEN = "open"  # the group of interfaces that have none: those of network load balancers
PrefixLists = Mapping[str, Iterable[str]]  # each list's blocks


def compile_rules(
    rules: Mapping[str, Iterable[SecurityGroupRule]],
    interfaces: Iterable[NetworkInterface],
    internet: Iterable[tuple[str, str]],
    nat: Iterable[tuple[str, str, str]] = (),
    prefix_lists: PrefixLists = EMPTY,
) -> Ruleset:
    """A VPC's rule set from its groups' rules (by group id), its interfaces, ``internet_routes`` and ``nat_routes``."""
    present = [interface for interface in interfaces if interface.device not in ABSENT]
    groups = {group_id: _group(group_rules, prefix_lists) for group_id, group_rules in rules.items()}
    if any(not each.group_ids for each in present):
        groups[_OPEN] = Group(ingress=[_ALL], egress=[_ALL])
    return Ruleset(
        groups=groups,
        members={address: list(each.group_ids) or [_OPEN] for each in present for address in each.private_ips},
        public={interface.private_ip: interface.public_ip for interface in present if interface.public_ip},
        internet=list(internet),
        nat=list(nat),
    )


def _group(rules: Iterable[SecurityGroupRule], prefix_lists: PrefixLists) -> Group:
    known = list(rules)
    return Group(
        ingress=_merged((rule for rule in known if not rule.is_egress), prefix_lists),
        egress=_merged((rule for rule in known if rule.is_egress), prefix_lists),
    )


def _merged(rules: Iterable[SecurityGroupRule], prefix_lists: PrefixLists) -> list[Rule]:
    """One rule for all the peers of the same traffic."""
    networks: dict[tuple[str, tuple[int, int] | None], list[IPv4Network]] = {}
    groups: dict[tuple[str, tuple[int, int] | None], set[str]] = {}
    for rule in rules:
        if rule.protocol in ("icmpv6", "58") or rule.cidr_ipv6 is not None:
            continue
        traffic = (_protocol(rule.protocol), _ports(rule))
        networks.setdefault(traffic, [])
        groups.setdefault(traffic, set())
        if rule.cidr_ipv4 is not None:
            networks[traffic].append(IPv4Network(rule.cidr_ipv4))
        if rule.prefix_list_id is not None:
            networks[traffic] += _ipv4_blocks(prefix_lists.get(rule.prefix_list_id, ()))
        if rule.referenced_group_id is not None:
            groups[traffic].add(rule.referenced_group_id)
    return [
        Rule(
            protocol=protocol,
            ports=ports,
            networks=[str(network) for network in collapse_addresses(networks[protocol, ports])],
            groups=sorted(groups[protocol, ports]),
        )
        for protocol, ports in sorted(networks, key=repr)
    ]


def _protocol(protocol: str) -> str:
    return "all" if protocol == "-1" else protocol


def _ports(rule: SecurityGroupRule) -> tuple[int, int] | None:
    if rule.protocol in ("tcp", "udp"):
        return (rule.from_port, rule.to_port) if rule.from_port >= 0 else None
    if rule.protocol == "icmp":
        return (rule.from_port, rule.to_port)
    return None


def _ipv4_blocks(blocks: Iterable[str]) -> list[IPv4Network]:
    return [IPv4Network(block) for block in blocks if ":" not in block]


def internet_routes(
    subnets: Iterable[Subnet],
    tables: Iterable[RouteTable],
    gateway_ids: Iterable[str],
    prefix_lists: PrefixLists = EMPTY,
) -> list[tuple[str, str]]:
    """Each subnet's block with the blocks that its route table sends to an internet gateway of its VPC."""
    attached = set(gateway_ids)
    return [
        (subnet.cidr_block, str(block))
        for subnet, table in _tables_of(subnets, tables)
        for block in collapse_addresses(
            block for route in table.routes if route.gateway_id in attached for block in _blocks(route, prefix_lists)
        )
    ]


def nat_routes(
    subnets: Iterable[Subnet],
    tables: Iterable[RouteTable],
    gateways: Iterable[NatGateway],
    internet: Iterable[tuple[str, str]],
    prefix_lists: PrefixLists = EMPTY,
) -> list[tuple[str, str, str]]:
    """Each subnet's block with the blocks that it reaches through a NAT gateway, and that gateway's private address.

    A gateway reaches what its own subnet's route table sends to the internet.
    """
    known, reached = list(subnets), list(internet)
    block_of = {subnet.id: subnet.cidr_block for subnet in known}
    working = {gateway.id: gateway for gateway in gateways if gateway.state in ("pending", "available")}
    found: list[tuple[str, str, str]] = []
    for subnet, table in _tables_of(known, tables):
        for route in table.routes:
            gateway = working.get(route.nat_gateway_id)
            if gateway is None or gateway.subnet_id == subnet.id:
                continue
            way_out = [IPv4Network(block) for source, block in reached if source == block_of.get(gateway.subnet_id)]
            common = (_common(wanted, out) for wanted in _blocks(route, prefix_lists) for out in way_out)
            found += [
                (subnet.cidr_block, str(block), gateway.private_ip)
                for block in collapse_addresses(block for block in common if block is not None)
            ]
    return found


def _tables_of(subnets: Iterable[Subnet], tables: Iterable[RouteTable]) -> Iterable[tuple[Subnet, RouteTable]]:
    """Each subnet with its route table: its own, else the VPC's main one."""
    known = list(tables)
    main = next((table for table in known if table.is_main), None)
    by_subnet = {a.subnet_id: table for table in known for a in table.associations if a.subnet_id is not None}
    for subnet in subnets:
        table = by_subnet.get(subnet.id, main)
        if table is not None:
            yield subnet, table


def _blocks(route: Route, prefix_lists: PrefixLists) -> Sequence[IPv4Network]:
    if route.destination.startswith("pl-"):
        return _ipv4_blocks(prefix_lists.get(route.destination, ()))
    return _ipv4_blocks([route.destination])


def _common(one: IPv4Network, other: IPv4Network) -> IPv4Network | None:
    """What two blocks have in common: the smaller one, or nothing."""
    if one.subnet_of(other):
        return one
    return other if other.subnet_of(one) else None
