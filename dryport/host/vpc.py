"""A VPC's namespace: its router, its interfaces' far ends, its firewall.

Every interface is a veth whose far end is here with a /32 route. Strict reverse-path filtering (RFC 3704) keeps each
to its own address; the neighbour entries are permanent, so nobody can take another's address by ARP either.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from pyroute2 import NetlinkError

from dryport.host import guests, namespaces, ruleset
from dryport.host.machine import VPC_MAC, Machine
from dryport.host.messages import Port, Ruleset, Vpc
from dryport.host.nft import NftError
from dryport.host.worker import Worker, already_there

_ROUTER_MAC = "02:64:70:00:00:03"  # of every far end: a gateway looks the same from each interface
_MACHINE_MAC = "02:64:70:00:00:01"
_LEAVING = 0x6470  # the link group of far ends that are deleted together
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SETTINGS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "1",
    "ipv4/conf/default/rp_filter": "1",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/default/accept_redirects": "0",
    # Interfaces know their subnet as on-link: the router answers for the others in it.
    "ipv4/conf/default/proxy_arp": "1",
    "ipv6/conf/all/disable_ipv6": "1",
    "ipv6/conf/default/disable_ipv6": "1",
}


def far_name(interface_id: str) -> str:
    """The far end's name: the id's 17 hexadecimal digits in base 36, as a link's name has room for 15 characters."""
    number = int(interface_id.removeprefix("eni-"), 16)
    digits = ""
    for _ in range(14):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return f"e{digits}"


def interface_id(name: str) -> str | None:
    """The inverse of ``far_name``; ``None`` for other links."""
    if len(name) != 15 or name[0] != "e":
        return None
    return f"eni-{int(name[1:], 36):017x}"


