"""Targets of network load balancers see their clients' addresses: a real HAProxy in a VPC, real packets."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import pytest

from dryport.elb import driver
from dryport.elb.dataplane.plan import (
    Balancer,
    Forward,
    HealthCheck,
    Interface,
    Kind,
    Listener,
    Scheme,
    Target,
    TargetGroup,
    Weighted,
)
from dryport.host import namespaces
from dryport.host.balancers.servers import rows
from dryport.host.client import HostClient
from dryport.host.messages import Group, Guest, Port, Rule, Ruleset
from tests.host.balancing import steady_load, web
from tests.host.conftest import Daemon
from tests.host.packets import asks_udp, listening, reaches
from tests.host.test_balancers import ARN, NODES, Carried, reached, until
from tests.host.test_packets import ADDRESSES, EVERYTHING, GATEWAYS, OPEN, VPC, connect

pytestmark = pytest.mark.platform

CHECK = HealthCheck(protocol="TCP", interval=1, timeout=1, healthy=2, unhealthy=2)
CLIENT, TARGET, OTHER, THIRD = ADDRESSES
IDS = [f"eni-0fffffffffffff{number:03x}" for number in range(len(NODES))]


def plan(*targets: str, kept: bool = True, protocol: str = "TCP", idle: int = 350) -> Balancer:
    """Port 80 leads to port 8080 of targets; ``idle`` is only to have something change."""
    found = tuple(Target(address=each, port=8080) for each in targets)
    group = TargetGroup(arn="g", protocol=protocol, health_check=CHECK, targets=found, keep_addresses=kept)
    forward = Forward(groups=(Weighted(group="g"),))
    listener = Listener(arn="l", protocol=protocol, port=80, default=forward, idle_timeout=idle)
    interfaces = [
        Interface(zone=str(number), address=each, interface_id=IDS[number]) for number, each in enumerate(NODES)
    ]
    return Balancer(
        arn=ARN,
        name="wire",
        kind=Kind.NETWORK,
        scheme=Scheme.INTERNAL,
        vpc_id=VPC.id,
        interfaces=tuple(interfaces),
        listeners=(listener,),
        groups=(group,),
    )


def rules(**groups: Group) -> Ruleset:
    """All is open, but for the target's group ``target``, the client's ``client``, the balancer's ``balancer``."""
    members = {**OPEN.members, **{each: ["sg-balancer"] for each in NODES}}
    members |= {TARGET: ["sg-target"], CLIENT: ["sg-client"]}
    everything = Group(ingress=EVERYTHING, egress=EVERYTHING)
    made = {f"sg-{name}": groups.get(name, everything) for name in ("target", "client", "balancer")}
    return Ruleset(groups={**OPEN.groups, **made}, members=members)


@pytest.fixture
async def wired(client: HostClient, daemon: Daemon, task_namespaces: list[str]) -> AsyncIterator[Carried]:
    await connect(client, task_namespaces)
    await client.set_firewall(VPC.id, rules())
    for number, address in enumerate(NODES):
        await client.plug(
            Port(
                vpc_id=VPC.id,
                interface_id=IDS[number],
                mac=f"02:00:ff:ff:00:{number:02x}",
                address=address,
                namespace=driver.namespace(daemon.config.id, ARN),
                guest=Guest(index=number + 1, subnet=VPC.subnets[number], gateway=GATEWAYS[2 * number]),
            )
        )
    yield Carried(client, daemon, task_namespaces[0])
    await client.delete_balancer(driver.balancer_id(ARN))
    await client.delete_vpc(VPC.id)


@contextmanager
def echoing(namespace: str, port: int) -> Iterator[list[str]]:
    """A server of UDP that gives back what it is told; the addresses that it was called from."""
    callers: list[str] = []
    over = threading.Event()

    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(0.1)
        made.bind(("0.0.0.0", port))
        return made

    server = namespaces.run_in(namespace, make)

    def serve() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                data, place = server.recvfrom(1000)
                callers.append(place[0])
                server.sendto(data, place)

    thread = threading.Thread(target=serve)
    thread.start()
    yield callers
    over.set()
    thread.join()
    server.close()


