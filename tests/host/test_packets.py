"""The host driver's networks, tried with real packets."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
from pyroute2 import IPRoute

from dryport.control.config import ENDPOINT_IN_VPC
from dryport.host import links, namespaces
from dryport.host.client import HostClient, HostError
from dryport.host.messages import Group, Names, Port, Rule, Ruleset, Vpc
from tests.host.conftest import Daemon, traces
from tests.host.packets import asks_udp, listening, reaches, refused

pytestmark = pytest.mark.platform

VPC = Vpc(
    id="vpc-0123456789abcdef0",
    cidr="172.31.0.0/16",
    subnets=["172.31.0.0/20", "172.31.16.0/20"],
    resolver="172.31.0.2",
    domain="ec2.internal",
)
ANYWHERE = "0.0.0.0/0"
EVERYTHING = [Rule(protocol="all", networks=[ANYWHERE])]
ADDRESSES = ["172.31.0.10", "172.31.0.11", "172.31.16.12", "172.31.16.13"]
GATEWAYS = ["172.31.0.1", "172.31.0.1", "172.31.16.1", "172.31.16.1"]
OPEN = Ruleset(
    groups={"sg-open": Group(ingress=EVERYTHING, egress=EVERYTHING)},
    members={address: ["sg-open"] for address in ADDRESSES},
)


def port_of(number: int, namespace: str = "", vpc: Vpc = VPC) -> Port:
    interface = f"eni-0{int(vpc.id[-4:], 16):08x}{number:08x}"
    mac = f"02:00:{vpc.id[-4:-2]}:{vpc.id[-2:]}:00:{number:02x}"
    return Port(vpc_id=vpc.id, interface_id=interface, mac=mac, address=ADDRESSES[number], namespace=namespace)


async def connect(client: HostClient, task_namespaces: list[str], vpc: Vpc = VPC) -> None:
    """Plug an interface into each namespace, two in each of two subnets, all of it open."""
    await client.ensure_vpc(vpc)
    ports = [port_of(number, vpc=vpc) for number in range(len(task_namespaces))]
    await asyncio.gather(client.set_firewall(vpc.id, OPEN), *(client.plug(port) for port in ports))
    for number, port in enumerate(ports):
        await asyncio.to_thread(
            links.adopt,
            port.mac,
            task_namespaces[number],
            address_cidr=f"{port.address}/20",
            gateway=GATEWAYS[number],
        )


@pytest.fixture
async def tasks(client: HostClient, task_namespaces: list[str]) -> AsyncIterator[list[str]]:
    await connect(client, task_namespaces)
    yield task_namespaces
    await client.delete_vpc(VPC.id)


async def test_interfaces_reach_each_other_within_and_between_subnets(tasks: list[str]) -> None:
    with listening(tasks[1], 80) as callers, listening(tasks[2], 80) as others:
        assert reaches(tasks[0], ADDRESSES[1], 80)
        assert reaches(tasks[0], ADDRESSES[2], 80)
        assert callers == [ADDRESSES[0]] and others == [ADDRESSES[0]]


async def test_what_no_rule_allows_is_dropped(client: HostClient, tasks: list[str]) -> None:
    only_80 = [Rule(protocol="tcp", ports=(80, 81), networks=["172.31.0.0/20"])]
    groups = {"sg-web": Group(ingress=only_80, egress=EVERYTHING), **OPEN.groups}
    members = {**OPEN.members, ADDRESSES[1]: ["sg-web"]}
    await client.set_firewall(VPC.id, Ruleset(groups=groups, members=members))
    with listening(tasks[1], 80) as web, listening(tasks[1], 82) as closed:
        assert reaches(tasks[0], ADDRESSES[1], 80)
        assert refused(tasks[0], ADDRESSES[1], 81)
        assert not reaches(tasks[0], ADDRESSES[1], 82)
        assert not reaches(tasks[2], ADDRESSES[1], 80)  # of another subnet
        assert web == [ADDRESSES[0]] and closed == []
        await client.set_firewall(VPC.id, OPEN)
        assert reaches(tasks[0], ADDRESSES[1], 82)


async def test_a_group_is_a_source_and_follows_its_members(client: HostClient, tasks: list[str]) -> None:
    rule = Rule(protocol="tcp", ports=(5432, 5432), groups=["sg-application"])
    groups = {
        "sg-database": Group(ingress=[rule], egress=EVERYTHING),
        "sg-application": Group(egress=EVERYTHING),
        "sg-other": Group(egress=EVERYTHING),
    }
    members = {ADDRESSES[0]: ["sg-other", "sg-application"], ADDRESSES[1]: ["sg-database"], ADDRESSES[2]: ["sg-other"]}
    with listening(tasks[1], 5432):
        await client.set_firewall(VPC.id, Ruleset(groups=groups, members=members))
        assert reaches(tasks[0], ADDRESSES[1], 5432)
        assert not reaches(tasks[2], ADDRESSES[1], 5432)
        members = {**members, ADDRESSES[0]: ["sg-other"], ADDRESSES[2]: ["sg-application"]}
        await client.set_firewall(VPC.id, Ruleset(groups=groups, members=members))
        assert not reaches(tasks[0], ADDRESSES[1], 5432)
        assert reaches(tasks[2], ADDRESSES[1], 5432)


async def test_egress_rules_bind(client: HostClient, tasks: list[str]) -> None:
    out = [Rule(protocol="tcp", ports=(443, 443), networks=[f"{ADDRESSES[1]}/32"])]
    groups = {"sg-tight": Group(ingress=EVERYTHING, egress=out), **OPEN.groups}
    await client.set_firewall(VPC.id, Ruleset(groups=groups, members={**OPEN.members, ADDRESSES[0]: ["sg-tight"]}))
    with listening(tasks[1], 443), listening(tasks[1], 80), listening(tasks[2], 443), listening(tasks[0], 80):
        assert reaches(tasks[0], ADDRESSES[1], 443)
        assert not reaches(tasks[0], ADDRESSES[1], 80)
        assert not reaches(tasks[0], ADDRESSES[2], 443)
        assert reaches(tasks[1], ADDRESSES[0], 80)  # an answer needs no rule


async def test_nobody_sends_with_another_address(tasks: list[str]) -> None:
    def claim() -> None:
        with IPRoute() as ip:
            ip.addr("add", index=ip.link_lookup(ifname="eth0")[0], address=ADDRESSES[1], prefixlen=32)

    await asyncio.to_thread(namespaces.run_in, tasks[0], claim)
    with listening(tasks[2], 80) as callers:
        assert reaches(tasks[0], ADDRESSES[2], 80, source=ADDRESSES[0])
        assert not reaches(tasks[0], ADDRESSES[2], 80, source=ADDRESSES[1])
        assert reaches(tasks[1], ADDRESSES[2], 80)
        assert callers == [ADDRESSES[0], ADDRESSES[1]]


async def test_the_platforms_endpoint_answers_in_every_vpc_and_nothing_else_of_the_machine(
    daemon: Daemon, client: HostClient, tasks: list[str]
) -> None:
    platform = daemon.config.public_network.replace(".0/22", ".1")
    with listening("", daemon.config.port, platform) as callers, listening("", daemon.config.port + 1, platform):
        assert reaches(tasks[0], ENDPOINT_IN_VPC, daemon.config.port)
        assert callers and callers[0].rsplit(".", 1)[0] == platform.rsplit(".", 1)[0]
        assert not reaches(tasks[0], platform, daemon.config.port + 1)
        assert not reaches(tasks[0], ENDPOINT_IN_VPC, daemon.config.port + 1)
        out = [Rule(protocol="tcp", ports=(443, 443), networks=[ANYWHERE])]
        groups = {**OPEN.groups, "sg-https": Group(egress=out), "sg-shut": Group(ingress=EVERYTHING)}
        members = {**OPEN.members, ADDRESSES[1]: ["sg-https"], ADDRESSES[2]: ["sg-shut"]}
        await client.set_firewall(VPC.id, Ruleset(groups=groups, members=members))
        assert reaches(tasks[1], ENDPOINT_IN_VPC, daemon.config.port)  # where AWS's answer, this one does too
        assert not reaches(tasks[2], ENDPOINT_IN_VPC, daemon.config.port)
    route = json.loads(subprocess.check_output(["ip", "-j", "route", "get", "198.51.100.1"]))[0]
    with listening("", daemon.config.port + 1, route["prefsrc"]) as of_the_machine:
        assert not reaches(tasks[0], route["prefsrc"], daemon.config.port + 1)
        assert of_the_machine == []


async def test_public_addresses_answer_the_machine_subject_to_the_groups(
    daemon: Daemon, client: HostClient, tasks: list[str]
) -> None:
    public = [public_address(daemon, number) for number in (7, 8)]
    rule = Rule(protocol="tcp", ports=(80, 80), networks=[ANYWHERE])
    groups = {**OPEN.groups, "sg-web": Group(ingress=[rule], egress=EVERYTHING)}
    ruleset = Ruleset(
        groups=groups,
        members={**OPEN.members, ADDRESSES[0]: ["sg-web"]},
        public={ADDRESSES[0]: public[0], ADDRESSES[1]: public[1]},
        internet=[("172.31.0.0/20", ANYWHERE)],
    )
    await client.set_firewall(VPC.id, ruleset)
    with listening(tasks[0], 80) as callers, listening(tasks[0], 81) as closed:
        assert await asyncio.to_thread(reaches, "", public[0], 80)
        assert not await asyncio.to_thread(reaches, "", public[0], 81)
        assert await asyncio.to_thread(reaches, tasks[1], public[0], 80)  # from inside, by the public address
        assert closed == [] and callers[1] == public[1]
        await client.set_firewall(VPC.id, Ruleset(groups=groups, members=ruleset.members, public=ruleset.public))
        assert not await asyncio.to_thread(reaches, "", public[0], 80)  # the subnet has no route out now


@pytest.fixture
def internet(daemon: Daemon) -> Iterator[str]:
    """The network namespace of an internet of our own: 198.51.100.10 (TEST-NET-2), beside this machine."""
    name, link = f"dp{daemon.config.id}-inet", f"t{daemon.config.id}"
    namespaces.create(name)
    subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name], check=True)
    try:
        for command in (
            f"ip address add 198.51.100.9/30 dev {link}",
            f"ip link set {link} up",
            f"ip -n {name} address add 198.51.100.10/30 dev eth0",
            f"ip -n {name} link set eth0 up",
            f"ip -n {name} link set lo up",
        ):
            subprocess.run(command.split(), check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "del", link], check=False)
        namespaces.delete(name)


OUTSIDE = "198.51.100.10"


def public_address(daemon: Daemon, number: int) -> str:
    first, second, third, _ = daemon.config.public_network.split(".")
    return f"{first}.{second}.{int(third) + 1}.{number}"


async def test_only_interfaces_with_a_public_address_reach_the_internet(
    daemon: Daemon, client: HostClient, tasks: list[str], internet: str
) -> None:
    ruleset = Ruleset(
        groups=OPEN.groups,
        members=OPEN.members,
        public={ADDRESSES[0]: public_address(daemon, 9)},
        internet=[("172.31.0.0/16", ANYWHERE)],
    )
    await client.set_firewall(VPC.id, ruleset)
    with listening(internet, 80) as callers:
        assert reaches(tasks[0], OUTSIDE, 80)
        assert not reaches(tasks[1], OUTSIDE, 80)
        assert callers == ["198.51.100.9"]


async def test_a_private_subnet_reaches_the_internet_through_a_nat_gateway(
    daemon: Daemon, client: HostClient, tasks: list[str], internet: str
) -> None:
    gateway, public = "172.31.0.200", public_address(daemon, 10)
    ruleset = Ruleset(
        groups=OPEN.groups,
        members={**OPEN.members, gateway: []},
        public={gateway: public},
        internet=[("172.31.0.0/20", ANYWHERE)],
        nat=[("172.31.16.0/20", ANYWHERE, gateway)],
    )
    await client.set_firewall(VPC.id, ruleset)
    with listening(internet, 80) as callers, listening(tasks[2], 80) as inside:
        assert reaches(tasks[2], OUTSIDE, 80)
        assert reaches(tasks[3], OUTSIDE, 80)
        assert not reaches(tasks[0], OUTSIDE, 80)  # of the public subnet, without an address of its own
        assert not await asyncio.to_thread(reaches, "", public, 80)  # nobody comes in through it
        assert callers == ["198.51.100.9"] * 2 and inside == []
        await client.set_firewall(VPC.id, Ruleset(groups=OPEN.groups, members=OPEN.members))
        assert not reaches(tasks[2], OUTSIDE, 80)


async def test_vpcs_do_not_reach_each_other(client: HostClient, tasks: list[str]) -> None:
    other = Vpc(
        id="vpc-0123456789abcdef1", cidr="10.7.0.0/16", subnets=["10.7.0.0/24"], resolver="10.7.0.2", domain="x"
    )
    await client.ensure_vpc(other)
    try:
        assert not reaches(tasks[0], "10.7.0.1", 53)
        assert asks_udp(tasks[0], dns.message.make_query("localhost.", "A").to_wire(), "10.7.0.2", 53) is None
    finally:
        await client.delete_vpc(other.id)


def ask(namespace: str, name: str, kind: str = "A", server: str = "172.31.0.2") -> dns.message.Message:
    data = asks_udp(namespace, dns.message.make_query(name, kind).to_wire(), server, 53)
    assert data is not None
    return dns.message.from_wire(data)


def addresses(answer: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in answer.answer for record in rrset]


async def test_names_resolve_in_the_vpc(client: HostClient, tasks: list[str]) -> None:
    await client.set_names(VPC.id, Names(records={"web.shop.local": [ADDRESSES[1]]}))

    def check() -> None:
        assert addresses(ask(tasks[0], "000000000000.dkr.ecr.us-east-1.localhost")) == [ENDPOINT_IN_VPC]
        assert addresses(ask(tasks[0], "a.localhost", server="169.254.169.253")) == [ENDPOINT_IN_VPC]
        assert addresses(ask(tasks[0], "ip-172-31-0-11.ec2.internal")) == ["172.31.0.11"]
        assert ask(tasks[0], "ip-172-31-0-99.ec2.internal").rcode() == dns.rcode.NXDOMAIN
        assert addresses(ask(tasks[0], "11.0.31.172.in-addr.arpa", "PTR")) == ["ip-172-31-0-11.ec2.internal."]
        assert addresses(ask(tasks[0], "WEB.shop.local")) == [ADDRESSES[1]]
        answer = ask(tasks[0], "a.localhost", "AAAA")
        assert answer.rcode() == dns.rcode.NOERROR and not answer.answer
        over_tcp = namespaces.run_in(
            tasks[0], lambda: dns.query.tcp(dns.message.make_query("b.localhost", "A"), "172.31.0.2", timeout=5)
        )
        assert addresses(over_tcp) == [ENDPOINT_IN_VPC]
        garbage = asks_udp(tasks[0], b"\x12\x34\x01\x00" + bytes(20), "172.31.0.2", 53)
        assert garbage is None or garbage[:2] == b"\x12\x34"

    await asyncio.to_thread(check)


async def test_a_killed_daemon_is_started_again_and_nothing_is_lost(
    daemon: Daemon, client: HostClient, tasks: list[str]
) -> None:
    before = await client.list()
    epoch = client.epoch
    daemon.kill()
    with listening(tasks[1], 80):
        assert reaches(tasks[0], ADDRESSES[1], 80)  # the network goes on without the daemon
        daemon.start()
        await client.lost.wait()
        await client.connect()
        assert client.epoch == epoch + 1
        assert await client.list() == before
        await connect(client, tasks)
        assert reaches(tasks[0], ADDRESSES[1], 80)
        await client.unplug(VPC.id, port_of(1).interface_id)
        assert not reaches(tasks[0], ADDRESSES[1], 80)


async def test_fifty_at_once_and_again(client: HostClient) -> None:
    await client.ensure_vpc(VPC)
    ports = [
        Port(vpc_id=VPC.id, interface_id=f"eni-0{n:016x}", mac=f"02:00:00:00:09:{n:02x}", address=f"172.31.0.{n + 20}")
        for n in range(50)
    ]
    try:
        await asyncio.gather(*(client.plug(port) for port in ports), *(client.plug(port) for port in ports))
        assert sorted((await client.list()).vpcs[VPC.id]) == [port.interface_id for port in ports]
        assert all(links.find_by_mac(port.mac) for port in ports)
        await asyncio.gather(*(client.unplug(VPC.id, port.interface_id) for port in ports))
        await client.unplug(VPC.id, ports[0].interface_id)
        assert (await client.list()).vpcs[VPC.id] == []
        assert not any(links.find_by_mac(port.mac) for port in ports)
    finally:
        await client.delete_vpc(VPC.id)


async def test_what_cannot_be_done_is_said(client: HostClient) -> None:
    with pytest.raises(HostError, match="FileNotFoundError"):
        await client.plug(port_of(0))  # into a VPC that is not there
    await client.ensure_vpc(VPC)
    with pytest.raises(HostError, match="FileNotFoundError"):
        await client.plug(port_of(0, namespace="dp-nobody-made-this"))
    await client.delete_vpc(VPC.id)
    await client.delete_vpc(VPC.id)


async def test_teardown_leaves_nothing(daemon: Daemon, client: HostClient, task_namespaces: list[str]) -> None:
    await connect(client, task_namespaces[:2])
    assert traces(daemon.config)
    await client.teardown()
    for name in task_namespaces:
        namespaces.delete(name)
    assert traces(daemon.config) == ""
    daemon.stop()
    assert not Path(daemon.config.run_dir / "host.sock").exists()
