"""``serviceConnectConfiguration``: what it may be, and the endpoints that it makes of a task definition.

Sources: ServiceConnectConfiguration and the shapes in it, API reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json

# Nothing issues certificates to proxies, or notes their requests.
UNSUPPORTED = tuple(
    f"serviceConnectConfiguration.{member}"
    for member in (
        "services.tls",
        "accessLogConfiguration",
        "containerConfigurations",
    )
)
_DISCOVERY_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
_DNS_NAME = re.compile(r"[a-z0-9_.][a-z0-9_.-]{0,126}")
_IDLE = {"tcp": 3600}
_IDLE_OF_REQUESTS = 300
_PER_REQUEST = 15
_MODES = ("awsvpc", "bridge")
_TEST_HEADER = "x-amzn-ecs-blue-green-test"
_HEADER = re.compile(r"[A-Za-z0-9_.-]+")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A service of the configuration on its task definition. Timeouts are seconds, 0 for none.

    ``port`` is what the container ``container`` listens on; ``alias`` and ``alias_port`` are what clients use;
    ``ingress`` is the port of the proxy where it is given, else 0.
    """

    port_name: str
    discovery_name: str
    alias: str
    alias_port: int
    container: str
    port: int
    protocol: str  # tcp, http, http2, grpc
    ingress: int = 0
    idle: int
    per_request: int
    test_header: str = ""  # what marks test traffic, with any value where ``test_value`` is None; HTTP alone
    test_value: str | None = None


def check(given: Any, namespace: str, body: Json, launch_type: str) -> list[Endpoint]:
    """The endpoints of a configuration that is enabled. ``namespace`` is its name. Raises ServiceError."""
    mode = body.get("networkMode", "bridge")
    if mode not in _MODES:
        raise invalid(
            f"Service Connect does not support the {mode} network mode. Use the awsvpc or bridge network mode and try "
            "again."
        )
    if launch_type == "EXTERNAL":
        raise invalid("Service Connect is not supported with the EXTERNAL launch type.")
    logging = given.get("logConfiguration")
    if logging is not None and launch_type == "FARGATE" and logging.get("logDriver") != "awslogs":
        raise invalid("The log driver of a Service Connect configuration must be awslogs on Fargate.")
    for service in given.get("services", ()):
        _check(service)
    found = endpoints(given, namespace, body)
    _unique([each.port_name for each in found], "portName")
    _unique([each.discovery_name for each in found], "discoveryName")
    _unique([f"{each.alias}:{each.alias_port}" for each in found], "client alias")
    taken = {port for _, mapping in mappings(body) if (port := mapping.get("containerPort"))}
    ingress = [each.ingress for each in found if each.ingress]
    _unique([str(port) for port in ingress], "ingressPortOverride")
    for port in ingress:
        if port in taken and mode == "awsvpc":
            raise invalid(f"The ingressPortOverride {port} is a container port of the task definition.")
    return found


def endpoints(given: Any, namespace: str, body: Json) -> list[Endpoint]:
    """The endpoints of a configuration on a task definition. Raises ServiceError for a port name that it lacks."""
    named = {mapping["name"]: (container, mapping) for container, mapping in mappings(body) if mapping.get("name")}
    found = []
    for service in given.get("services", ()):
        name = service["portName"]
        if name not in named:
            raise invalid(
                f"The portName '{name}' of the Service Connect configuration was not found in the port mappings of "
                "the task definition."
            )
        container, mapping = named[name]
        if mapping.get("protocol", "tcp") != "tcp" or "containerPort" not in mapping:
            raise invalid(f"The port mapping '{name}' cannot be used with Service Connect: it must be one TCP port.")
        found.append(_endpoint(service, namespace, container, mapping))
    return found


def mappings(body: Json) -> list[tuple[str, Json]]:
    """The port mappings of a task definition, each with its container's name."""
    return [
        (container["name"], mapping)
        for container in body["containerDefinitions"]
        for mapping in container.get("portMappings", ())
    ]


def _endpoint(service: Any, namespace: str, container: str, mapping: Mapping[str, Any]) -> Endpoint:
    alias = service["clientAliases"][0]
    discovery = service.get("discoveryName") or service["portName"]
    protocol = mapping.get("appProtocol") or "tcp"
    timeout = service.get("timeout", {})
    if protocol == "tcp" and timeout.get("perRequestTimeoutSeconds") is not None:
        raise invalid("perRequestTimeoutSeconds can only be set if the appProtocol of the port mapping isn't TCP.")
    rule = alias.get("testTrafficRules", {}).get("header", {})
    if rule and protocol == "tcp":
        raise invalid("testTrafficRules can only be set if the appProtocol of the port mapping isn't TCP.")
    if rule and not _HEADER.fullmatch(rule["name"]):
        raise invalid(f"Invalid header name '{rule['name']}' in testTrafficRules.")
    value = rule.get("value", {}).get("exact")
    if value is not None and not value.isprintable():
        raise invalid("The value of a header in testTrafficRules must be printable.")
    return Endpoint(
        port_name=service["portName"],
        discovery_name=discovery,
        alias=alias.get("dnsName") or f"{discovery}.{namespace}",
        alias_port=alias["port"],
        container=container,
        port=mapping["containerPort"],
        protocol=protocol,
        ingress=service.get("ingressPortOverride", 0),
        idle=timeout.get("idleTimeoutSeconds", _IDLE.get(protocol, _IDLE_OF_REQUESTS)),
        per_request=0 if protocol == "tcp" else timeout.get("perRequestTimeoutSeconds", _PER_REQUEST),
        test_header="" if protocol == "tcp" else rule.get("name", _TEST_HEADER),
        test_value=value,
    )


def _check(service: Any) -> None:
    name = service["portName"]
    aliases = service.get("clientAliases", ())
    if len(aliases) != 1:
        raise invalid(f"The Service Connect service '{name}' must have exactly one client alias.")
    discovery = service.get("discoveryName")
    if discovery is not None and not _DISCOVERY_NAME.fullmatch(discovery):
        raise invalid(f"Invalid discoveryName '{discovery}'.")
    dns_name = aliases[0].get("dnsName")
    if dns_name is not None and not _DNS_NAME.fullmatch(dns_name):
        raise invalid(f"Invalid dnsName '{dns_name}'.")


def _unique(values: list[str], what: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise invalid(f"The {what} '{value}' is used more than once in the Service Connect configuration.")
