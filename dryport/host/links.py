"""Network links: found by their MAC address, awaited, moved into a task's namespace and set up there."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dryport.host import namespaces
from dryport.host.rtnetlink import Rtnetlink

TASK_ENDPOINT = "169.254.170.2"  # where a task finds its metadata and credentials

# rtnetlink(7), netlink(7)
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_RTMGRP_LINK = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_EXT_MASK = 1, 3, 29
_RTEXT_FILTER_SKIP_STATS = 8
_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")


class Link(NamedTuple):
    """A network device: its number (ifindex) in its namespace, name and MAC address (lower case, colons)."""

    number: int
    name: str
    mac: str


def find_by_mac(mac: str) -> Link | None:
    """The link with this MAC address in the calling thread's namespace."""
    wanted = mac.lower()
    with _netlink() as channel:
        channel.settimeout(5)
        return next((link for link in _dump(channel) if link.mac == wanted), None)


async def wait_for_mac(mac: str, timeout: float) -> Link:
    """Wait until a link with this MAC address is in this process's namespace.

    Woken by the kernel's own messages. Raises TimeoutError after ``timeout`` seconds.
    """
    wanted = mac.lower()
    loop = asyncio.get_running_loop()
    with _netlink(_RTMGRP_LINK) as channel:
        channel.setblocking(False)
        # Listening begins before looking: what comes in between is heard.
        found = find_by_mac(wanted)
        async with asyncio.timeout(timeout):
            while found is None:
                try:
                    data = await loop.sock_recv(channel, 1 << 16)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    found = find_by_mac(wanted)  # messages were lost: look
                    continue
                found = next((link for link in _links(data) if link.mac == wanted), None)
    return found


def adopt(mac: str, namespace: str, *, name: str = "eth0", address_cidr: str, gateway: str) -> None:
    """Move the link with this MAC from the caller's namespace into another and make it that one's way out.

    There it is called ``name``, has ``address_cidr`` (``172.31.0.9/20``) and a default route over ``gateway``, which
    need not lie in the address's network; ``lo`` is up and holds 169.254.170.2. Doing it again changes nothing.
    Raises FileNotFoundError where the namespace is gone, LookupError where no link has this MAC.
    """
    link = find_by_mac(mac)
    if link is not None:
        _move(link, namespace, name)
    namespaces.run_in(namespace, lambda: set_up(mac, name, address_cidr, gateway, TASK_ENDPOINT))


def _move(link: Link, namespace: str, name: str) -> None:
    descriptor = os.open(namespaces.path(namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Rtnetlink() as netlink:
            netlink.set_link(link.number, namespace=descriptor, name=name)
    except OSError as error:
        if error.errno != errno.ENODEV:  # another one has just moved it
            raise
    finally:
        os.close(descriptor)


def set_up(mac: str, name: str, address_cidr: str, gateway: str, own: str = "") -> None:
    """Do what ``adopt`` does to a link that is in the calling thread's namespace; ``own`` is an address for ``lo``."""
    link = find_by_mac(mac)
    if link is None:
        raise LookupError(f"no network interface has the address {mac}")
    address, _, length = address_cidr.partition("/")
    with Rtnetlink() as netlink:
        loopback = socket.if_nametoindex("lo")
        netlink.set_link(loopback, up=True)
        if own:
            netlink.add_address(loopback, own, 32)
        if link.name != name:
            netlink.set_link(link.number, up=False)
            netlink.set_link(link.number, name=name)
        netlink.add_address(link.number, address, int(length or "32"))
        netlink.set_link(link.number, up=True)
        netlink.set_default_route(link.number, gateway)


def _netlink(groups: int = 0) -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    channel.bind((0, groups))
    return channel


def _dump(channel: socket.socket) -> Iterator[Link]:
    body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body += struct.pack("=HHI", 8, _IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    flags = _NLM_F_REQUEST | _NLM_F_DUMP
    channel.send(_HEADER.pack(_HEADER.size + len(body), _RTM_GETLINK, flags, 1, 0) + body)
    while True:
        data = channel.recv(1 << 17)
        yield from _links(data)
        if any(kind in (_NLMSG_DONE, _NLMSG_ERROR) for kind, _ in _messages(data)):
            return


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _links(data: bytes) -> Iterator[Link]:
    for kind, body in _messages(data):
        if kind != _RTM_NEWLINK or len(body) < _IFINFO.size:
            continue
        attributes: dict[int, bytes] = {}
        offset = _IFINFO.size
        while offset + 4 <= len(body):
            length, number = struct.unpack_from("=HH", body, offset)
            if length < 4:
                break
            attributes[number & 0x3FFF] = body[offset + 4 : offset + length]
            offset += (length + 3) & ~3
        name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode()
        yield Link(_IFINFO.unpack_from(body)[2], name, attributes.get(_IFLA_ADDRESS, b"").hex(":"))
