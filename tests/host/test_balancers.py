"""Balancers beneath the host driver: a real HAProxy in a VPC, real packets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from dryport.elb import driver
from dryport.elb.dataplane.plan import (
    Balancer,
    FixedResponse,
    Forward,
    Health,
    HealthCheck,
    Interface,
    Kind,
    Listener,
    PathPattern,
    Rule,
    Scheme,
    Target,
    TargetGroup,
    Weighted,
)
from dryport.elb.driver import HaproxyPlane
from dryport.host import namespaces, processes
from dryport.host.balancers.driver import BalancerDriver
from dryport.host.balancers.process import Run
from dryport.host.client import HostClient, HostError
from dryport.host.messages import Carrier, Group, Guest, Port, Ruleset
from tests.host.balancing import get, steady_load, web
from tests.host.conftest import Daemon, traces
from tests.host.test_packets import ADDRESSES, EVERYTHING, GATEWAYS, OPEN, VPC, connect

pytestmark = pytest.mark.platform

ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef"
NODES = ["172.31.0.20", "172.31.16.20"]
TARGETS = [Target(address=ADDRESSES[number], port=8080) for number in (1, 2)]
CHECK = HealthCheck(path="/health", interval=1, timeout=1, healthy=2, unhealthy=2)


def plan(*targets: Target, marker: str = "", check: HealthCheck = CHECK) -> Balancer:
    marking = Rule(
        priority=1, conditions=(PathPattern(values=("/marker",)),), action=FixedResponse(status=200, body=marker)
    )
    listener = Listener(
        arn="l",
        protocol="HTTP",
        port=80,
        default=Forward(groups=(Weighted(group="g"),)),
        rules=(marking,) if marker else (),
    )
    return Balancer(
        arn=ARN,
        name="web",
        kind=Kind.APPLICATION,
        scheme=Scheme.INTERNAL,
        vpc_id=VPC.id,
        interfaces=tuple(Interface(zone=str(number), address=each) for number, each in enumerate(NODES)),
        listeners=(listener,),
        groups=(TargetGroup(arn="g", protocol="HTTP", health_check=check, targets=targets),),
    )


class Carried:
    """The balancer of these tests, with what was last known of its targets' health."""

    def __init__(self, client: HostClient, daemon: Daemon, client_namespace: str) -> None:
        self.plane = HaproxyPlane(client, daemon.config.id)
        self.daemon = daemon
        self.namespace = client_namespace
        self.known: dict[str, dict[str, Health]] = {}
        self.wanted = plan()

    async def apply(self, wanted: Balancer) -> None:
        self.wanted = wanted
        await self.plane.apply(wanted, {})

    async def states(self) -> dict[str, str]:
        self.known = await self.plane.health(self.wanted, self.known)
        return {key: f"{each.state} {each.reason}".strip() for key, each in self.known.get("g", {}).items()}

    async def become(self, *want: str) -> None:
        """Wait until the targets' states are these."""

        async def are() -> bool:
            return [state for _, state in sorted((await self.states()).items())] == list(want)

        await until(are)

    async def answers(self, node: int = 0, path: str = "/") -> tuple[int, str]:
        return await asyncio.to_thread(get, self.namespace, NODES[node], 80, path)

    @property
    def directory(self) -> Path:
        return self.daemon.config.balancer_dir / driver.balancer_id(ARN)

    @property
    def master(self) -> int:
        return msgspec.json.decode((self.directory / "run.json").read_bytes(), type=Run).pid


@pytest.fixture
async def carried(client: HostClient, daemon: Daemon, task_namespaces: list[str]) -> AsyncIterator[Carried]:
    """Two nodes in a VPC; nothing is carried yet."""
    await connect(client, task_namespaces)
    members = {**OPEN.members, **{each: ["sg-open"] for each in NODES}}
    await client.set_firewall(VPC.id, msgspec.structs.replace(OPEN, members=members))
    name = driver.namespace(daemon.config.id, ARN)
    for number, address in enumerate(NODES):
        await client.plug(
            Port(
                vpc_id=VPC.id,
                interface_id=f"eni-0fffffffffffff{number:03x}",
                mac=f"02:00:ff:ff:00:{number:02x}",
                address=address,
                namespace=name,
                guest=Guest(index=number + 1, subnet=VPC.subnets[number], gateway=GATEWAYS[2 * number]),
            )
        )
    yield Carried(client, daemon, task_namespaces[0])
    await client.delete_balancer(driver.balancer_id(ARN))
    await client.delete_vpc(VPC.id)
    assert not namespaces.exists(name)


@pytest.fixture
def webs(task_namespaces: list[str]) -> Iterator[list[dict[str, int]]]:
    with ExitStack() as stack:
        yield [stack.enter_context(web(task_namespaces[number], 8080, f"web{number}")) for number in (1, 2)]


async def test_both_nodes_answer_with_the_targets_that_are_healthy(
    carried: Carried, webs: list[dict[str, int]]
) -> None:
    await carried.apply(plan(*TARGETS))
    await carried.become("healthy", "healthy")
    for node in (0, 1):
        assert {(await carried.answers(node))[1] for _ in range(8)} == {"web1", "web2"}
    webs[1]["status"] = 500
    await carried.become("healthy", "unhealthy Target.ResponseCodeMismatch")
    assert {(await carried.answers())[1] for _ in range(8)} == {"web1"}


