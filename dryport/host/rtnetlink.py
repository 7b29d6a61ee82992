"""The few requests of rtnetlink(7) that every launch makes, packed by hand: a tenth of a general library's time."""

from __future__ import annotations

import errno
import os
import socket
import struct
from ipaddress import IPv4Address
from types import TracebackType
from typing import Self

_NLMSG_ERROR = 2
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_DELADDR, _RTM_NEWROUTE = 16, 20, 21, 24
_REQUEST, _ACK, _REPLACE, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x100, 0x200, 0x400
_IFLA_IFNAME, _IFLA_NET_NS_FD = 3, 28
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
_RT_TABLE_MAIN, _RTPROT_STATIC, _RTN_UNICAST, _RTNH_F_ONLINK = 254, 4, 1, 4
_IFF_UP = 1
_HEADER = struct.Struct("=IHHII")
_LINK, _ADDRESS, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")


class Rtnetlink:
    """A socket in the calling thread's network namespace. Every method raises OSError where the kernel refuses."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def set_link(self, index: int, *, up: bool | None = None, name: str = "", namespace: int | None = None) -> None:
        """Change a link: up or down, its name, the namespace (an open file) that it moves to."""
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, _IFF_UP if up else 0, 0 if up is None else _IFF_UP)
        if namespace is not None:
            body += _attribute(_IFLA_NET_NS_FD, struct.pack("=I", namespace))
        if name:
            body += _attribute(_IFLA_IFNAME, name.encode() + b"\0")
        self._ask(_RTM_NEWLINK, 0, body)

    def add_address(self, index: int, address: str, length: int) -> None:
        """Give a link an IPv4 address, which it may have already."""
        try:
            self._ask(_RTM_NEWADDR, _CREATE | _EXCLUSIVE, _address(index, address, length))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise

    def delete_address(self, index: int, address: str, length: int) -> None:
        """Take an IPv4 address from a link, which may not have it."""
        try:
            self._ask(_RTM_DELADDR, 0, _address(index, address, length))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise

    def set_default_route(self, index: int, gateway: str) -> None:
        """Have everything go over a gateway on a link, wherever the gateway's address lies."""
        body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, 0, _RTN_UNICAST, _RTNH_F_ONLINK)
        body += _attribute(_RTA_GATEWAY, IPv4Address(gateway).packed) + _attribute(_RTA_OIF, struct.pack("=I", index))
        self._ask(_RTM_NEWROUTE, _CREATE | _REPLACE, body)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACK | flags, self._number, 0)
        self._socket.send(header + body)
        answer = self._socket.recv(1 << 16)
        if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR and (
            code := struct.unpack_from("=i", answer, _HEADER.size)[0]
        ):
            raise OSError(-code, os.strerror(-code))


def _address(index: int, address: str, length: int) -> bytes:
    packed = IPv4Address(address).packed
    body = _ADDRESS.pack(socket.AF_INET, length, 0, 0, index)
    return body + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)