async def asks(namespace: str, node: int = 0) -> bool:
    return await asyncio.to_thread(reaches, namespace, NODES[node], 80)


async def test_the_client_is_the_sender(wired: Carried, task_namespaces: list[str]) -> None:
    """In the target's subnet and in another, through both nodes; without it the balancer is."""
    with listening(task_namespaces[1], 8080) as callers:
        await wired.apply(plan(TARGET))
        await wired.become("healthy")
        for place in (0, 2, 3):
            for node in (0, 1):
                callers.clear()
                assert await asks(task_namespaces[place], node)
                assert ADDRESSES[place] in callers
        await wired.apply(plan(TARGET, kept=False))
        callers.clear()
        assert await asks(task_namespaces[0])
        assert set(callers) == {NODES[0]}


async def test_groups_are_asked_about_the_client(
    wired: Carried, client: HostClient, task_namespaces: list[str]
) -> None:
    """A target's group that lets one address in refuses others; one that names the balancer's group lets all in, one
    that names a client's group does not mean what comes by a balancer."""
    for_checks = Rule(protocol="tcp", ports=(8080, 8080), networks=[f"{each}/32" for each in NODES])

    async def let_in(**peers: list[str]) -> None:
        rule = Rule(protocol="tcp", ports=(8080, 8080), **peers)
        target = Group(ingress=[for_checks, rule], egress=EVERYTHING)
        await client.set_firewall(VPC.id, rules(target=target))

    with listening(task_namespaces[1], 8080) as callers:
        await let_in(networks=[f"{CLIENT}/32"])
        await wired.apply(plan(TARGET))
        await wired.become("healthy")
        assert await asks(task_namespaces[0]) and not await asks(task_namespaces[2])
        await let_in(networks=[f"{OTHER}/32"])
        assert not await asks(task_namespaces[0], 1) and await asks(task_namespaces[2], 1)
        await let_in(groups=["sg-client"])
        assert not await asks(task_namespaces[0])
        assert await asyncio.to_thread(reaches, task_namespaces[0], TARGET, 8080)  # without the balancer
        callers.clear()
        await let_in(groups=["sg-balancer"])
        assert await asks(task_namespaces[0]) and await asks(task_namespaces[2])
        assert set(callers) == {CLIENT, OTHER}
        assert not await asyncio.to_thread(reaches, task_namespaces[0], TARGET, 8080)


async def test_the_balancers_groups_hold_for_what_it_sends(
    wired: Carried, client: HostClient, task_namespaces: list[str]
) -> None:
    with listening(task_namespaces[1], 8080):
        await wired.apply(plan(TARGET))
        await wired.become("healthy")
        # The client's own group lets it go to the balancer only, which has to be enough.
        narrow = Group(ingress=EVERYTHING, egress=[Rule(protocol="tcp", networks=[f"{NODES[0]}/32"])])
        await client.set_firewall(VPC.id, rules(client=narrow))
        assert await asks(task_namespaces[0])
        shut = Group(ingress=EVERYTHING)
        await client.set_firewall(VPC.id, rules(balancer=shut))
        assert not await asks(task_namespaces[0])


