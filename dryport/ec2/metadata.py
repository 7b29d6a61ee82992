"""What the instance metadata service says to an instance. Pure.

Source: "Instance metadata categories" and "Dynamic data categories", EC2 user guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from dryport.aws.arn import partition_of
from dryport.ec2 import addressing, identity
from dryport.ec2.model import Instance, NetworkInterface, RoleKey, SecurityGroup, SigningKey, Subnet, Vpc
from dryport.ec2.profiles import Profile
from dryport.host.messages import Metadata
from dryport.iam.model import Credential

Leaves = Iterator[tuple[str, str]]
_VHOSTMD = '<?xml version="1.0" encoding="UTF-8"?>'


class Connection(NamedTuple):
    """An interface of an instance, and what it is in."""

    interface: NetworkInterface
    subnet: Subnet
    groups: list[SecurityGroup]


class Role(NamedTuple):
    """The role that an instance has, and its present key; without one nothing can be said of the role."""

    profile: Profile
    key: RoleKey
    credential: Credential


class Facts(NamedTuple):
    """All that an instance is told of. ``connections``: the primary one first. ``devices``: volumes beside the root.

    ``task_addresses`` are those of interfaces that are its tasks'.
    """

    instance: Instance
    vpc: Vpc
    connections: list[Connection]
    devices: list[str]
    system: str
    signing_key: SigningKey
    role: Role | None = None
    task_addresses: Sequence[str] = ()


def compile_metadata(facts: Facts) -> Metadata:
    """The metadata of an instance."""
    instance = facts.instance
    own = (address for each in facts.connections for address in each.interface.private_ips)
    return Metadata(
        address=instance.private_ip,
        more_addresses=sorted({*facts.task_addresses, *own} - {instance.private_ip}),
        enabled=instance.metadata.enabled,
        tokens_required=instance.metadata.tokens_required,
        hop_limit=instance.metadata.hop_limit,
        tree={
            **{f"meta-data/{path}": value for path, value in _meta_data(facts)},
            **{f"dynamic/{path}": value for path, value in _dynamic(facts)},
        },
        user_data=instance.user_data or None,
    )


def _meta_data(facts: Facts) -> Leaves:
    instance, primary = facts.instance, facts.connections[0]
    yield "ami-id", instance.image_id
    yield "ami-launch-index", str(instance.launch_index)
    yield "ami-manifest-path", "(unknown)"
    yield from _devices(instance, facts.devices)
    yield "events/maintenance/history", "[]"
    yield "events/maintenance/scheduled", "[]"
    yield "hostname", primary.interface.private_dns_name
    yield "instance-action", "none"
    yield "instance-id", instance.id
    yield "instance-life-cycle", "on-demand"
    yield "instance-type", instance.instance_type
    yield "local-hostname", primary.interface.private_dns_name
    yield "local-ipv4", primary.interface.private_ip
    yield "mac", primary.interface.mac_address
    yield "metrics/vhostmd", _VHOSTMD
    for connection in facts.connections:
        mac = connection.interface.mac_address
        for name, value in _connection(connection, facts.vpc):
            yield f"network/interfaces/macs/{mac}/{name}", value
    yield "placement/availability-zone", instance.availability_zone
    yield "placement/availability-zone-id", addressing.zone_id(instance.availability_zone)
    yield "placement/region", instance.region
    yield "profile", "default-hvm"
    yield from _public(primary.interface, facts.vpc)
    if instance.key_name:
        yield "public-keys/", f"0={instance.key_name}"
        yield "public-keys/0/openssh-key", f"{instance.public_key} {instance.key_name}"
    yield "reservation-id", instance.reservation_id
    yield "security-groups", _lines(group.name for group in primary.groups)
    partition = partition_of(instance.region)
    yield "services/domain", "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    yield "services/partition", partition
    yield "system", facts.system
    if facts.role is not None:
        yield from _role(facts.role)
    if instance.metadata.tags:
        for key, value in instance.tags.items():
            if "/" not in key:
                yield f"tags/instance/{key}", value


def _devices(instance: Instance, devices: Iterable[str]) -> Leaves:
    yield "block-device-mapping/ami", instance.root_device_name
    yield "block-device-mapping/root", instance.root_device_name
    for number, device in enumerate(sorted(devices), 1):
        yield f"block-device-mapping/ebs{number}", device.removeprefix("/dev/")


def _connection(connection: Connection, vpc: Vpc) -> Leaves:
    interface = connection.interface
    yield "device-number", str(interface.device_index)
    yield "interface-id", interface.id
    if interface.public_ip is not None:
        yield f"ipv4-associations/{interface.public_ip}", interface.private_ip
        if vpc.enable_dns_hostnames:
            yield "public-hostname", addressing.public_dns_name(interface.public_ip, interface.region)
        yield "public-ipv4s", interface.public_ip
    yield "local-hostname", interface.private_dns_name
    yield "local-ipv4s", _lines(interface.private_ips)
    yield "mac", interface.mac_address
    yield "owner-id", interface.account
    yield "security-group-ids", _lines(group.id for group in connection.groups)
    yield "security-groups", _lines(group.name for group in connection.groups)
    yield "subnet-id", interface.subnet_id
    yield "subnet-ipv4-cidr-block", connection.subnet.cidr_block
    yield "vpc-id", interface.vpc_id
    yield "vpc-ipv4-cidr-block", vpc.cidr_block
    yield "vpc-ipv4-cidr-blocks", vpc.cidr_block


def _public(interface: NetworkInterface, vpc: Vpc) -> Leaves:
    if interface.public_ip is not None:
        if vpc.enable_dns_hostnames:
            yield "public-hostname", addressing.public_dns_name(interface.public_ip, interface.region)
        yield "public-ipv4", interface.public_ip


def _role(role: Role) -> Leaves:
    info = {
        "Code": "Success",
        "LastUpdated": _time(role.key.issued_at),
        "InstanceProfileArn": role.profile.arn,
        "InstanceProfileId": role.profile.id,
    }
    yield "iam/info", _json(info)
    credentials = {
        "Code": "Success",
        "LastUpdated": _time(role.key.issued_at),
        "Type": "AWS-HMAC",
        "AccessKeyId": role.credential.access_key_id,
        "SecretAccessKey": role.credential.secret_access_key,
        "Token": role.credential.session_token or "",
        "Expiration": _time(role.key.expires),
    }
    yield f"iam/security-credentials/{role.profile.role_name}", _json(credentials)


def _dynamic(facts: Facts) -> Leaves:
    yield "fws/instance-monitoring", "disabled"
    document = identity.document(facts.instance)
    signatures = identity.sign(document, facts.signing_key)
    yield "instance-identity/document", document
    yield "instance-identity/pkcs7", signatures.pkcs7
    yield "instance-identity/rsa2048", signatures.pkcs7
    yield "instance-identity/signature", signatures.signature


def _lines(values: Iterable[str]) -> str:
    return "\n".join(values)


def _json(content: dict[str, str]) -> str:
    return json.dumps(content, indent=2, separators=(",", " : "))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
