"""The attributes of load balancers, target groups and listeners: their keys, defaults and values. Pure.

Source: botocore's ``elbv2`` model (LoadBalancerAttribute, TargetGroupAttribute, ListenerAttribute) and what AWS's
Describe*Attributes answer. What the data plane does not do is refused by name when it is set to other than its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from dryport.aws.errors import ServiceError
from dryport.elb.actions import not_acted_on
from dryport.elb.health_checks import HTTP
from dryport.elb.model import APPLICATION, Listener, LoadBalancer, TargetGroup
from dryport.elb.names import invalid

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 6265's cookie-name
_LONGEST = 1024
Check = Callable[[str, str], str]  # of a key and a value: what AWS says against it, nothing where it may be


class Attribute(NamedTuple):
    """What an attribute may be. One that is not ``carried`` has its default only."""

    default: str
    refusal: Check
    carried: bool = True


def _says(message: str, *allowed: str) -> Check:
    """Values, and what is said against others, with ``{key}`` and ``{value}``."""
    return lambda key, value: "" if value in allowed else message.format(key=key, value=value)


def _inside(value: str, first: int, last: int) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 9 and first <= int(value) <= last


def _between(first: int, last: int, *also: str) -> Check:
    def check(key: str, value: str) -> str:
        if value in also or _inside(value, first, last):
            return ""
        return f"'{key}' value '{value}' must be between '{first}-{last}' inclusive"

    return check


def _listed(*allowed: str) -> Check:
    """Values of a header, or none."""
    message = f"The value of '{{key}}' must be from the following: [{', '.join(allowed)}], but was '{{value}}'"
    return _says(message, *allowed, "")


def _text(key: str, value: str) -> str:
    if len(value) <= _LONGEST and value.isascii() and (not value or value.isprintable()):
        return ""
    return f"The value of '{key}' must be at most {_LONGEST} printable ASCII characters"


def _idle(key: str, value: str) -> str:
    """AWS's words, which take seconds for characters."""
    if _inside(value, 1, 4000):
        return ""
    less = value == "0" or value.startswith("-")
    return f"The value of '{key}' cannot be {'less than 1' if less else 'greater than 4000'} characters"


def _keep_alive(key: str, value: str) -> str:
    return "" if _inside(value, 60, 604_800) else f"The value of '{key}' must be an integer between 60 and 604800"


def _addresses(key: str, value: str) -> str:
    return "" if _inside(value, 0, 7) else "Valid range for the number of secondary IP addresses is from '0-7'"


def _cookie(key: str, value: str) -> str:
    if not value or (len(value) <= 512 and not value.startswith("AWSALB") and _TOKEN.fullmatch(value) is not None):
        return ""
    return f"The value '{value}' of '{key}' is not a name that an application's cookie can have"


_SWITCH = _says("The value of '{key}' must be 'true' or 'false', but was '{value}'", "true", "false")
_CHOICE = "'{value}' is not a valid value for '{key}'"
_ONE = "'{value}' must be one of "
_DAYS = _between(1, 604_800)
_SHARE = _between(1, 100, "off")


def _off(*names: str) -> dict[str, Attribute]:
    """Switches that stay off: nothing here does what they turn on."""
    return {name: Attribute("false", _SWITCH, carried=False) for name in names}


def _logs(*kinds: str) -> dict[str, Attribute]:
    made: dict[str, Attribute] = {}
    for kind in kinds:
        made |= _off(f"{kind}_logs.s3.enabled")
        made |= {f"{kind}_logs.s3.{part}": Attribute("", _text, carried=False) for part in ("bucket", "prefix")}
    return made


