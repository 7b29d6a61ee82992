"""A load balancer as its data plane sees it: one frozen value, made from the store and applied whole.

The names and meanings of members are those of AWS's ELBv2 model (botocore, ``elbv2``). Times are whole seconds.
A plan has passed the API's validation; what the data plane cannot do it refuses with ``NotCarried`` before anything
is changed, so that the API can refuse it by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import msgspec


class NotCarried(ValueError):
    """The plan asks for something that this data plane does not do; the message names it."""


class Scheme(Enum):
    INTERNET_FACING = "internet-facing"
    INTERNAL = "internal"


class Kind(Enum):
    APPLICATION = "application"
    NETWORK = "network"
    CLASSIC = "classic"


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """One of the balancer's network interfaces: a zone's node."""

    zone: str
    address: str  # private, in the VPC


# --- conditions of rules: all must hold; of one condition's values, any -------------------------------------------


class HostHeader(msgspec.Struct, frozen=True, kw_only=True, tag="host-header"):
    values: tuple[str, ...]  # case-insensitive, with * and ?


class PathPattern(msgspec.Struct, frozen=True, kw_only=True, tag="path-pattern"):
    values: tuple[str, ...]  # case-sensitive, with * and ?; the path without its query


class HttpHeader(msgspec.Struct, frozen=True, kw_only=True, tag="http-header"):
    name: str
    values: tuple[str, ...]  # case-insensitive, with * and ?


class Method(msgspec.Struct, frozen=True, kw_only=True, tag="http-request-method"):
    values: tuple[str, ...]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of a query string. Without a key, the value may be that of any."""

    key: str | None = None
    value: str  # case-insensitive, with * and ?; a backslash makes either of them plain


class QueryString(msgspec.Struct, frozen=True, kw_only=True, tag="query-string"):
    values: tuple[Parameter, ...]


class SourceIp(msgspec.Struct, frozen=True, kw_only=True, tag="source-ip"):
    values: tuple[str, ...]  # CIDR blocks


Condition = HostHeader | PathPattern | HttpHeader | Method | QueryString | SourceIp


# --- actions -------------------------------------------------------------------------------------------------------


class Weighted(msgspec.Struct, frozen=True, kw_only=True):
    group: str  # the target group's ARN
    weight: int = 1  # 0 to 999


class Forward(msgspec.Struct, frozen=True, kw_only=True, tag="forward"):
    groups: tuple[Weighted, ...]
    stickiness: int | None = None  # seconds for which a client stays with its target group


class Redirect(msgspec.Struct, frozen=True, kw_only=True, tag="redirect"):
    """Each part a template of ``#{protocol}``, ``#{host}``, ``#{port}``, ``#{path}``, ``#{query}``."""

    permanent: bool
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


class FixedResponse(msgspec.Struct, frozen=True, kw_only=True, tag="fixed-response"):
    status: int
    content_type: str = "text/plain"
    body: str = ""


Action = Forward | Redirect | FixedResponse


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is not the listener's default."""

    priority: int  # the lowest that matches wins
    conditions: tuple[Condition, ...]
    action: Action


class Negotiation(msgspec.Struct, frozen=True, kw_only=True):
    """What TLS may be like: versions, the newest first, and ciphers, the preferred one first."""

    protocols: tuple[str, ...]
    ciphers: tuple[str, ...]
    server_order: bool  # whether the first of these that a client has is taken, else the first of the client's


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    arn: str
    protocol: str  # HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP
    port: int
    default: Action
    rules: tuple[Rule, ...] = ()
    certificates: tuple[str, ...] = ()  # ids of PEM files (chain and key); the first is the default one
    ssl_policy: str = "ELBSecurityPolicy-2016-08"
    response_headers: tuple[tuple[str, str], ...] = ()  # set in every answer
    server_header: bool = True  # whether answers say what served them
    idle_timeout: int = 350  # of TCP
    certificate_arn: str = ""  # that of the only certificate
    negotiation: Negotiation | None = None  # of classic load balancers, instead of the policy


# --- target groups ---------------------------------------------------------------------------------------------------


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    protocol: str = "HTTP"  # HTTP, HTTPS or TCP
    port: int | None = None  # none: the port that gets the traffic
    path: str = "/"
    interval: int = 30
    timeout: int = 5
    healthy: int = 5  # successes in a row
    unhealthy: int = 2  # failures in a row
    codes: str = "200"  # as in Matcher: "200-299,301"; gRPC's codes where the protocol version is GRPC


class Stickiness(msgspec.Struct, frozen=True, kw_only=True):
    type: str  # lb_cookie, app_cookie, source_ip
    duration: int = 86400
    cookie: str = ""  # the application's, for app_cookie


class Target(msgspec.Struct, frozen=True, kw_only=True):
    address: str
    port: int
    zone: str | None = None  # none: in every one
    draining: bool = False  # being deregistered: keeps what it has, gets nothing new

    @property
    def key(self) -> str:
        return f"{self.address}:{self.port}"


class TargetGroup(msgspec.Struct, frozen=True, kw_only=True):
    arn: str
    protocol: str  # HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP
    version: str = "HTTP1"  # HTTP1, HTTP2, GRPC
    health_check: HealthCheck
    targets: tuple[Target, ...] = ()
    algorithm: str = "round_robin"  # or least_outstanding_requests, weighted_random
    stickiness: Stickiness | None = None
    slow_start: int = 0
    cross_zone: bool = True  # else what comes to a zone goes to its targets, where that has healthy ones
    proxy_protocol: bool = False
    least_healthy: int = 1  # where fewer are healthy, all targets are led to
    end_deregistered: bool = False  # what a target has ends once it is gone
    end_unhealthy: bool = False  # TCP: connections end once their target is unhealthy


class Balancer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one load balancer. The deregistration delay is the control plane's: it keeps a target, draining,
    for that long."""

    arn: str
    name: str
    kind: Kind
    scheme: Scheme
    vpc_id: str
    interfaces: tuple[Interface, ...]
    listeners: tuple[Listener, ...] = ()
    groups: tuple[TargetGroup, ...] = ()  # those that a listener or rule names
    idle_timeout: int = 60
    http2: bool = True
    preserve_host: bool = False
    xff_port: bool = False
    xff_mode: str = "append"  # append, preserve, remove
    drop_invalid_headers: bool = False  # those whose names have other characters than letters, digits and hyphens
    access_log: bool = False  # whether each request is noted
    tls_headers: bool = False  # whether targets are told the version of TLS and the cipher


# --- the way between control plane and data plane --------------------------------------------------------------------


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one target, as DescribeTargetHealth has it."""

    state: str  # initial, healthy, unhealthy, draining
    reason: str = ""
    description: str = ""


class DataPlane(Protocol):
    """What the control plane's controllers call. Each call may be made again and then changes nothing."""

    async def apply(self, balancer: Balancer, files: Mapping[str, bytes]) -> None:
        """Make the balancer so, without losing a connection. ``files`` are the certificates' PEMs by id.

        Raises ``NotCarried``; then the balancer goes on as it was.
        """

    async def remove(self, arn: str) -> None:
        """End the balancer, if there is one."""

    async def health(
        self, balancer: Balancer, before: Mapping[str, Mapping[str, Health]]
    ) -> Mapping[str, Mapping[str, Health]]:
        """By target group's ARN and ``Target.key``; empty while the balancer does not run. ``before`` was known."""
