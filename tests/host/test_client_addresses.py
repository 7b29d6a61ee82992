"""Targets of network load balancers see their clients' addresses: a real HAProxy in a VPC, real packets."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator

import msgspec
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
from dryport.host.client import HostClient
from dryport.host.messages import Group, Guest, Port, Rule, Ruleset
from tests.host.conftest import Daemon
from tests.host.packets import listening, reaches
from tests.host.test_balancers import ARN, NODES, Carried, until
from tests.host.test_packets import ADDRESSES, EVERYTHING, GATEWAYS, OPEN, VPC, connect

pytestmark = pytest.mark.platform

CHECK = HealthCheck(protocol="TCP", interval=1, timeout=1, healthy=2, unhealthy=2)
CLIENT, TARGET, OTHER, THIRD = ADDRESSES
IDS = [f"eni-0fffffffffffff{number:03x}" for number in range(len(NODES))]


def plan(*targets: str, kept: bool = True, draining: bool = False) -> Balancer:
    """TCP's port 80 leads to port 8080 of targets."""
    found = tuple(Target(address=each, port=8080, draining=draining) for each in targets)
    group = TargetGroup(arn="g", protocol="TCP", health_check=CHECK, targets=found, keep_addresses=kept)
    listener = Listener(arn="l", protocol="TCP", port=80, default=Forward(groups=(Weighted(group="g"),)))
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


async def asks(namespace: str, node: int = 0, port: int = 80) -> bool:
    return await asyncio.to_thread(reaches, namespace, NODES[node], port)


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
