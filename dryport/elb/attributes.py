"""The attributes of load balancers, target groups and listeners: their keys, defaults and values. Pure.

Source: botocore's ``elbv2`` model (LoadBalancerAttribute, TargetGroupAttribute, ListenerAttribute) and what AWS's
Describe*Attributes answer. What the data plane does not do is refused by name when it is set to other than its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dryport.aws.errors import ServiceError
from dryport.elb.actions import not_acted_on
from dryport.elb.health_checks import HTTP
from dryport.elb.model import APPLICATION, Listener, LoadBalancer, TargetGroup
from dryport.elb.names import invalid

Test = Callable[[str], bool]
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 6265's cookie-name


class Attribute(NamedTuple):
    """What an attribute may be. One that is not ``carried`` has its default only."""

    default: str
    allowed: Test
    expected: str  # in words
    carried: bool = True


def _one_of(*values: str) -> tuple[Test, str]:
    return values.__contains__, " or ".join(f"'{each}'" for each in values)


def _between(first: int, last: int, *also: str) -> tuple[Test, str]:
    def inside(text: str) -> bool:
        return text in also or (text.isascii() and text.isdecimal() and len(text) <= 9 and first <= int(text) <= last)

    extra = "".join(f", or '{each}'" for each in also)
    return inside, f"between '{first}' and '{last}' inclusive{extra}"


_SWITCH = _one_of("true", "false")
_ANY: tuple[Test, str] = (lambda text: len(text) <= 1024, "at most 1024 characters long")
_VALUE: tuple[Test, str] = (
    lambda text: len(text) <= 1024 and text.isascii() and (not text or text.isprintable()),
    "at most 1024 printable ASCII characters",
)
_DAYS = _between(1, 604_800)
_SHARE = _between(1, 100, "off")


def _cookie(text: str) -> bool:
    return not text or (len(text) <= 512 and not text.startswith("AWSALB") and _TOKEN.fullmatch(text) is not None)


def _off(*names: str) -> dict[str, Attribute]:
    """Switches that stay off: nothing here does what they turn on."""
    return {name: Attribute("false", *_SWITCH, carried=False) for name in names}


def _logs(*kinds: str) -> dict[str, Attribute]:
    made: dict[str, Attribute] = {}
    for kind in kinds:
        made |= _off(f"{kind}_logs.s3.enabled")
        made |= {f"{kind}_logs.s3.{part}": Attribute("", *_ANY, carried=False) for part in ("bucket", "prefix")}
    return made


_BALANCER = {
    **_logs("access"),
    "deletion_protection.enabled": Attribute("false", *_SWITCH),
    **_off("zonal_shift.config.enabled", "ipv6.deny_all_igw_traffic"),
}
_APPLICATION = {
    **_BALANCER,
    "idle_timeout.timeout_seconds": Attribute("60", *_between(1, 4000)),
    "client_keep_alive.seconds": Attribute("3600", *_between(60, 604_800), carried=False),
    **_logs("connection", "health_check"),
    "load_balancing.cross_zone.enabled": Attribute("true", *_one_of("true")),
    "routing.http2.enabled": Attribute("true", *_SWITCH),
    "routing.http.desync_mitigation_mode": Attribute(
        "defensive", *_one_of("monitor", "defensive", "strictest"), carried=False
    ),
    "routing.http.drop_invalid_header_fields.enabled": Attribute("false", *_SWITCH),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": Attribute("false", *_SWITCH),
    **_off("routing.http.x_amzn_tls_kx.enabled"),
    "routing.http.preserve_host_header.enabled": Attribute("false", *_SWITCH),
    "routing.http.xff_client_port.enabled": Attribute("false", *_SWITCH),
    "routing.http.xff_header_processing.mode": Attribute("append", *_one_of("append", "preserve", "remove")),
    **_off("waf.fail_open.enabled"),
}
_NETWORK = {
    **_BALANCER,
    "load_balancing.cross_zone.enabled": Attribute("false", *_SWITCH),
    "dns_record.client_routing_policy": Attribute(
        "any_availability_zone",
        *_one_of("availability_zone_affinity", "partial_availability_zone_affinity", "any_availability_zone"),
        carried=False,
    ),
    "secondary_ips.auto_assigned.per_subnet": Attribute("0", *_between(0, 7), carried=False),
}
_GROUP = {
    "deregistration_delay.timeout_seconds": Attribute("300", *_between(0, 3600)),
    "stickiness.enabled": Attribute("false", *_SWITCH),
    "load_balancing.cross_zone.enabled": Attribute(
        "use_load_balancer_configuration", *_one_of("true", "false", "use_load_balancer_configuration")
    ),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute(
        "1", *_between(1, 1000, "off"), carried=False
    ),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute("off", *_SHARE, carried=False),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute(
        "1", *_between(1, 1000), carried=False
    ),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute(
        "off", *_SHARE, carried=False
    ),
}
_HTTP_GROUP = {
    **_GROUP,
    "stickiness.type": Attribute("lb_cookie", *_one_of("lb_cookie", "app_cookie")),
    "stickiness.lb_cookie.duration_seconds": Attribute("86400", *_DAYS),
    "stickiness.app_cookie.cookie_name": Attribute("", _cookie, "a cookie's name that does not begin with AWSALB"),
    "stickiness.app_cookie.duration_seconds": Attribute("86400", *_DAYS),
    "slow_start.duration_seconds": Attribute("0", *_between(30, 900, "0")),
    "load_balancing.algorithm.type": Attribute(
        "round_robin", *_one_of("round_robin", "least_outstanding_requests", "weighted_random")
    ),
    "load_balancing.algorithm.anomaly_mitigation": Attribute("off", *_one_of("on", "off"), carried=False),
}
_TCP_GROUP = {
    **_GROUP,
    "stickiness.type": Attribute("source_ip", *_one_of("source_ip")),
    "proxy_protocol_v2.enabled": Attribute("false", *_SWITCH),
    **_off("deregistration_delay.connection_termination.enabled"),
    # AWS's default for instances is true: there a client's address is kept. Here targets see the load balancer's.
    **_off("preserve_client_ip.enabled"),
    "target_health_state.unhealthy.connection_termination.enabled": Attribute("true", *_SWITCH),
    "target_health_state.unhealthy.draining_interval_seconds": Attribute("0", *_between(0, 360_000), carried=False),
}
_RESPONSE = "routing.http.response."
_HEADERS: dict[str, tuple[Test, str]] = {
    "strict_transport_security": _VALUE,
    "access_control_allow_origin": _VALUE,
    "access_control_allow_methods": _VALUE,
    "access_control_allow_headers": _VALUE,
    "access_control_allow_credentials": _one_of("true", ""),
    "access_control_expose_headers": _VALUE,
    "access_control_max_age": _between(0, 86_400, ""),
    "content_security_policy": _VALUE,
    "x_content_type_options": _one_of("nosniff", ""),
    "x_frame_options": _VALUE,
}
_HTTP_LISTENER = {
    f"{_RESPONSE}server.enabled": Attribute("true", *_SWITCH),
    **{f"{_RESPONSE}{name}.header_value": Attribute("", *allowed) for name, allowed in _HEADERS.items()},
}
_HTTPS_LISTENER = {
    **_HTTP_LISTENER,
    **{
        f"routing.http.request.{name}.header_name": Attribute(header, *_ANY, carried=False)
        for name, header in (
            ("x_amzn_mtls_clientcert_serial_number", "X-Amzn-Mtls-Clientcert-Serial-Number"),
            ("x_amzn_mtls_clientcert_issuer", "X-Amzn-Mtls-Clientcert-Issuer"),
            ("x_amzn_mtls_clientcert_subject", "X-Amzn-Mtls-Clientcert-Subject"),
            ("x_amzn_mtls_clientcert_validity", "X-Amzn-Mtls-Clientcert-Validity"),
            ("x_amzn_mtls_clientcert_leaf", "X-Amzn-Mtls-Clientcert-Leaf"),
            ("x_amzn_mtls_clientcert", "X-Amzn-Mtls-Clientcert"),
            ("x_amzn_tls_version", "X-Amzn-Tls-Version"),
            ("x_amzn_tls_cipher_suite", "X-Amzn-Tls-Cipher-Suite"),
        )
    },
}
_TCP_LISTENER = {"tcp.idle_timeout.seconds": Attribute("350", *_between(60, 6000))}


def of_load_balancer(balancer: LoadBalancer) -> dict[str, str]:
    """A load balancer's attributes, with their defaults."""
    return {name: each.default for name, each in _balancers(balancer).items()} | balancer.attributes


