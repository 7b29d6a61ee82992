"""What the proxy of a task is to do. Pure.

A client's connection to an alias goes to 127.255.0.N, as on AWS (on a bridge to 240.X.Y.Z), and is led to a port of the
proxy's own, so that the task's programs may listen on the alias's port themselves. What comes for an endpoint of the
task goes to a port of the proxy's too: in the awsvpc network mode the container's port is intercepted, unless another
one is named.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from random import Random
from typing import NamedTuple

from dryport.ecs.connect.configuration import Endpoint, mappings
from dryport.ecs.model import Json

PREFIX = "ecs-service-connect-"
IMAGE = "dryport/service-connect"
_FIRST_PORT, _LAST_PORT = 61_001, 65_535  # above the ports that the kernel gives to connections
_LOOPBACK = IPv4Address("127.255.0.1")
# On a bridge they lead to the host: addresses that nobody has (RFC 1112 section 4), other ones for each task.
_UNUSED = IPv4Address("240.0.0.1")
_MOST_ALIASES = 1024
_TASKS = 2**27 // _MOST_ALIASES


class Offered(NamedTuple):
    """An endpoint of somebody in the namespace; ``service_id`` is Cloud Map's."""

    endpoint: Endpoint
    service_id: str


def container_name(random: Random) -> str:
    """The name of a task's proxy container."""
    return PREFIX + "".join(random.choices(string.ascii_letters, k=5))


def plan(
    container: str, namespace: str, own: Sequence[Offered], offered: Iterable[Offered], body: Json, number: int
) -> Json:
    """A task's proxy as the task keeps it: ``ingress`` for its ``own`` endpoints, ``egress`` for all aliases.

    Of aliases that are the same the first counts. ``listener`` is a port of the proxy's. ``number``: a task's own, of
    32 bits; others' may be equal, which is unlikely.
    """
    awsvpc = body.get("networkMode") == "awsvpc"
    first = _LOOPBACK if awsvpc else _UNUSED + number % _TASKS * _MOST_ALIASES
    ports = _free(
        {mapping.get("containerPort", 0) for _, mapping in mappings(body)} | {each.endpoint.ingress for each in own}
    )
    ingress = []
    for each in own:
        at = each.endpoint
        ingress.append(
            {
                "name": at.port_name,
                "service": each.service_id,
                "discovery": at.discovery_name,
                "container": at.container,
                "port": at.port,
                "listener": at.ingress if at.ingress and awsvpc else next(ports),
                "host_port": 0 if awsvpc else at.ingress,
                "intercepted": awsvpc and not at.ingress,
                **_ways(at),
            }
        )
    addresses: dict[str, str] = {}
    egress: list[Json] = []
    seen: set[tuple[str, int]] = set()
    for each in offered:
        at = each.endpoint
        if (at.alias, at.alias_port) in seen or len(egress) == _MOST_ALIASES:
            continue
        seen.add((at.alias, at.alias_port))
        address = addresses.setdefault(at.alias, str(first + len(addresses)))
        egress.append(
            {
                "alias": at.alias,
                "address": address,
                "port": at.alias_port,
                "listener": next(ports),
                "service": each.service_id,
                "discovery": at.discovery_name,
                "test": {"name": at.test_header, "value": at.test_value} if at.test_header else None,
                **_ways(at),
            }
        )
    return {"container": container, "namespace": namespace, "ingress": ingress, "egress": egress}


def _ways(at: Endpoint) -> Json:
    return {"protocol": at.protocol, "idle": at.idle, "per_request": at.per_request}


def _free(taken: set[int]) -> Iterator[int]:
    return (port for port in range(_FIRST_PORT, _LAST_PORT + 1) if port not in taken)


def registries(connect: Json, arns: dict[str, str]) -> list[Json]:
    """What a task is registered as: AWS's ``ServiceRegistry``, with the port of its proxy. ``arns`` by service id."""
    return [
        {
            "registryArn": arns[each["service"]],
            "containerName": connect["container"],
            "containerPort": each["port"] if each["intercepted"] else each["listener"],
            "connect": True,
        }
        for each in connect["ingress"]
    ]
