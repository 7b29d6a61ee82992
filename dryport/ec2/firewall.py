"""From security groups, interfaces and routes to the rules that bind packets. Pure.

Source: "Security group rules" and "Internet gateways", VPC user guide. A security group allows and never denies; an
interface lets through what any of its groups allows; answers to allowed traffic pass. VPCs here have IPv4 only, so
rules about IPv6 peers bind nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, collapse_addresses

from dryport.ec2.model import NetworkInterface, RouteTable, SecurityGroupRule, Subnet
from dryport.host.messages import Group, Rule, Ruleset

ABSENT = frozenset({"detached", "unplugging"})  # states of interfaces that no packet belongs to


def compile_rules(
    rules: Mapping[str, Iterable[SecurityGroupRule]],
    interfaces: Iterable[NetworkInterface],
    internet: Iterable[tuple[str, str]],
) -> Ruleset:
    """A VPC's rule set from its groups' rules (by group id), its interfaces, and ``internet_routes``."""
    present = [interface for interface in interfaces if interface.device not in ABSENT]
    return Ruleset(
        groups={group_id: _group(group_rules) for group_id, group_rules in rules.items()},
        members={interface.private_ip: list(interface.group_ids) for interface in present},
        public={interface.private_ip: interface.public_ip for interface in present if interface.public_ip},
        internet=list(internet),
    )


def _group(rules: Iterable[SecurityGroupRule]) -> Group:
    known = list(rules)
    return Group(
        ingress=_merged(rule for rule in known if not rule.is_egress),
        egress=_merged(rule for rule in known if rule.is_egress),
    )


def _merged(rules: Iterable[SecurityGroupRule]) -> list[Rule]:
    """One rule for all the peers of the same traffic."""
    networks: dict[tuple[str, tuple[int, int] | None], list[IPv4Network]] = {}
    groups: dict[tuple[str, tuple[int, int] | None], set[str]] = {}
    for rule in rules:
        if rule.protocol in ("icmpv6", "58") or (rule.cidr_ipv4 is None and rule.referenced_group_id is None):
            continue
        traffic = (_protocol(rule.protocol), _ports(rule))
        networks.setdefault(traffic, [])
        groups.setdefault(traffic, set())
        if rule.cidr_ipv4 is not None:
            networks[traffic].append(IPv4Network(rule.cidr_ipv4))
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


def internet_routes(
    subnets: Iterable[Subnet], tables: Iterable[RouteTable], gateway_ids: Iterable[str]
) -> list[tuple[str, str]]:
    """Each subnet's block with the blocks that its route table sends to an internet gateway of its VPC."""
    attached = set(gateway_ids)
    known = list(tables)
    main = next((table for table in known if table.is_main), None)
    by_subnet = {a.subnet_id: table for table in known for a in table.associations if a.subnet_id is not None}
    pairs = []
    for subnet in subnets:
        table = by_subnet.get(subnet.id, main)
        routes = table.routes if table is not None else []
        blocks = [
            IPv4Network(route.destination)
            for route in routes
            if route.gateway_id in attached and ":" not in route.destination
        ]
        pairs += [(subnet.cidr_block, str(block)) for block in collapse_addresses(blocks)]
    return pairs
