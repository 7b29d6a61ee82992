"""Whether security groups let one address open connections to another's port. Pure.

For what the platform carries itself instead of packets (mounts of file systems). Packets are bound by ``firewall``,
which reads the same rules the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from dryport.ec2.model import SecurityGroupRule


class End(NamedTuple):
    """An interface: its private address and its groups."""

    address: str
    group_ids: frozenset[str]


def reaches(
    rules: Mapping[str, Iterable[SecurityGroupRule]],
    source: End,
    target: End,
    protocol: str,
    port: int,
    prefix_lists: Mapping[str, Iterable[str]],
) -> bool:
    """Whether the source's egress and the target's ingress rules, by group id, both let ``tcp`` or ``udp`` through."""

    def allowed(here: End, peer: End, egress: bool) -> bool:
        return any(
            rule.is_egress == egress and _carries(rule, protocol, port) and _names(rule, peer, prefix_lists)
            for group_id in here.group_ids
            for rule in rules.get(group_id, ())
        )

    return allowed(source, target, True) and allowed(target, source, False)


def _carries(rule: SecurityGroupRule, protocol: str, port: int) -> bool:
    if rule.protocol == "-1":
        return True
    return rule.protocol == protocol and (rule.from_port < 0 or rule.from_port <= port <= rule.to_port)


def _names(rule: SecurityGroupRule, peer: End, prefix_lists: Mapping[str, Iterable[str]]) -> bool:
    if rule.referenced_group_id is not None:
        return rule.referenced_group_id in peer.group_ids
    blocks = [rule.cidr_ipv4] if rule.cidr_ipv4 is not None else prefix_lists.get(rule.prefix_list_id or "", ())
    return any(IPv4Address(peer.address) in IPv4Network(block) for block in blocks if ":" not in block)
