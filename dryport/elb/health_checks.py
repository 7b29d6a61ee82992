"""Health checks of target groups: AWS's defaults and limits by protocol. Pure.

Source: botocore's ``elbv2`` model (CreateTargetGroup), "Health checks for Application Load Balancer target groups",
"Health checks for Network Load Balancer target groups". Times are whole seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.elb.dataplane import grpc
from dryport.elb.model import HealthCheck
from dryport.elb.names import invalid

HTTP = ("HTTP", "HTTPS")
_CODE = re.compile(r"([0-9]{3})(?:-([0-9]{3}))?")
_PROTOCOLS = ("HTTP", "HTTPS", "TCP")
_UNUSABLE = re.compile(r"[\x00-\x20\x7f]")


GRPC = "GRPC"


def of_request(request: Mapping[str, Any], protocol: str, version: str, old: HealthCheck | None = None) -> HealthCheck:
    """The health check that a request wants for a target group's protocol and its version. Raises ServiceError.

    What it leaves out is as it was in ``old``, or the default.
    """
    before = old.protocol if old is not None else "HTTP" if protocol in HTTP else "TCP"
    kind = request.get("HealthCheckProtocol", before)
    allowed = HTTP if protocol in HTTP else _PROTOCOLS
    if kind not in allowed:
        raise invalid(f"Health check protocol '{kind}' must be one of '{', '.join(allowed)}'")
    if old is None or (old.protocol in HTTP) != (kind in HTTP):
        old = _default(kind, protocol, version, old)
    return _checked(request, protocol, version, kind, old)


def _default(kind: str, protocol: str, version: str, old: HealthCheck | None) -> HealthCheck:
    port = old.port if old is not None else "traffic-port"
    if version == GRPC:
        return HealthCheck(protocol=kind, port=port, path="/AWS.ALB/healthcheck", codes="12")
    if protocol in HTTP:
        return HealthCheck(protocol=kind, port=port, path="/", codes="200")
    timeout = 6 if kind == "HTTP" else 10
    if kind == "TCP":
        return HealthCheck(protocol=kind, port=port, timeout=timeout)
    return HealthCheck(protocol=kind, port=port, path="/", codes="200-399", timeout=timeout)


def _checked(request: Mapping[str, Any], protocol: str, version: str, kind: str, start: HealthCheck) -> HealthCheck:
    if not request.get("HealthCheckEnabled", True):
        raise invalid("Health check enabled must be true for target groups with target type 'instance' or 'ip'")
    matcher = request.get("Matcher", {})
    if kind == "TCP" and "HealthCheckPath" in request:
        raise ServiceError(
            "InvalidConfigurationRequest",
            "Health check path is not supported for health checks with the TCP protocol.",
        )
    if kind == "TCP" and matcher:
        raise ServiceError(
            "InvalidConfigurationRequest",
            "Custom health check matchers are not supported for health checks for target groups with the "
            f"{protocol} protocol.",
        )
    made = HealthCheck(
        protocol=kind,
        port=_port(request.get("HealthCheckPort", start.port)),
        path=_path(request.get("HealthCheckPath", start.path)),
        interval=request.get("HealthCheckIntervalSeconds", start.interval),
        timeout=request.get("HealthCheckTimeoutSeconds", start.timeout),
        healthy=request.get("HealthyThresholdCount", start.healthy),
        unhealthy=request.get("UnhealthyThresholdCount", start.unhealthy),
        codes=_matcher(matcher, protocol, version, start.codes),
    )
    if protocol in HTTP and made.timeout >= made.interval:
        raise invalid(f"Health check timeout '{made.timeout}' must be smaller than the interval '{made.interval}'")
    if made.timeout > made.interval:
        raise invalid(
            f"Health check timeout '{made.timeout}' must be smaller than or equal to the interval '{made.interval}'"
        )
    return made


def _port(text: str) -> str:
    if text == "traffic-port":
        return text
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65_535):
        raise invalid(f"Health check port '{text}' must be within '1-65535' or 'traffic-port'")
    return str(int(text))


def _path(text: str) -> str:
    if text and (not text.startswith("/") or _UNUSABLE.search(text)):
        raise invalid(
            f"Health check path '{text}' must begin with a '/' character, and can only contain printable ASCII"
        )
    return text


def _matcher(matcher: Mapping[str, str], protocol: str, version: str, old: str) -> str:
    wanted, other = ("GrpcCode", "HttpCode") if version == GRPC else ("HttpCode", "GrpcCode")
    if other in matcher:
        raise invalid(f"You cannot specify '{other}' in the matcher of a target group with this protocol version")
    codes = matcher.get(wanted, old)
    if version != GRPC:
        return _codes(codes, 499 if protocol in HTTP else 599)
    if not grpc.are_codes(codes):
        raise invalid(f"Health check matcher gRPC code '{codes}' must be within '0-{grpc.MOST}' inclusive")
    return codes


def _codes(text: str, last: int) -> str:
    """A matcher: codes and ranges, separated by commas."""
    for part in text.split(",") if text else ():
        found = _CODE.fullmatch(part)
        if found is None or int(found[1]) > int(found[2] or found[1]):
            raise invalid(f"Health check matcher HTTP code '{part}' is not valid")
        for code in (found[1], found[2] or found[1]):
            if not 200 <= int(code) <= last:
                raise invalid(f"Health check matcher HTTP code '{code}' must be within '200-{last}' inclusive")
    return text