async def test_nobody_else_and_nothing_else_is_sent_in_a_clients_name(
    wired: Carried, task_namespaces: list[str]
) -> None:
    """Only by the balancer, only to its targets' port, only while they are."""
    own = driver.namespace(wired.daemon.config.id, ARN)

    async def forged(namespace: str, address: str, port: int, source: str = CLIENT) -> bool:
        return await asyncio.to_thread(reaches, namespace, address, port, source)

    with (
        listening(task_namespaces[1], 8080),
        listening(task_namespaces[1], 8081),
        listening(task_namespaces[2], 8080),
    ):
        await wired.apply(plan(TARGET))
        await wired.become("healthy")
        assert await forged(own, TARGET, 8080)
        assert not await forged(own, TARGET, 8081)
        assert not await forged(own, OTHER, 8080)
        assert not await forged(task_namespaces[3], TARGET, 8080)
        assert not await forged(task_namespaces[3], NODES[0], 80)
        await wired.apply(plan(OTHER))
        assert not await forged(own, TARGET, 8080)
        await wired.apply(plan(OTHER, kept=False))
        assert not await forged(own, OTHER, 8080)


async def test_no_request_fails_in_reloads_changes_and_a_killed_driver(
    wired: Carried, client: HostClient, daemon: Daemon, task_namespaces: list[str]
) -> None:
    with web(task_namespaces[1], 8080, "one"), web(task_namespaces[2], 8080, "two"):
        await wired.apply(plan(TARGET, OTHER))
        await wired.become("healthy", "healthy")
        with steady_load(wired.namespace, NODES[0]):
            for turn in range(12):
                if turn == 6:
                    daemon.kill()
                    daemon.start()
                    await until(lambda: reached(client))
                    await client.ensure_vpc(VPC)
                    await client.set_firewall(VPC.id, rules())  # as the control plane does
                await wired.apply(plan(*(TARGET, OTHER)[: turn % 2 + 1], idle=400 + turn))
                await wired.apply(plan(TARGET, OTHER, kept=turn % 4 != 2))
                await wired.become("healthy", "healthy")


async def test_a_target_that_is_gone_is_given_up_at_once(wired: Carried, task_namespaces: list[str]) -> None:
    """The router's answer that nobody is there comes to the balancer, which takes another target."""
    number, nobody = driver.balancer_id(ARN), "172.31.16.99"
    with web(task_namespaces[1], 8080, "one"):
        await wired.apply(plan(nobody, TARGET))
        await until(lambda: _one_healthy(wired))
        state = (await wired.client.ask_balancer(number, ["show servers state"]))[0]
        place = next(f"{each['be_name']}/{each['srv_name']}" for each in rows(state) if each["srv_addr"] == nobody)
        await wired.client.ask_balancer(number, [f"set server {place} health up"])
        before = time.monotonic()
        answers = [await wired.answers() for _ in range(2)]  # one of them tries that first
        assert answers == [(200, "one")] * 2 and time.monotonic() - before < 5  # else ten for a connection


async def test_udp_has_the_clients_address_too(wired: Carried, task_namespaces: list[str]) -> None:
    with echoing(task_namespaces[1], 8080) as callers, listening(task_namespaces[1], 8080) as by_tcp:
        await wired.apply(plan(TARGET, protocol="TCP_UDP"))
        await wired.become("healthy")
        for place in (0, 2):
            for node in NODES:
                assert await asyncio.to_thread(asks_udp, task_namespaces[place], b"hello", node, 80) == b"hello"
            assert set(callers) == {ADDRESSES[place]}
            callers.clear()
        assert await asks(task_namespaces[0]) and by_tcp[-1] == CLIENT


async def test_nothing_is_left_in_the_vpc(wired: Carried, client: HostClient) -> None:
    vpc = f"dp{wired.daemon.config.id}-{VPC.id}"

    def shown(*command: str) -> str:
        return subprocess.run(["ip", "netns", "exec", vpc, *command], capture_output=True, text=True, check=True).stdout

    await wired.apply(plan(TARGET))
    assert "fwmark" in shown("ip", "rule") and "keepers" in shown("nft", "list", "ruleset")
    await client.delete_balancer(driver.balancer_id(ARN))
    assert "fwmark" not in shown("ip", "rule") and "keepers" not in shown("nft", "list", "ruleset")


async def _one_healthy(wired: Carried) -> bool:
    return "healthy" in (await wired.states()).values()