def of_target_group(group: TargetGroup) -> dict[str, str]:
    """A target group's attributes, with their defaults."""
    return {name: each.default for name, each in _groups(group).items()} | group.attributes


def of_listener(listener: Listener) -> dict[str, str]:
    """A listener's attributes, with their defaults."""
    return {name: each.default for name, each in _listeners(listener).items()} | listener.attributes


def response_headers(attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The headers that a listener's attributes have every answer carry."""
    for name in _HEADERS:
        value = attributes.get(f"{_RESPONSE}{name}.header_value", "")
        if value:
            yield name.replace("_", "-").title(), value


def _balancers(balancer: LoadBalancer) -> Mapping[str, Attribute]:
    table = _APPLICATION if balancer.type == APPLICATION else _NETWORK
    if balancer.scheme != "internal":
        return table
    return {**table, "ipv6.deny_all_igw_traffic": Attribute("true", *_SWITCH, carried=False)}


def _groups(group: TargetGroup) -> Mapping[str, Attribute]:
    return _HTTP_GROUP if group.protocol in HTTP else _TCP_GROUP


def _listeners(listener: Listener) -> Mapping[str, Attribute]:
    return {"HTTP": _HTTP_LISTENER, "HTTPS": _HTTPS_LISTENER, "TCP": _TCP_LISTENER}.get(listener.protocol, {})


def load_balancer_changes(balancer: LoadBalancer, given: Iterable[Any]) -> dict[str, str]:
    """The changes of a load balancer's attributes. Raises ServiceError."""
    everything = _APPLICATION.keys() | _NETWORK.keys()
    what = f"load balancers with type '{balancer.type}'"
    return _changes("Load balancer", given, _balancers(balancer), everything, what)


def target_group_changes(group: TargetGroup, given: Iterable[Any]) -> dict[str, str]:
    """The changes of a target group's attributes. Raises ServiceError."""
    everything = _HTTP_GROUP.keys() | _TCP_GROUP.keys()
    what = f"target groups with the {group.protocol} protocol"
    changes = _changes("Target group", given, _groups(group), everything, what)
    whole = of_target_group(group) | changes
    if whole["load_balancing.cross_zone.enabled"] == "false" and group.protocol in HTTP:
        raise not_acted_on("the attribute load_balancing.cross_zone.enabled=false of HTTP target groups")
    by_cookie = whole["stickiness.enabled"] == "true" and whole["stickiness.type"] == "app_cookie"
    if by_cookie and not whole["stickiness.app_cookie.cookie_name"]:
        raise invalid("A cookie name must be specified for stickiness of type 'app_cookie'")
    slow = whole.get("slow_start.duration_seconds", "0") != "0"
    if slow and whole["load_balancing.algorithm.type"] != "round_robin":
        raise ServiceError(
            "InvalidConfigurationRequest",
            "Slow start is supported only with the round_robin load balancing algorithm.",
        )
    return changes


def listener_changes(listener: Listener, given: Iterable[Any]) -> dict[str, str]:
    """The changes of a listener's attributes. Raises ServiceError."""
    everything = _HTTPS_LISTENER.keys() | _TCP_LISTENER.keys()
    what = f"listeners with the {listener.protocol} protocol"
    return _changes("Listener", given, _listeners(listener), everything, what)


def _changes(
    subject: str, given: Iterable[Any], table: Mapping[str, Attribute], everything: Iterable[str], what: str
) -> dict[str, str]:
    made: dict[str, str] = {}
    for each in given:
        key, value = each.get("Key", ""), each.get("Value", "")
        if key in made:
            raise invalid(f"Attribute key '{key}' has been specified more than once")
        if key not in table:
            if key in everything:
                message = f"{subject} attribute key '{key}' is not supported on {what}"
                raise ServiceError("InvalidConfigurationRequest", message)
            raise invalid(f"{subject} attribute key '{key}' is not recognized")
        rule = table[key]
        if not rule.allowed(value):
            raise invalid(f"The value '{value}' of '{key}' must be {rule.expected}")
        if not rule.carried and value != rule.default:
            raise not_acted_on(f"the attribute {key}={value}")
        made[key] = value
    return made
