"""What is stored of load balancers, target groups, listeners, rules and targets. Times are seconds since the epoch.

Members that users give are kept as the API validated them; ``Json`` values have the spelling of AWS's model (botocore,
``elbv2``) with its defaults filled in, so that Describe* answers them as they are.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.store import Table

Json = dict[str, Any]
APPLICATION, NETWORK, CLASSIC = "application", "network", "classic"
PROVISIONING, ACTIVE, FAILED, DELETING = "provisioning", "active", "failed", "deleting"
DRAINING = "draining"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored."""


class Zone(Record, frozen=True, kw_only=True):
    """One of a balancer's zones: its subnet, and the network interface there (EC2's) once it is made.

    ``address`` is the private one, ``chosen`` where the user gave it; ``allocation_id`` is an elastic address that he
    gave. Both are for network load balancers.
    """

    name: str
    subnet_id: str
    interface_id: str = ""
    address: str = ""
    chosen: bool = False
    allocation_id: str = ""


class HealthCheck(Record, frozen=True, kw_only=True):
    """A target group's or a classic load balancer's, with its defaults filled in. Times are whole seconds."""

    protocol: str
    port: str = "traffic-port"
    path: str = ""  # none for TCP
    enabled: bool = True
    interval: int = 30
    timeout: int = 5
    healthy: int = 5
    unhealthy: int = 2
    codes: str = ""  # none for TCP


class Policy(Record, frozen=True, kw_only=True):
    """A policy of a classic load balancer: its type's name, and its attributes in order (a name may be there twice)."""

    name: str
    type: str
    attributes: list[tuple[str, str]] = []


class Classic(Record, frozen=True, kw_only=True):
    """What only classic load balancers have. ``backends`` are the names of policies by instances' port."""

    health_check: HealthCheck
    policies: list[Policy] = []
    backends: dict[int, list[str]] = {}


class LoadBalancer(Record, frozen=True, kw_only=True):
    """``state`` is ``provisioning`` until its data plane answers, ``active``, ``failed`` with a ``reason``, or
    ``deleting`` until its process and interfaces are gone (the API shows it no more).

    ``attributes`` are those that somebody set, without the defaults. ``groups`` are security groups' ids. A classic one
    (``classic``) is known by its name alone: its row's ARN, which nobody sees, is one that no other has had; its
    listeners are rows with an instance's port and no actions, its instances are targets of it, of the port 0.
    """

    arn: str
    name: str
    account: str
    region: str
    type: str
    scheme: str  # internet-facing, internal
    vpc_id: str
    dns_name: str
    zones: list[Zone]
    created_at: float
    groups: list[str] = []
    ip_address_type: str = "ipv4"
    state: str = PROVISIONING
    reason: str = ""
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    classic: Classic | None = None


class TargetGroup(Record, frozen=True, kw_only=True):
    """``attributes`` are those that somebody set, without the defaults."""

    arn: str
    name: str
    account: str
    region: str
    target_type: str  # instance, ip
    protocol: str
    port: int
    vpc_id: str
    health_check: HealthCheck
    created_at: float
    protocol_version: str = ""  # HTTP1, HTTP2; none for TCP, TLS, UDP
    ip_address_type: str = "ipv4"
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}


class Listener(Record, frozen=True, kw_only=True):
    """``actions`` are the default rule's, as DescribeListeners answers them; the first certificate is the default."""

    arn: str
    load_balancer: str  # its ARN
    protocol: str
    port: int
    actions: list[Json]
    ssl_policy: str = ""
    certificates: list[str] = []
    alpn: list[str] = []
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    instance_protocol: str = ""  # this and what follows: of classic load balancers
    instance_port: int = 0
    policies: list[str] = []  # their names


class Rule(Record, frozen=True, kw_only=True):
    """A rule that is not its listener's default one (that one is made of the listener's ``actions``)."""

    arn: str
    listener: str  # its ARN
    priority: int
    conditions: list[Json]
    actions: list[Json]
    tags: dict[str, str] = {}


class Target(Record, frozen=True, kw_only=True):
    """A target as it was registered: an instance's id or an address, and the port that gets the traffic.

    ``state``, ``reason`` and ``description`` are TargetHealth's: ``unused``, ``initial``, ``healthy``, ``unhealthy``,
    ``draining``. A draining one is deleted at ``gone_at``.
    """

    group: str  # the target group's ARN, or a classic load balancer's
    id: str
    port: int
    zone: str = ""  # as it was given: a zone's name or "all"
    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    description: str = "Target registration is in progress"
    gone_at: float | None = None

    @property
    def key(self) -> str:
        return target_key(self.group, self.id, self.port)


class AccessLog(Record, frozen=True, kw_only=True):
    """How far a load balancer's access log is delivered: of what HAProxy wrote, the place in bytes; of its intervals,
    the end of the last one. ``tested`` is the place in S3 that has its test file."""

    arn: str  # the load balancer's
    position: int = 0
    until: float = 0.0
    tested: str = ""


def target_key(group: str, target_id: str, port: int) -> str:
    """The key of a target."""
    return f"{group}|{target_id}|{port}"


def scope(account: str, region: str, *more: str) -> str:
    """The index value for what an account has in a region."""
    return "/".join((account, region, *more))


def forwarded(actions: list[Json]) -> set[str]:
    """The ARNs of the target groups that actions forward to."""
    found: set[str] = set()
    for action in actions:
        found |= {action["TargetGroupArn"]} if "TargetGroupArn" in action else set()
        found |= {each["TargetGroupArn"] for each in action.get("ForwardConfig", {}).get("TargetGroups", ())}
    return found


def _is_there(balancer: LoadBalancer, *, classic: bool) -> bool:
    """Whether the API of classic load balancers, or the other one, shows it."""
    return balancer.state != DELETING and (balancer.type == CLASSIC) is classic


LOAD_BALANCERS = Table(
    "elb.load_balancer",
    LoadBalancer,
    key=lambda b: b.arn,
    indexes={
        "scope": lambda b: scope(b.account, b.region) if _is_there(b, classic=False) else None,
        "name": lambda b: scope(b.account, b.region, b.name) if _is_there(b, classic=False) else None,
        "classic": lambda b: scope(b.account, b.region) if _is_there(b, classic=True) else None,
        "classic_name": lambda b: scope(b.account, b.region, b.name) if _is_there(b, classic=True) else None,
    },
)
TARGET_GROUPS = Table(
    "elb.target_group",
    TargetGroup,
    key=lambda g: g.arn,
    indexes={"scope": lambda g: scope(g.account, g.region), "name": lambda g: scope(g.account, g.region, g.name)},
)
ACCESS_LOGS = Table("elb.access_log", AccessLog, key=lambda each: each.arn)
LISTENERS = Table(
    "elb.listener",
    Listener,
    key=lambda each: each.arn,
    indexes={
        "load_balancer": lambda each: each.load_balancer,
        "group": lambda each: sorted(forwarded(each.actions)),
        "certificate": lambda each: each.certificates,
    },
)
RULES = Table(
    "elb.rule",
    Rule,
    key=lambda r: r.arn,
    indexes={"listener": lambda r: r.listener, "group": lambda r: sorted(forwarded(r.actions))},
)
TARGETS = Table(
    "elb.target",
    Target,
    key=lambda t: t.key,
    indexes={"group": lambda t: t.group, "id": lambda t: t.id},
)