class VpcNetwork:
    """One VPC's namespace. Each method may be called again; it then changes nothing."""

    def __init__(self, name: str, machine: Machine, port: int) -> None:
        self.name = name
        self.uplink = 0
        self._machine = machine
        self._platform_port = port
        self._worker: Worker | None = None
        self._applied: ruleset.Compiled | None = None
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._site: ruleset.Site | None = None
        self._rules: Ruleset | None = None
        self._hosts: list[str] = []

    async def worker(self) -> Worker:
        """The thread inside. Raises FileNotFoundError where the namespace is gone."""
        if self._worker is None:
            self._worker = await Worker.start(self.name)
        return self._worker

    async def ensure(self, vpc: Vpc, free_uplinks: Iterable[int]) -> None:
        """Make the namespace, its addresses, its uplink, and a firewall that lets nothing through yet."""
        await asyncio.to_thread(namespaces.create, self.name)
        worker = await self.worker()
        await worker.run(lambda: self._route(worker, vpc))
        await self._connect(worker, free_uplinks)
        self._site = ruleset.Site(
            self._machine.platform_address,
            self._platform_port,
            self._machine.uplink_address(self.uplink),
            vpc.resolver,
        )
        if not await worker.run(lambda: _has_table(worker)):
            await self.set_firewall(Ruleset())

    def _route(self, worker: Worker, vpc: Vpc) -> None:
        for name, value in _SETTINGS.items():
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                Path("/proc/sys/net", name).write_text(value)
        ip = worker.ip
        loopback = socket.if_nametoindex("lo")
        ip.link("set", index=loopback, state="up")
        addresses = [str(IPv4Network(subnet)[1]) for subnet in vpc.subnets]
        wanted = {*addresses, vpc.resolver, ruleset.RESOLVER, ruleset.METADATA}
        present = {a.get_attr("IFA_ADDRESS") for a in ip.get_addr(family=socket.AF_INET, index=loopback)} - {
            "127.0.0.1"
        }
        for address in wanted - present:
            ip.addr("add", index=loopback, address=address, prefixlen=32)
        for address in present - wanted:
            ip.addr("del", index=loopback, address=address, prefixlen=32)
        with already_there():
            ip.route("add", type="unreachable", dst=vpc.cidr)

    async def _connect(self, worker: Worker, free: Iterable[int]) -> None:
        self.uplink = await worker.run(lambda: self._present_uplink(worker))
        if self.uplink:
            return
        number = next(iter(free), None)
        if number is None:
            raise RuntimeError("every uplink of this Dryport is taken; delete a VPC that is not used")
        descriptor = os.open(namespaces.path(self.name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._machine.disconnect(number)
            await self._machine.connect(number, descriptor)
        finally:
            os.close(descriptor)
        await worker.run(lambda: self._set_up_uplink(worker, number))
        self.uplink = number

    def _present_uplink(self, worker: Worker) -> int:
        """The number of the uplink that is there and complete, else 0."""
        try:
            index = socket.if_nametoindex(ruleset.UPLINK)
        except OSError:
            return 0
        if worker.ip.get_default_routes(family=socket.AF_INET):
            for address in worker.ip.get_addr(family=socket.AF_INET, index=index):
                return self._machine.uplink_number(address.get_attr("IFA_ADDRESS"))
        worker.ip.link("del", index=index)  # a process that died half-way left it
        return 0

    def _set_up_uplink(self, worker: Worker, number: int) -> None:
        ip = worker.ip
        index = socket.if_nametoindex(ruleset.UPLINK)
        platform = self._machine.platform_address
        ip.addr("add", index=index, address=self._machine.uplink_address(number), prefixlen=32)
        ip.link("set", index=index, state="up", address=VPC_MAC)
        ip.neigh("replace", dst=platform, lladdr=_MACHINE_MAC, ifindex=index, state="permanent")
        ip.route("replace", dst=f"{platform}/32", oif=index, scope="link")
        ip.route("replace", dst="0.0.0.0/0", gateway=platform, oif=index, flags=["onlink"])

    async def plug(self, port: Port) -> None:
        """Make an interface. Raises FileNotFoundError where the namespace for its near end is gone."""
        worker = await self.worker()
        fresh = await worker.run(lambda: self._plug(worker, port))
        if port.guest is not None and (port.guest.index or port.secondary or not fresh):
            await asyncio.to_thread(guests.set_up, port)

    def _plug(self, worker: Worker, port: Port) -> bool:
        """Whether it was not there."""
        ip = worker.ip
        far = far_name(port.interface_id)
        near = near_name(self.name, port.interface_id)
        if port.namespace:
            target = os.open(namespaces.path(port.namespace), os.O_RDONLY | os.O_CLOEXEC)
        else:
            target = os.dup(self._machine.namespace)
        fresh = False
        try:
            with already_there():
                peer = {"ifname": near, "address": port.mac, "net_ns_fd": target}
                ip.link("add", kind="veth", ifname=far, address=_ROUTER_MAC, state="up", peer=peer)
                fresh = True
        finally:
            os.close(target)
        index = socket.if_nametoindex(far)
        # The kernel's 0.8 s before it answers for another; a namespace has no default of its own to change.
        Path(f"/proc/sys/net/ipv4/neigh/{far}/proxy_delay").write_text("0")
        addresses = [port.address, *port.secondary]
        for address in addresses:
            ip.route("replace", dst=f"{address}/32", oif=index, scope="link")
            ip.neigh("replace", dst=address, lladdr=port.mac, ifindex=index, state="permanent")
        for address in () if fresh else _routed(worker, index) - set(addresses):
            with contextlib.suppress(NetlinkError):
                ip.route("del", dst=f"{address}/32", oif=index, scope="link")
        return fresh

    async def unplug(self, interface: str) -> None:
        """Remove an interface, wherever its near end is now; those that leave at once are removed together."""
        worker = await self.worker()
        done = self._leaving.get(interface)
        if done is None:
            done = self._leaving[interface] = asyncio.get_running_loop().create_future()
            if len(self._leaving) == 1:
                asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._unplug_all(worker)))
        await asyncio.shield(done)

    async def _unplug_all(self, worker: Worker) -> None:
        leaving, self._leaving = self._leaving, {}
        try:
            await worker.run(lambda: _delete_links(worker, leaving))
        except Exception as failure:
            for done in leaving.values():
                done.set_exception(failure)
        else:
            for done in leaving.values():
                done.set_result(None)

    async def set_firewall(self, rules: Ruleset) -> None:
        """Put rules in force in one transaction, and lead the public addresses here. Raises NftError, LookupError."""
        if self._site is None:
            raise LookupError(f"VPC {self.name} was not ensured")
        self._rules = rules
        new = ruleset.compile_ruleset(rules, self._site, self._hosts)
        worker = await self.worker()
        await worker.run(lambda: self._apply(worker, new))
        await self._machine.set_public(self.uplink, set(rules.public.values()))

    async def set_hosts(self, addresses: Iterable[str]) -> None:
        """Have exactly these addresses reach the metadata service. Raises NftError, LookupError."""
        self._hosts = sorted(addresses)
        if self._rules is not None:
            await self.set_firewall(self._rules)
            return
        # What the table says besides is not known yet to a driver that has just started.
        worker = await self.worker()
        batch = ruleset.hosts_known(self._hosts)
        await worker.run(lambda: worker.nft.run(batch))

    def _apply(self, worker: Worker, new: ruleset.Compiled) -> None:
        old, self._applied = self._applied, None
        batch = ruleset.replacement(new) if old is None else ruleset.difference(old, new)
        if batch:
            worker.nft.run(batch)
        self._applied = new

    async def interfaces(self) -> list[str]:
        """The ids of the interfaces that are plugged in."""
        worker = await self.worker()
        found = await worker.run(socket.if_nameindex)
        return [each for _, name in found if (each := interface_id(name)) is not None]

    async def close(self) -> None:
        """End the thread inside; the namespace stays."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await worker.close()

    async def delete(self) -> None:
        """Remove the namespace with every interface in it, and its uplink."""
        if namespaces.exists(self.name):
            worker = await self.worker()
            number = self.uplink or await worker.run(lambda: self._present_uplink(worker))
            await worker.run(lambda: _delete_links(worker, [each for _, each in socket.if_nameindex()]))
            await self.close()
            if number:
                await self._machine.disconnect(number)
            await asyncio.to_thread(namespaces.delete, self.name)
        self._applied = self._site = self._rules = None
        self.uplink = 0


def near_name(network: str, interface: str) -> str:
    """The near end's name until somebody adopts it: ``dp<id>e`` and six digits drawn from the interface's id.

    The ``e`` sets it apart from uplinks (``dp<id>u2``), for which the machine's firewall has rules of their own.
    """
    number = int.from_bytes(hashlib.sha256(interface.encode()).digest()[:8])
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 36)
        digits += _DIGITS[digit]
    return f"{network[:8]}e{digits}"


def _routed(worker: Worker, index: int) -> set[str]:
    """The addresses that are reached by a far end."""
    return {str(each.get_attr("RTA_DST")) for each in worker.ip.get_routes(family=socket.AF_INET, oif=index)}


def _has_table(worker: Worker) -> bool:
    try:
        worker.nft.run(f"list chain inet {ruleset.TABLE} forwarded")
    except NftError:
        return False
    return True


def _delete_links(worker: Worker, interfaces: Iterable[str]) -> None:
    """Delete far ends in one step, as each deletion by itself waits for a grace period of the kernel."""
    found = False
    for each in interfaces:
        name = far_name(each) if each.startswith("eni-") else each
        if interface_id(name) is None:
            continue
        try:
            worker.ip.link("set", index=socket.if_nametoindex(name), group=_LEAVING)
            found = True
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise
        except OSError:
            continue  # it is gone already
    if found:
        with contextlib.suppress(NetlinkError):
            worker.ip.link("del", group=_LEAVING)