_BALANCER = {
    "access_logs.s3.enabled": Attribute("false", _SWITCH),
    "access_logs.s3.bucket": Attribute("", _text),
    "access_logs.s3.prefix": Attribute("", _text),
    "deletion_protection.enabled": Attribute("false", _SWITCH),
    **_off("zonal_shift.config.enabled", "ipv6.deny_all_igw_traffic"),
}
_APPLICATION = {
    **_BALANCER,
    "idle_timeout.timeout_seconds": Attribute("60", _idle),
    "client_keep_alive.seconds": Attribute("3600", _keep_alive, carried=False),
    **_logs("connection", "health_check"),
    "load_balancing.cross_zone.enabled": Attribute(
        "true", _says("The value for '{key}' must always be 'true' for an Application Load Balancer", "true")
    ),
    "routing.http2.enabled": Attribute("true", _SWITCH),
    "routing.http.desync_mitigation_mode": Attribute(
        "defensive",
        _says(_ONE + "[defensive, monitor, strictest]", "defensive", "monitor", "strictest"),
        carried=False,
    ),
    "routing.http.drop_invalid_header_fields.enabled": Attribute("false", _SWITCH),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": Attribute("false", _SWITCH),
    **_off("routing.http.x_amzn_tls_kx.enabled"),
    "routing.http.preserve_host_header.enabled": Attribute("false", _SWITCH),
    "routing.http.xff_client_port.enabled": Attribute("false", _SWITCH),
    "routing.http.xff_header_processing.mode": Attribute(
        "append",
        _says("'{key}' must be set as 'preserve', 'append', or 'remove'", "preserve", "append", "remove"),
    ),
    **_off("waf.fail_open.enabled"),
}
_NETWORK = {
    **_BALANCER,
    "load_balancing.cross_zone.enabled": Attribute("false", _SWITCH),
    "dns_record.client_routing_policy": Attribute(
        "any_availability_zone",
        _says(_CHOICE, "availability_zone_affinity", "partial_availability_zone_affinity", "any_availability_zone"),
        carried=False,
    ),
    "secondary_ips.auto_assigned.per_subnet": Attribute("0", _addresses, carried=False),
}
_GROUP = {
    "deregistration_delay.timeout_seconds": Attribute("300", _between(0, 3600)),
    "stickiness.enabled": Attribute("false", _SWITCH),
    "load_balancing.cross_zone.enabled": Attribute(
        "use_load_balancer_configuration", _says(_CHOICE, "true", "false", "use_load_balancer_configuration")
    ),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute(
        "1", _between(1, 1000, "off"), carried=False
    ),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute("off", _SHARE, carried=False),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute("1", _between(1, 1000)),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute(
        "off", _SHARE, carried=False
    ),
}
_HTTP_GROUP = {
    **_GROUP,
    "stickiness.type": Attribute("lb_cookie", _says(_CHOICE, "lb_cookie", "app_cookie")),
    "stickiness.lb_cookie.duration_seconds": Attribute("86400", _DAYS),
    "stickiness.app_cookie.cookie_name": Attribute("", _cookie),
    "stickiness.app_cookie.duration_seconds": Attribute("86400", _DAYS),
    "slow_start.duration_seconds": Attribute("0", _between(30, 900, "0")),
    "load_balancing.algorithm.type": Attribute(
        "round_robin",
        _says(
            "'Load balancer algorithm' must be one of [round_robin, weighted_random, least_outstanding_requests]",
            *("round_robin", "weighted_random", "least_outstanding_requests"),
        ),
    ),
    "load_balancing.algorithm.anomaly_mitigation": Attribute("off", _says(_CHOICE, "on", "off"), carried=False),
}
_TCP_GROUP = {
    **_GROUP,
    "stickiness.type": Attribute("source_ip", _says(_CHOICE, "source_ip")),
    "proxy_protocol_v2.enabled": Attribute("false", _SWITCH),
    "deregistration_delay.connection_termination.enabled": Attribute("false", _SWITCH),
    # AWS's default for instances is true: there a client's address is kept. Here targets see the load balancer's.
    **_off("preserve_client_ip.enabled"),
    "target_health_state.unhealthy.connection_termination.enabled": Attribute("true", _SWITCH),
    "target_health_state.unhealthy.draining_interval_seconds": Attribute("0", _between(0, 360_000), carried=False),
}
_UDP_GROUP = {
    **_TCP_GROUP,
    "deregistration_delay.connection_termination.enabled": Attribute("true", _SWITCH),
}
_RESPONSE = "routing.http.response."
_HEADERS: dict[str, Check] = {
    "strict_transport_security": _text,
    "access_control_allow_origin": _text,
    "access_control_allow_methods": _text,
    "access_control_allow_headers": _text,
    "access_control_allow_credentials": _listed("true"),
    "access_control_expose_headers": _text,
    "access_control_max_age": _between(0, 86_400, ""),
    "content_security_policy": _text,
    "x_content_type_options": _listed("nosniff"),
    "x_frame_options": _listed("DENY", "SAMEORIGIN"),
}
_HTTP_LISTENER = {
    f"{_RESPONSE}server.enabled": Attribute("true", _SWITCH),
    **{f"{_RESPONSE}{name}.header_value": Attribute("", check) for name, check in _HEADERS.items()},
}
_HTTPS_LISTENER = {
    **_HTTP_LISTENER,
    **{
        f"routing.http.request.{name}.header_name": Attribute(header, _text, carried=False)
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
_TCP_LISTENER = {"tcp.idle_timeout.seconds": Attribute("350", _between(60, 6000))}


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
    return {**table, "ipv6.deny_all_igw_traffic": Attribute("true", _SWITCH, carried=False)}


def _groups(group: TargetGroup) -> Mapping[str, Attribute]:
    if group.protocol in HTTP:
        return _HTTP_GROUP
    return _UDP_GROUP if group.protocol in ("UDP", "TCP_UDP") else _TCP_GROUP


def _listeners(listener: Listener) -> Mapping[str, Attribute]:
    return {"HTTP": _HTTP_LISTENER, "HTTPS": _HTTPS_LISTENER, "TCP": _TCP_LISTENER}.get(listener.protocol, {})


def load_balancer_changes(balancer: LoadBalancer, given: Iterable[Any]) -> dict[str, str]:
    """The changes of a load balancer's attributes. Raises ServiceError."""
    return _changes("Load balancer", given, _balancers(balancer))


def target_group_changes(group: TargetGroup, given: Iterable[Any]) -> dict[str, str]:
    """The changes of a target group's attributes. Raises ServiceError."""
    changes = _changes("Target group", given, _groups(group))
    whole = of_target_group(group) | changes
    if whole["load_balancing.cross_zone.enabled"] == "false" and group.protocol in HTTP:
        raise not_acted_on("the attribute load_balancing.cross_zone.enabled=false of HTTP target groups")
    by_cookie = whole["stickiness.enabled"] == "true" and whole["stickiness.type"] == "app_cookie"
    if by_cookie and not whole["stickiness.app_cookie.cookie_name"]:
        raise invalid("You must set an application cookie name to enable stickiness of type 'app_cookie'")
    slow = whole.get("slow_start.duration_seconds", "0") != "0"
    if slow and whole["load_balancing.algorithm.type"] != "round_robin":
        raise ServiceError(
            "InvalidConfigurationRequest",
            "Slow start is supported only with the round_robin load balancing algorithm.",
        )
    return changes


def listener_changes(listener: Listener, given: Iterable[Any]) -> dict[str, str]:
    """The changes of a listener's attributes. Raises ServiceError."""
    elsewhere = _HTTPS_LISTENER.keys() | _TCP_LISTENER.keys()
    return _changes("Listener", given, _listeners(listener), elsewhere)


def _changes(
    subject: str, given: Iterable[Any], table: Mapping[str, Attribute], elsewhere: Collection[str] = ()
) -> dict[str, str]:
    """The changes, where each may be; ``elsewhere`` are keys that others of the kind have."""
    made: dict[str, str] = {}
    for each in given:
        key, value = each.get("Key", ""), each.get("Value", "")
        if key in made:
            raise invalid(f"Attribute key '{key}' has been specified more than once")
        if key not in table:
            if key in elsewhere:
                raise ServiceError("InvalidConfigurationRequest", "The provided listener attribute is not supported")
            raise invalid(f"{subject} attribute key '{key}' is not recognized")
        message = table[key].refusal(key, value)
        if message:
            raise invalid(message)
        if not table[key].carried and value != table[key].default:
            raise not_acted_on(f"the attribute {key}={value}")
        made[key] = value
    return made
