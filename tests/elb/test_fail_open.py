"""A group without enough healthy targets is tried all the same, as a real HAProxy does it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from dryport.elb.dataplane.plan import (
    Forward,
    HealthCheck,
    Interface,
    Kind,
    Listener,
    PathPattern,
    Rule,
    Target,
    Weighted,
)
from tests.elb.carried import ADDRESS, PORT, Web, balancer, carried, get, group, until

pytestmark = pytest.mark.platform

TO_A, TO_B = (Forward(groups=(Weighted(group=name),)) for name in "ab")
CHECK = HealthCheck(path="/health", interval=1, timeout=20, healthy=2, unhealthy=2, codes="200")


@pytest.fixture
def webs() -> Iterator[tuple[Web, Web]]:
    made = Web("a"), Web("b")
    yield made
    for web in made:
        web.close()


def answers(path: str = "/") -> set[str]:
    """Who answers, or the status of what nobody does."""
    found = [get(PORT, path) for _ in range(8)]
    return {each.body[0] if each.status == 200 else str(each.status) for each in found}


@pytest.mark.parametrize("ruled", [False, True])
def test_all_unhealthy_ones_serve_until_one_is_healthy(tmp_path: Path, webs: tuple[Web, Web], ruled: bool) -> None:
    """With rules and without; a group beside it stays as it is."""
    rules = (Rule(priority=1, conditions=(PathPattern(values=("/b",)),), action=TO_B),) if ruled else ()
    front = Listener(arn="l", protocol="HTTP", port=PORT, default=TO_A, rules=rules)
    other = Web("o")
    groups = [group("a", *(web.target for web in webs), health_check=CHECK)]
    groups += [group("b", other.target, health_check=CHECK)] if ruled else []
    with carried(balancer([front], groups), tmp_path):
        until(lambda: answers() == {"a", "b"})
        webs[0].status = 500
        until(lambda: answers() == {"b"})
        webs[1].status = 500
        until(lambda: answers() == {"a", "b"})
        if ruled:
            assert answers("/b") == {"o"}
        webs[0].status = 200
        until(lambda: answers() == {"a"})
    other.close()


def test_fewer_than_are_asked_for_are_too_few(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    front = Listener(arn="l", protocol="HTTP", port=PORT, default=TO_A)
    made = group("a", *(web.target for web in webs), health_check=CHECK, least_healthy=2)
    with carried(balancer([front], [made]), tmp_path) as running:
        webs[0].status = 500
        until(lambda: " DOWN" in running.tell("show servers state") or ",DOWN" in running.tell("show stat"))
        assert answers() == {"a", "b"}


def test_connections_of_network_balancers(tmp_path: Path, webs: tuple[Web, Web]) -> None:
    """In every zone, where no zone has a healthy target."""
    front = Listener(arn="l", protocol="TCP", port=PORT, default=TO_A)
    targets = [Target(address=ADDRESS, port=web.target.port, zone=zone) for web, zone in zip(webs, "ab", strict=True)]
    made = group("a", *targets, protocol="TCP", health_check=CHECK, cross_zone=False)
    second = "127.99.99.1"
    plan = replace(
        balancer([front], [made], Kind.NETWORK),
        interfaces=(Interface(zone="a", address=ADDRESS), Interface(zone="b", address=second)),
    )

    def there() -> set[str]:
        found = set[str]()
        for _ in range(6):
            with socket.create_connection((second, PORT), timeout=5) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: client.recv(4096), b"")).decode()
                found.add(answer.rpartition("\r\n\r\n")[2][:1])
        return found

    with carried(plan, tmp_path):
        until(lambda: there() == {"b"})
        webs[1].status = 500
        until(lambda: there() == {"a"})
        webs[0].status = 500
        until(lambda: there() == {"a", "b"})
