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
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "access_logs.minutes": "60",
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
        "AccessLog": _log(attributes),
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
    if "AccessLog" in given:
        found |= _log_changes(given["AccessLog"])
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


def _log(attributes: Mapping[str, str]) -> dict[str, Any]:
    if attributes["access_logs.s3.enabled"] != "true":
        return {"Enabled": False}
    return {
        "Enabled": True,
        "S3BucketName": attributes["access_logs.s3.bucket"],
        "EmitInterval": int(attributes["access_logs.minutes"]),
        "S3BucketPrefix": attributes["access_logs.s3.prefix"],
    }


def _log_changes(given: Mapping[str, Any]) -> dict[str, str]:
    if not given["Enabled"]:
        return {"access_logs.s3.enabled": "false"}
    if not given.get("S3BucketName"):
        raise invalid("S3BucketName must be specified to enable access logs")
    minutes = given.get("EmitInterval", 60)
    if minutes not in (5, 60):
        raise invalid("EmitInterval must be either 5 or 60 minutes")
    return {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": given["S3BucketName"],
        "access_logs.s3.prefix": given.get("S3BucketPrefix", ""),
        "access_logs.minutes": str(minutes),
    }


def _check_additional(key: str, value: str) -> None:
    if key != DESYNC:
        raise ServiceError("LoadBalancerAttributeNotFound", f"Load balancer attribute '{key}' does not exist")
    if value not in _MODES:
        raise invalid(f"'{value}' must be one of [{', '.join(_MODES)}]")
    if value != "defensive":
        raise not_acted_on(f"{DESYNC} = {value}")


def _said(value: bool) -> str:
    return "true" if value else "false"
