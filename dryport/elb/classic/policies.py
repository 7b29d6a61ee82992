"""The policies of classic load balancers: their types, which may be together, what AWS defines of them. Pure.

Sources: botocore's ``elb`` model; "Predefined SSL security policies for Classic Load Balancers"; "Configure sticky
sessions for your Classic Load Balancer".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dryport.aws.errors import ServiceError
from dryport.elb import ssl_policies
from dryport.elb.actions import not_acted_on
from dryport.elb.dataplane.plan import Negotiation
from dryport.elb.model import Policy

LB_COOKIE, APP_COOKIE = "LBCookieStickinessPolicyType", "AppCookieStickinessPolicyType"
PROXY, SSL = "ProxyProtocolPolicyType", "SSLNegotiationPolicyType"
PUBLIC_KEY, AUTHENTICATION = "PublicKeyPolicyType", "BackendServerAuthenticationPolicyType"
REFERENCE, ORDER = "Reference-Security-Policy", "Server-Defined-Cipher-Order"
DEFAULT_SSL = "ELBSecurityPolicy-2016-08"
STICKY = (LB_COOKIE, APP_COOKIE)
HTTP, SECURE = ("HTTP", "HTTPS"), ("HTTPS", "SSL")
_PREDEFINED = (DEFAULT_SSL, "ELBSecurityPolicy-TLS-1-2-2017-01", "ELBSecurityPolicy-TLS-1-1-2017-01")
_PROTOCOLS = {f"Protocol-{version}": version for version in ("TLSv1", "TLSv1.1", "TLSv1.2")}
_CIPHERS = ssl_policies.POLICIES[DEFAULT_SSL].ciphers
_NAME = re.compile(r"[A-Za-z0-9-]{1,255}")
_COOKIE = re.compile(r"[A-Za-z0-9_.-]{1,255}")  # others would need quoting in two grammars of HAProxy's


class AttributeType(NamedTuple):
    """What a policy of a type can say."""

    name: str
    type: str
    cardinality: str


class Type(NamedTuple):
    """A type of policies."""

    description: str
    attributes: tuple[AttributeType, ...]


_SWITCH = "ZERO_OR_ONE"
TYPES = {
    SSL: Type(
        "Listener policy that defines the ciphers and protocols that will be accepted by the load balancer. This "
        "policy can be associated only with HTTPS/SSL listeners.",
        (
            AttributeType(REFERENCE, "String", _SWITCH),
            *(AttributeType(name, "Boolean", _SWITCH) for name in (*_PROTOCOLS, ORDER)),
            *(AttributeType(name, "Boolean", _SWITCH) for name in _CIPHERS),
        ),
    ),
    AUTHENTICATION: Type(
        "Policy that controls authentication to back-end server(s) and contains one or more policies, such as an "
        "instance of a PublicKeyPolicyType. This policy can be associated only with back-end servers that are using "
        "HTTPS/SSL.",
        (AttributeType("PublicKeyPolicyName", "PolicyName", "ONE_OR_MORE"),),
    ),
    PUBLIC_KEY: Type(
        "Policy containing a list of public keys to accept when authenticating the back-end server(s). This policy "
        "cannot be applied directly to back-end servers or listeners but must be part of a "
        "BackendServerAuthenticationPolicyType.",
        (AttributeType("PublicKey", "String", "ONE"),),
    ),
    APP_COOKIE: Type(
        "Stickiness policy with session lifetimes controlled by the lifetime of the application-generated cookie. This "
        "policy can be associated only with HTTP/HTTPS listeners.",
        (AttributeType("CookieName", "String", "ONE"),),
    ),
    LB_COOKIE: Type(
        "Stickiness policy with session lifetimes controlled by the browser (user-agent) or a specified expiration "
        "period. This policy can be associated only with HTTP/HTTPS listeners.",
        (AttributeType("CookieExpirationPeriod", "Long", "ZERO_OR_ONE"),),
    ),
    PROXY: Type(
        "Policy that controls whether to include the IP address and port of the originating request for TCP messages. "
        "This policy operates on TCP/SSL listeners only",
        (AttributeType("ProxyProtocol", "Boolean", "ONE"),),
    ),
}


def refused(message: str) -> ServiceError:
    """ELB's error for a configuration that cannot be."""
    return ServiceError("InvalidConfigurationRequest", message, 409)


def predefined(name: str) -> Policy | None:
    """A policy that every load balancer has: one of the security policies."""
    policy = ssl_policies.POLICIES.get(name) if name in _PREDEFINED else None
    if policy is None:
        return None
    switches = [(key, _said(version in policy.protocols)) for key, version in _PROTOCOLS.items()]
    switches.append((ORDER, "true"))
    switches += [(cipher, _said(cipher in policy.ciphers)) for cipher in _CIPHERS]
    return Policy(name=name, type=SSL, attributes=[(REFERENCE, name), *switches])


