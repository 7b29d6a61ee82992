"""The name server's answers, with and without others to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.host.dns import NameServer, Zone
from dryport.host.messages import Names


class Upstream(asyncio.DatagramProtocol):
    """Somebody else's name server on loopback, who knows one name and counts the questions."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at: tuple[str, int]

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        name = query.question[0].name
        self.asked.append(name.to_text())
        if name.to_text() == "big.example.":
            addresses = [f"192.0.2.{number}" for number in range(200)]
            response.answer.append(dns.rrset.from_text_list(name, 60, "IN", "A", addresses))
        elif name.to_text() == "www.example.":
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.7"))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Upstream, local_addr=("127.0.0.1", 0)
    )
    protocol.at = transport.get_extra_info("sockname")
    yield protocol
    transport.close()


def zone() -> Zone:
    made = Zone("ec2.internal")
    made.addresses = {"172.31.0.9"}
    return made


async def ask(server: NameServer, name: str, kind: str = "A", limit: int = 65_535) -> dns.message.Message:
    data = await server.respond(dns.message.make_query(name, kind).to_wire(), limit)
    assert data is not None and len(data) <= limit
    return dns.message.from_wire(data)


async def test_other_names_are_asked_of_the_machines_resolvers(upstream: Any) -> None:
    server = NameServer(zone(), lambda: [upstream.at])
    answer = await ask(server, "www.example.")
    assert [record.to_text() for record in answer.answer[0]] == ["192.0.2.7"]
    assert (await ask(server, "nowhere.example.")).rcode() == dns.rcode.NXDOMAIN
    assert upstream.asked == ["www.example.", "nowhere.example."]


async def test_names_of_ours_are_asked_of_nobody(upstream: Any) -> None:
    server = NameServer(zone(), lambda: [upstream.at])
    for name in ("a.b.localhost.", "ip-172-31-0-9.ec2.internal.", "ip-172-31-0-8.ec2.internal.", "x.compute.internal."):
        await ask(server, name)
    assert upstream.asked == []


async def test_the_next_resolver_is_asked_where_one_is_away(upstream: Any) -> None:
    server = NameServer(zone(), lambda: [("127.0.0.1", 1), upstream.at])
    assert (await ask(server, "www.example.")).answer
    alone = NameServer(zone(), list)
    assert (await ask(alone, "www.example.")).rcode() == dns.rcode.SERVFAIL


async def test_what_is_too_long_for_a_datagram_is_cut_and_says_so(upstream: Any) -> None:
    big = zone()
    big.names = Names(records={"big.local": [f"10.0.{number // 250}.{number % 250}" for number in range(300)]})
    server = NameServer(big, lambda: [upstream.at])
    short = await ask(server, "big.local.", limit=512)
    assert short.flags & dns.flags.TC and not short.answer
    whole = await ask(server, "big.local.")
    assert len(whole.answer[0]) == 300 and not whole.flags & dns.flags.TC


async def test_other_requests_than_queries_are_declined() -> None:
    query = dns.message.make_query("www.example.", "A")
    query.set_opcode(dns.opcode.NOTIFY)
    data = await NameServer(zone(), list).respond(query.to_wire(), 512)
    assert data is not None and dns.message.from_wire(data).rcode() == dns.rcode.NOTIMP
    response = dns.message.make_response(dns.message.make_query("www.example.", "A"))
    assert await NameServer(zone(), list).respond(response.to_wire(), 512) is None


@given(data=st.binary(max_size=200))
def test_garbage_neither_breaks_it_nor_is_forwarded(data: bytes) -> None:
    asked: list[int] = []

    def upstreams() -> list[tuple[str, int]]:
        asked.append(1)
        return []

    answer = asyncio.run(NameServer(zone(), upstreams).respond(data, 512))
    assert answer is None or answer[:2] == data[:2]


def test_a_name_leads_to_what_is_nearest_to_the_asker() -> None:
    made = zone()
    made.names = Names(nearest={"fs.example": {"172.31.0.0/20": ["172.31.0.7"], "172.31.16.0/20": ["172.31.16.7"]}})
    assert made.lookup("fs.example", "172.31.0.9") == ["172.31.0.7"]
    assert made.lookup("fs.example", "172.31.20.9") == ["172.31.16.7"]
    assert made.lookup("fs.example", "172.31.32.9") == [] and made.lookup("fs.example") == []
