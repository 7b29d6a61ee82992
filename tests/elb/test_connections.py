"""What becomes of connections through network load balancers whose targets drain, go, or are not well."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from dryport.elb.dataplane import health
from dryport.elb.dataplane.plan import Balancer, Health, HealthCheck, Kind, Listener, Target
from dryport.elb.driver import HaproxyPlane
from dryport.host.balancers.process import Process
from dryport.host.messages import Carrier
from tests.elb.carried import ADDRESS, PORT, Web, balancer, group, until
from tests.elb.test_haproxy import TO_A

pytestmark = pytest.mark.platform
change = msgspec.structs.replace


class Machine:
    """The host driver's part, without a network namespace."""

    def __init__(self, directory: Path) -> None:
        self.process = Process(directory)

    async def ensure_balancer(self, carrier: Carrier) -> None:
        await self.process.ensure(change(carrier, namespace=""))
        self._id = carrier.id

    async def delete_balancer(self, balancer_id: str) -> None:
        await self.process.end()

    async def balancers(self) -> Sequence[str]:
        return [self._id] if self.process.runs else []

    async def ask_balancer(self, balancer_id: str, commands: Sequence[str]) -> Sequence[str]:
        return [await self.process.ask(each) for each in commands]

    async def end_flows(self, balancer_id: str, targets: Sequence[tuple[str, int]]) -> None:
        raise NotImplementedError

    async def take_log(self, balancer_id: str, after: int, least: int) -> tuple[bytes, int]:
        raise NotImplementedError


class Kept:
    """A balancer with a connection through it to its only target, whose checks another server answers."""

    def __init__(self, directory: Path, *, unhealthy: bool, deregistered: bool) -> None:
        self.plane = HaproxyPlane(Machine(directory), "test")
        self.health: dict[str, dict[str, Health]] = {}
        self.checks = Web("checks")
        check = HealthCheck(
            protocol="HTTP", path="/health", port=self.checks.target.port, interval=1, timeout=1, unhealthy=2,
            codes="200",
        )  # fmt: skip
        self.servers = [socket.create_server((ADDRESS, 0)) for _ in range(2)]
        self.targets = [Target(address=ADDRESS, port=each.getsockname()[1]) for each in self.servers]
        made = group(
            "a", self.targets[0], protocol="TCP", health_check=check, end_unhealthy=unhealthy,
            end_deregistered=deregistered,
        )  # fmt: skip
        front = Listener(arn="l", protocol="TCP", port=PORT, default=TO_A)
        self.plan: Balancer = balancer([front], [made], Kind.NETWORK)
        self.have(self.targets[0])
        self.until(self.targets[0], "healthy")
        self.client = socket.create_connection((ADDRESS, PORT))
        self.client.settimeout(30)
        self.client.sendall(b"x")
        self.theirs, _ = self.servers[0].accept()

    def have(self, *targets: Target) -> None:
        """Have other targets."""
        self.plan = change(self.plan, groups=(change(self.plan.groups[0], targets=targets),))
        asyncio.run(self.plane.apply(self.plan, {}))

    def until(self, target: Target, state: str) -> None:
        def is_so() -> bool:
            self.health = asyncio.run(self.plane.health(self.plan, self.health))
            return self.health.get("a", {})[target.key].state == state

        until(is_so)

    def lasts(self) -> bool:
        """Whether the connection still passes both ways."""
        try:
            self.client.sendall(b"y")
            self.theirs.recv(10)
            self.theirs.sendall(b"z")
            return self.client.recv(1) == b"z"
        except OSError:
            return False

    def close(self) -> None:
        for each in (self.client, self.theirs, *self.servers):
            each.close()
        self.checks.close()
        asyncio.run(self.plane.remove(self.plan.arn))


@pytest.fixture
def kept(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kept]:
    unhealthy, deregistered = request.param
    made = Kept(tmp_path, unhealthy=unhealthy, deregistered=deregistered)
    yield made
    made.close()


@pytest.mark.parametrize("kept", [(True, False)], indirect=True)
def test_they_end_once_their_target_is_unhealthy(kept: Kept) -> None:
    assert kept.lasts()
    kept.checks.status = 500
    kept.until(kept.targets[0], "unhealthy")
    assert kept.client.recv(1) == b""


@pytest.mark.parametrize("kept", [(False, False)], indirect=True)
def test_they_last_where_that_is_not_to_be(kept: Kept) -> None:
    kept.checks.status = 500
    kept.until(kept.targets[0], "unhealthy")
    assert kept.lasts()


@pytest.mark.parametrize("kept", [(True, False)], indirect=True)
def test_they_last_while_their_target_drains_and_once_it_is_gone(kept: Kept) -> None:
    """New ones go elsewhere; and who gets the place of what is gone leaves its connections alone."""
    first, second = kept.targets
    kept.have(change(first, draining=True), second)
    assert kept.lasts()
    kept.until(second, "healthy")
    with socket.create_connection((ADDRESS, PORT)) as other:
        other.sendall(b"x")
        kept.servers[1].settimeout(30)
        kept.servers[1].accept()[0].close()
    kept.have(second)
    assert kept.lasts()
    kept.have(second, change(second, address="127.0.0.9"))
    assert kept.lasts()


@pytest.mark.parametrize("kept", [(False, True)], indirect=True)
def test_they_end_with_their_target_where_that_is_to_be(kept: Kept) -> None:
    kept.have(change(kept.targets[0], draining=True))
    assert kept.lasts()
    kept.have()
    assert not kept.lasts()


def test_only_those_of_targets_that_were_well_are_ended_and_a_reload_meanwhile_does_no_harm() -> None:
    """HAProxy's answers come one after the other: of what a reload took away in between nothing is found."""
    fell, was_down, well, gone = (Target(address="10.0.0.1", port=each) for each in range(1, 5))
    ill = Health(state="unhealthy")
    found = {"g": {fell.key: ill, was_down.key: ill, well.key: Health(state="healthy")}}
    slots = {"g": (fell, None, was_down, well, gone)}
    ended = list(health.endings(found, slots, {"g": {was_down.key: ill}}))
    assert ended == ["shutdown sessions server g/s1"]
