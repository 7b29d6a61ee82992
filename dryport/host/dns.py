"""The name server of a VPC: its own names, the platform's, and everything else from the machine's resolvers.

Messages are dnspython's (RFC 1035, 6891). ``Zone.answer`` decides, ``NameServer`` carries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from dryport.host import local_zones, sockets
from dryport.host.local_zones import LocalZone
from dryport.host.messages import Names, Vpc
from dryport.host.ruleset import ENDPOINT, METADATA, RESOLVER

_TTL = 60  # seconds
_UPSTREAM_TIMEOUT = 2.0
_TCP_IDLE = 10.0
_CONCURRENT_FORWARDS = 256
_LONGEST_CHAIN = 8  # of aliases
_LARGEST_ANSWER = 1232  # over UDP without fragments ("DNS Flag Day 2020")
_OWN_DOMAINS = ("ec2.internal", "compute.internal")  # never asked of anyone else
log = logging.getLogger("dryport.host")

Upstreams = Callable[[], list[tuple[str, int]]]


def machine_resolvers() -> list[tuple[str, int]]:
    """The name servers of /etc/resolv.conf (resolv.conf(5)) and their port."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return []
    return [(words[1], 53) for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]


class Zone:
    """What a VPC's name server knows by itself."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.addresses: set[str] = set()  # private addresses of interfaces
        self.names = Names()
        self.zones: dict[str, LocalZone] = {}  # by name

    def lookup(self, name: str, source: str = "") -> list[str] | None:
        """The addresses of a name (lower case, no final dot), as an address is told that asks for it.

        ``None``: not ours, []: ours, and there is none.
        """
        if name in self.names.records:
            return self.names.records[name]
        if name in self.names.nearest:
            return _nearest(self.names.nearest[name], source)
        if name == "localhost":
            return ["127.0.0.1"]
        if name.endswith(".localhost") or name == f"data-{ENDPOINT}":  # as SDKs name where DiscoverInstances is asked
            return [ENDPOINT]
        if name.endswith(_OWN_DOMAINS):
            label, _, domain = name.partition(".")
            if (label, domain) == ("instance-data", self.domain):
                return [METADATA]
            address = label.removeprefix("ip-").replace("-", ".")
            return [address] if domain == self.domain and address in self.addresses else []
        return None

    def pointer(self, address: str) -> str | None:
        """The private name of an interface's address."""
        return f"ip-{address.replace('.', '-')}.{self.domain}" if address in self.addresses else None

    def answer(self, query: dns.message.Message, source: str = "") -> dns.message.Message | None:
        """The answer to a well-formed query from an address; ``None`` where others must be asked."""
        response = dns.message.make_response(query, recursion_available=True)
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            response.set_rcode(dns.rcode.NOTIMP if query.question else dns.rcode.FORMERR)
            return response
        question = query.question[0]
        if question.rdtype == dns.rdatatype.PTR:
            return self._answer_pointer(question, response)
        name = question.name.to_text(omit_final_dot=True).lower()
        known = name in self.names.records or name in self.names.nearest
        private = None if known else local_zones.nearest(self.zones, name)
        if private is not None:
            private.answer(question, response)
            return response
        addresses = self.lookup(name, source)
        if addresses is None:
            return None
        if not addresses:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY):
            response.answer.append(dns.rrset.from_text_list(question.name, _TTL, "IN", "A", addresses))
        return response

    def _answer_pointer(self, question: dns.rrset.RRset, response: dns.message.Message) -> dns.message.Message | None:
        try:
            name = self.pointer(dns.reversename.to_address(question.name))
        except dns.exception.DNSException:
            return None
        if name is None:
            return None
        response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", "PTR", f"{name}."))
        return response


def _nearest(places: dict[str, list[str]], source: str) -> list[str]:
    """The addresses of the block that an address lies in."""
    for block, addresses in places.items():
        if source and IPv4Address(source) in IPv4Network(block):
            return addresses
    return []


class NameServer:
    """Answers inside a VPC's namespace, on its resolvers' addresses, over UDP and TCP."""

    def __init__(self, zone: Zone, upstreams: Upstreams = machine_resolvers) -> None:
        self.zone = zone
        self._upstreams = upstreams
        self._forwards = asyncio.Semaphore(_CONCURRENT_FORWARDS)
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, namespace: str, vpc: Vpc) -> None:
        """Listen. Raises OSError where that cannot be."""
        loop = asyncio.get_running_loop()
        for address in (vpc.resolver, RESOLVER):
            datagrams = await asyncio.to_thread(sockets.udp_in, namespace, address, 53)
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
            self._transports.append(transport)
            listener = await asyncio.to_thread(sockets.listen_in, namespace, address, 53)
            self._servers.append(await asyncio.start_server(self._converse, sock=listener))

    async def close(self) -> None:
        """Stop listening; the namespace can then end."""
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        self._transports, self._servers = [], []

    async def respond(self, data: bytes, limit: int, source: str = "") -> bytes | None:
        """The answer to what came in from an address, at most ``limit`` bytes; ``None`` where it deserves none."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return _format_error(data)
        if query.flags & dns.flags.QR:
            return None
        response = self.zone.answer(query, source)
        if response is None:
            response = await self._forward(query)
        else:
            await self._follow(query, response, source)
        if query.edns >= 0:
            limit = min(max(limit, query.payload), max(limit, _LARGEST_ANSWER))
        try:
            return response.to_wire(max_size=limit)
        except dns.exception.TooBig:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()

    async def _follow(self, query: dns.message.Message, response: dns.message.Message, source: str) -> None:
        """Add what an alias of ours leads to, wherever that is (RFC 1034, 4.3.2)."""
        for _ in range(_LONGEST_CHAIN):
            target = local_zones.unresolved(response)
            if target is None:
                return
            further = dns.message.make_query(target, query.question[0].rdtype)
            found = self.zone.answer(further, source) or await self._forward(further)
            response.answer += found.answer
            response.set_rcode(found.rcode())
            if not found.answer:
                response.authority += found.authority
                return

    async def _forward(self, query: dns.message.Message) -> dns.message.Message:
        async with self._forwards:
            for address, port in self._upstreams():
                try:
                    found, _ = await dns.asyncquery.udp_with_fallback(query, address, _UPSTREAM_TIMEOUT, port)
                except (dns.exception.DNSException, OSError, EOFError):
                    continue
                found.id = query.id
                return found
        failed = dns.message.make_response(query, recursion_available=True)
        failed.set_rcode(dns.rcode.SERVFAIL)
        return failed

    def handle(self, transport: asyncio.DatagramTransport, data: bytes, source: tuple[str, int]) -> None:
        """Answer a datagram without waiting."""

        async def reply() -> None:
            answer = await self.respond(data, 512, source[0])
            if answer is not None and not transport.is_closing():
                transport.sendto(answer, source)

        task = asyncio.create_task(reply())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Queries over one TCP connection, each with its length before it (RFC 1035, 4.2.2)."""
        source = str(writer.get_extra_info("peername")[0])
        with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            while True:
                async with asyncio.timeout(_TCP_IDLE):
                    length = int.from_bytes(await reader.readexactly(2))
                    data = await reader.readexactly(length)
                answer = await self.respond(data, 65_535, source)
                if answer is None:
                    break
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.handle(self._transport, data, addr)


def _format_error(data: bytes) -> bytes | None:
    """FORMERR with the query's id, for what has at least a query's header."""
    if len(data) < 12 or data[2] & 0x80:
        return None
    return data[:2] + bytes([0x80 | (data[2] & 0x79), dns.rcode.FORMERR]) + bytes(8)