async def test_security_groups_stand_between_balancer_and_target(
    carried: Carried, client: HostClient, webs: list[dict[str, int]]
) -> None:
    closed = Group(egress=EVERYTHING)
    members = {**OPEN.members, **{each: ["sg-open"] for each in NODES}, ADDRESSES[2]: ["sg-closed"]}
    await client.set_firewall(VPC.id, Ruleset(groups={**OPEN.groups, "sg-closed": closed}, members=members))
    await carried.apply(plan(*TARGETS))
    await carried.become("healthy", "unhealthy Target.Timeout")
    assert {(await carried.answers())[1] for _ in range(8)} == {"web1"}


async def test_no_request_fails_while_targets_come_and_go(carried: Carried, webs: list[dict[str, int]]) -> None:
    first = plan(TARGETS[0])
    await carried.apply(first)
    await carried.become("healthy")
    with steady_load(carried.namespace, NODES[0]):
        for turn in range(4):
            await carried.apply(plan(*TARGETS))
            await carried.become("healthy", "healthy")
            left = TARGETS[turn % 2]
            others = [msgspec.structs.replace(each, draining=each != left) for each in TARGETS]
            await carried.apply(plan(*others))
            await carried.apply(plan(left))


async def test_no_request_fails_in_fifty_reloads_and_a_killed_driver(
    carried: Carried, client: HostClient, daemon: Daemon, webs: list[dict[str, int]]
) -> None:
    await carried.apply(plan(*TARGETS))
    await carried.become("healthy", "healthy")
    with steady_load(carried.namespace, NODES[0]):
        for turn in range(50):
            if turn == 25:
                daemon.kill()
                daemon.start()
                await until(lambda: _reached(client))
            await carried.apply(plan(*TARGETS, marker=f"turn {turn}"))
            assert await carried.answers(path="/marker") == (200, f"turn {turn}")
    assert set((await carried.states()).values()) == {"healthy"}


async def test_a_killed_haproxy_comes_back_with_its_targets(carried: Carried, webs: list[dict[str, int]]) -> None:
    await carried.apply(plan(*TARGETS))
    await carried.become("healthy", "healthy")
    before = carried.master
    os.killpg(before, signal.SIGKILL)
    await until(lambda: _revived(carried, before))
    await carried.become("healthy", "healthy")
    assert {(await carried.answers())[1] for _ in range(8)} == {"web1", "web2"}


async def _reached(client: HostClient) -> bool:
    """Whether the driver that was killed is there again, for a client that notices only when it asks."""
    try:
        return bool(await client.balancers())
    except HostError:
        return False


async def _revived(carried: Carried, before: int) -> bool:
    try:
        return bool(await carried.states()) and carried.master != before
    except HostError:
        return False


async def until(holds: Callable[[], Awaitable[bool]], tries: int = 300) -> None:
    """Wait for what must come; the number of tries only bounds a failure."""
    for _ in range(tries):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come about")


async def test_what_haproxy_refuses_leaves_it_as_it_was(
    carried: Carried, client: HostClient, webs: list[dict[str, int]]
) -> None:
    await carried.apply(plan(TARGETS[0]))
    await carried.become("healthy")
    name = driver.namespace(carried.daemon.config.id, ARN)
    with pytest.raises(HostError, match=r"(?s)Refused.*unknown keyword"):
        await client.ensure_balancer(Carrier(id=driver.balancer_id(ARN), namespace=name, config="nonsense\n"))
    assert await carried.answers() == (200, "web1")


async def test_a_port_of_the_machine_that_is_taken_is_named(client: HostClient, daemon: Daemon) -> None:
    config = f"defaults\n timeout client 1s\nfrontend f\n mode tcp\n bind 127.0.0.1:{daemon.config.port}\n"
    carrier = Carrier(id="door", namespace="", config=config, ports=[daemon.config.port])
    taken = pytest.raises(HostError, match=f"PortTaken: 127.0.0.1:{daemon.config.port}")
    with socket.create_server(("127.0.0.1", daemon.config.port)), taken:
        await client.ensure_balancer(carrier)
    await client.delete_balancer("door")


async def test_nothing_is_left(client: HostClient, daemon: Daemon, task_namespaces: list[str]) -> None:
    await client.ensure_vpc(VPC)
    await HaproxyPlane(client, daemon.config.id).apply(plan(), {})
    assert await client.balancers() == [driver.balancer_id(ARN)]
    master = msgspec.json.decode(
        (daemon.config.balancer_dir / driver.balancer_id(ARN) / "run.json").read_bytes(), type=Run
    )
    daemon.kill()
    await BalancerDriver(daemon.config.balancer_dir, f"dp{daemon.config.id}-").teardown()  # as ``dryport down`` does
    assert not daemon.config.balancer_dir.exists()
    assert "-lb-" not in traces(daemon.config)
    assert not processes.alive(master.pid, master.started)
    daemon.start()
    await client.connect()
    await client.teardown()
