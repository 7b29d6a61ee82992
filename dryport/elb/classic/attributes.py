"""The attributes of classic load balancers: AWS's structure, and how a balancer's row has them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.elb.actions import not_acted_on
from dryport.elb.model import LoadBalancer
from dryport.elb.names import invalid

DESYNC = "elb.http.desyncmitigationmode"
_MODES = ("monitor", "defensive", "strictest")
DEFAULTS = {
    "cross_zone": "false",
    "draining": "false",
    "draining.timeout": "300",
    "idle_timeout": "60",
}


def of(balancer: LoadBalancer) -> dict[str, str]:
    """A balancer's attributes, with their defaults."""
    return DEFAULTS | balancer.attributes


def draining_seconds(balancer: LoadBalancer) -> int:
    """For how many seconds an instance drains that is deregistered."""
    found = of(balancer)
    return int(found["draining.timeout"]) if found["draining"] == "true" else 0


def described(attributes: Mapping[str, str]) -> dict[str, Any]:
    """AWS's structure of all attributes."""
    return {
        "CrossZoneLoadBalancing": {"Enabled": attributes["cross_zone"] == "true"},
        "AccessLog": {"Enabled": False},
        "ConnectionDraining": {
            "Enabled": attributes["draining"] == "true",
            "Timeout": int(attributes["draining.timeout"]),
        },
        "ConnectionSettings": {"IdleTimeout": int(attributes["idle_timeout"])},
        "AdditionalAttributes": [{"Key": DESYNC, "Value": "defensive"}],
    }


def changes(given: Mapping[str, Any]) -> dict[str, str]:
    """What AWS's structure changes. Raises ServiceError for what cannot be, and what is not carried."""
    found: dict[str, str] = {}
    if "CrossZoneLoadBalancing" in given:
        found["cross_zone"] = _said(given["CrossZoneLoadBalancing"]["Enabled"])
    if given.get("AccessLog", {}).get("Enabled"):
        raise not_acted_on("access logs of classic load balancers")
    if "ConnectionDraining" in given:
        draining = given["ConnectionDraining"]
        found["draining"] = _said(draining["Enabled"])
        if "Timeout" in draining:
            if not 1 <= draining["Timeout"] <= 3600:
                raise invalid("ConnectionDraining timeout must be between 1 and 3600 seconds")
            found["draining.timeout"] = str(draining["Timeout"])
    if "ConnectionSettings" in given:
        idle = given["ConnectionSettings"]["IdleTimeout"]
        if not 1 <= idle <= 4000:
            raise invalid("IdleTimeout must be between 1 and 4000 seconds")
        found["idle_timeout"] = str(idle)
    for each in given.get("AdditionalAttributes", ()):
        _check_additional(each.get("Key", ""), each.get("Value", ""))
    return found


def _check_additional(key: str, value: str) -> None:
    if key != DESYNC:
        raise ServiceError("LoadBalancerAttributeNotFound", f"Load balancer attribute '{key}' does not exist")
    if value not in _MODES:
        raise invalid(f"'{value}' must be one of [{', '.join(_MODES)}]")
    if value != "defensive":
        raise not_acted_on(f"{DESYNC} = {value}")


def _said(value: bool) -> str:
    return "true" if value else "false"
