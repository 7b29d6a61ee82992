"""Security group permissions: from what a request says to single rules, and back. Pure but for looking groups up.

Source: AuthorizeSecurityGroupIngress and IpPermission, EC2 API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple

from dryport.aws.errors import ServiceError
from dryport.ec2.model import SecurityGroup, SecurityGroupRule

Json = dict[str, Any]

_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
_NAMES = {"tcp", "udp", "icmp", "icmpv6", "-1"}
_V4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}")


class Permission(NamedTuple):
    """A rule before it has an id: traffic and one peer. Equal ones are duplicates, whatever their description."""

    protocol: str
    from_port: int
    to_port: int
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    prefix_list_id: str | None = None
    referenced_group_id: str | None = None


def of(rule: SecurityGroupRule) -> Permission:
    """What a stored rule permits."""
    return Permission(
        rule.protocol,
        rule.from_port,
        rule.to_port,
        cidr_ipv4=rule.cidr_ipv4,
        cidr_ipv6=rule.cidr_ipv6,
        prefix_list_id=rule.prefix_list_id,
        referenced_group_id=rule.referenced_group_id,
    )


def traffic(protocol: str | None, from_port: int | None, to_port: int | None) -> tuple[str, int, int]:
    """Protocol and ports as EC2 keeps them. Raises ServiceError."""
    if protocol is None:
        raise ServiceError("MissingParameter", "The request must contain the parameter ipProtocol")
    name = _NUMBERS.get(protocol.lower(), protocol.lower())
    if name not in _NAMES and not (name.isdigit() and int(name) <= 255):
        raise ServiceError("InvalidParameterValue", f"Invalid value '{protocol}' for IP protocol. Unknown protocol.")
    if name not in ("tcp", "udp", "icmp", "icmpv6"):
        return name, -1, -1  # such rules hold for all ports, whatever was given
    first = -1 if from_port is None else from_port
    last = -1 if to_port is None else to_port
    if name in ("icmp", "icmpv6"):
        _check_icmp(first, last)
        return name, first, last
    if from_port is None or to_port is None or (first == -1) != (last == -1):
        raise _bad_range("Must specify both from and to ports with TCP/UDP.")
    if first == last == -1:
        return name, 0, 65535
    for port in (first, last):
        if not 0 <= port <= 65535:
            raise ServiceError(
                "InvalidParameterValue", f"Invalid value '{port}' for port. Must be between 0 and 65535."
            )
    if first > last:
        raise ServiceError("InvalidParameterValue", f"Invalid {name.upper()} port range ({first}-{last})")
    return name, first, last


def _bad_range(why: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", f"Invalid value '{why}' for portRange.")


def _check_icmp(kind: int, code: int) -> None:
    if not (-1 <= kind <= 255 and -1 <= code <= 255):
        raise ServiceError("InvalidParameterValue", f"ICMP type ({kind}) or code ({code}) out of range.")
    if kind == -1 and code != -1:
        raise ServiceError("InvalidParameterValue", f"ICMP code ({code}) must be -1 if the type is -1.")


def ipv4_block(text: str) -> str:
    """An IPv4 block, canonical. Raises ServiceError."""
    try:
        if not _V4.fullmatch(text):
            raise ValueError
        return str(IPv4Network(text, strict=False))
    except ValueError:
        raise ServiceError("InvalidParameterValue", f"CIDR block {text} is malformed") from None


def ipv6_block(text: str) -> str:
    """An IPv6 block, canonical. Raises ServiceError."""
    try:
        if "/" not in text:
            raise ValueError
        return str(IPv6Network(text, strict=False))
    except ValueError:
        raise ServiceError("InvalidParameterValue", f"CIDR block {text} is malformed") from None


def describe_duplicate(permission: Permission) -> str:
    """How EC2 names a rule in ``InvalidPermission.Duplicate``."""
    peer = next(each for each in permission[3:] if each)
    if permission.protocol == "-1":
        return f"peer: {peer}, ALL, ALLOW"
    if permission.protocol in ("tcp", "udp"):
        ports = f"from port: {permission.from_port}, to port: {permission.to_port}"
        return f"peer: {peer}, {permission.protocol.upper()}, {ports}, ALLOW"
    if permission.protocol in ("icmp", "icmpv6"):
        kind = f"type: {permission.from_port}, code: {permission.to_port}"
        return f"peer: {peer}, {permission.protocol.upper()}, {kind}, ALLOW"
    return f"peer: {peer}, protocol: {permission.protocol}, ALLOW"


def grouped(rules: Iterable[SecurityGroupRule], account: str) -> list[Json]:
    """Rules as ``IpPermissions``: one entry a protocol and port range."""
    entries: dict[tuple[str, int, int], Json] = {}
    for rule in rules:
        key = (rule.protocol, rule.from_port, rule.to_port)
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = _empty(rule)
        note = {"Description": rule.description} if rule.description else {}
        if rule.cidr_ipv4 is not None:
            entry["IpRanges"].append({**note, "CidrIp": rule.cidr_ipv4})
        if rule.cidr_ipv6 is not None:
            entry["Ipv6Ranges"].append({**note, "CidrIpv6": rule.cidr_ipv6})
        if rule.prefix_list_id is not None:
            entry["PrefixListIds"].append({**note, "PrefixListId": rule.prefix_list_id})
        if rule.referenced_group_id is not None:
            entry["UserIdGroupPairs"].append({**note, "UserId": account, "GroupId": rule.referenced_group_id})
    return list(entries.values())


def _empty(rule: SecurityGroupRule) -> Json:
    entry: Json = {"IpProtocol": rule.protocol}
    if rule.protocol in ("tcp", "udp", "icmp", "icmpv6"):
        entry |= {"FromPort": rule.from_port, "ToPort": rule.to_port}
    return entry | {"UserIdGroupPairs": [], "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}


def describe(rule: SecurityGroupRule, group: SecurityGroup, arn: str, tags: list[Json]) -> Json:
    """A rule as ``SecurityGroupRule``."""
    described: Json = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "GroupOwnerId": group.account,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
        "Tags": tags,
        "SecurityGroupRuleArn": arn,
    }
    optional = {
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "Description": rule.description,
    }
    described |= {key: value for key, value in optional.items() if value is not None}
    if rule.referenced_group_id is not None:
        described["ReferencedGroupInfo"] = {"GroupId": rule.referenced_group_id, "UserId": group.account}
    return described