def samples() -> list[Policy]:
    """What DescribeLoadBalancerPolicies answers where no load balancer is named."""
    found = [predefined(name) for name in _PREDEFINED]
    return [each for each in found if each is not None]


def _said(value: bool) -> str:
    return "true" if value else "false"


def checked(name: str, kind: str, given: Iterable[Any]) -> Policy:
    """A policy as it is asked for. Raises ServiceError."""
    if not _NAME.fullmatch(name):
        raise ServiceError("ValidationError", "PolicyName can only contain alphanumeric characters and hyphens")
    found = TYPES.get(kind)
    if found is None:
        raise ServiceError("PolicyTypeNotFound", f"There is no policy type named '{kind}'")
    if kind in (PUBLIC_KEY, AUTHENTICATION):
        raise not_acted_on(f"policies of the type {kind}")
    pairs = [(each.get("AttributeName", ""), each.get("AttributeValue", "")) for each in given]
    known = {each.name: each for each in found.attributes}
    for key, value in pairs:
        if key not in known:
            if kind == SSL and key:
                raise not_acted_on(f"the attribute {key} of SSL negotiation policies")
            raise refused(f"Policy attribute '{key}' is not valid for policy type '{kind}'")
        _check_value(known[key], value)
    for each in found.attributes:
        times = sum(key == each.name for key, _ in pairs)
        if times > 1:
            raise refused(f"Policy attribute '{each.name}' can be specified once only")
        if each.cardinality == "ONE" and not times:
            raise refused(f"Policy attribute '{each.name}' is required for policy type '{kind}'")
    policy = Policy(name=name, type=kind, attributes=pairs)
    if kind == SSL:
        return _referred(policy)
    return policy


def _check_value(kind: AttributeType, value: str) -> None:
    if kind.type == "Boolean" and value not in ("true", "false"):
        raise refused(f"Policy attribute '{kind.name}' must be true or false")
    if kind.type == "Long" and not (value.isascii() and value.isdecimal() and len(value) < 18):
        raise refused(f"Policy attribute '{kind.name}' must be a number")
    if kind.name == "CookieName" and not _COOKIE.fullmatch(value):
        raise refused(f"'{value}' is not a name that an application's cookie can have")


def _referred(policy: Policy) -> Policy:
    """A policy of SSL negotiation with what it refers to, and which protects something. Raises ServiceError."""
    attributes = dict(policy.attributes)
    if REFERENCE in attributes:
        if len(attributes) > 1:
            raise refused(f"No other attribute can be specified together with {REFERENCE}")
        other = predefined(attributes[REFERENCE])
        if other is None:
            raise ServiceError("PolicyNotFound", f"There is no security policy named '{attributes[REFERENCE]}'")
        return Policy(name=policy.name, type=SSL, attributes=other.attributes)
    allowed = negotiation(policy)
    if not allowed.protocols or not allowed.ciphers:
        raise refused("At least one protocol and one cipher must be enabled")
    return policy


def negotiation(policy: Policy) -> Negotiation:
    """What a policy of SSL negotiation allows."""
    on = {key for key, value in policy.attributes if value == "true"}
    protocols = tuple(version for key, version in reversed(_PROTOCOLS.items()) if key in on)
    ciphers = tuple(each for each in _CIPHERS if each in on)
    return Negotiation(protocols=protocols, ciphers=ciphers, server_order=ORDER in on)


def check_listener(protocol: str, found: Sequence[Policy]) -> None:
    """Refuse policies that a listener cannot have, together. Raises ServiceError."""
    for each in found:
        allowed = {LB_COOKIE: HTTP, APP_COOKIE: HTTP, SSL: SECURE}.get(each.type)
        if allowed is None:
            raise refused(f"Policy type {each.type} cannot be applied to listeners")
        if protocol not in allowed:
            raise refused(f"Policy type {each.type} is not supported for {protocol} listeners")
    for kinds, words in ((STICKY, "stickiness"), ((SSL,), "SSL negotiation")):
        if sum(each.type in kinds for each in found) > 1:
            raise refused(f"Only one {words} policy can be enabled for a listener")


def check_backend(found: Sequence[Policy]) -> None:
    """Refuse policies that instances' ports cannot have. Raises ServiceError."""
    for each in found:
        if each.type != PROXY:
            raise refused(f"Policy type {each.type} cannot be applied to back-end servers")


def of(policies: Iterable[Policy], name: str) -> Policy | None:
    """A policy by name, of a load balancer's or of those that all have."""
    return next((each for each in policies if each.name == name), None) or predefined(name)
