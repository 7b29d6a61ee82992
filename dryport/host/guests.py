"""An interface inside its instance: the further ones with address and routes, secondary addresses on all of them.

What AWS's images do by themselves as soon as an interface comes (``ec2-net-utils``): it is called ``eth1``, and what
is sent from its addresses goes out by it, by a routing table of its own, since a VPC takes packets only from the
interface that has their address. The primary interface is the boot's affair, but for its secondary addresses.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Sequence

from pyroute2 import IPRoute, NetlinkError

from dryport.host import links, namespaces
from dryport.host.messages import Guest, Port
from dryport.host.worker import already_there

_TABLE = 10_000  # plus the interface's number, as ``ec2-net-utils`` has it
_NO_PREFIX_ROUTE = 0x200  # IFA_F_NOPREFIXROUTE: the subnet is reached by the primary interface


def set_up(port: Port) -> None:
    """Have an interface's addresses answer inside its instance, and no others. Doing it again changes nothing.

    Raises LookupError where the interface is not there, FileNotFoundError where the namespace is gone.
    """
    guest = port.guest
    if guest is not None:
        namespaces.run_in(port.namespace, lambda: _set_up(port, guest))


def _set_up(port: Port, guest: Guest) -> None:
    link = links.find_by_mac(port.mac)
    if link is None:
        raise LookupError(f"no network interface has the address {port.mac}")
    with IPRoute() as ip:
        if guest.index:
            _name(ip, link, f"eth{guest.index}")
            with already_there():
                length = int(guest.subnet.partition("/")[2])
                ip.addr("add", index=link.number, address=port.address, prefixlen=length, flags=_NO_PREFIX_ROUTE)
            ip.link("set", index=link.number, state="up")
        _have(ip, link.number, port.secondary)
        if guest.index:
            _route(ip, link.number, guest, [port.address, *port.secondary])


def _name(ip: IPRoute, link: links.Link, name: str) -> None:
    if link.name == name:
        return
    ip.link("set", index=link.number, state="down")
    try:
        ip.link("set", index=link.number, ifname=name)
    except NetlinkError as error:
        if error.code != errno.EEXIST:  # the instance has something else of this name
            raise


def _have(ip: IPRoute, number: int, secondary: Sequence[str]) -> None:
    shown = ip.get_addr(family=socket.AF_INET, index=number)
    present = {each.get_attr("IFA_ADDRESS") for each in shown if each["prefixlen"] == 32}
    for address in set(secondary) - present:
        with already_there():
            ip.addr("add", index=number, address=address, prefixlen=32)
    for address in present - set(secondary):
        with contextlib.suppress(NetlinkError):
            ip.addr("del", index=number, address=address, prefixlen=32)


def _route(ip: IPRoute, number: int, guest: Guest, addresses: Sequence[str]) -> None:
    table = _TABLE + guest.index
    ip.route("replace", table=table, dst=guest.subnet, oif=number, scope="link")
    ip.route("replace", table=table, dst="0.0.0.0/0", gateway=guest.gateway, oif=number)
    present = set()
    for rule in ip.get_rules(family=socket.AF_INET):
        if rule.get_attr("FRA_TABLE") == table:
            source = rule.get_attr("FRA_SRC")
            present.add(source)
            if source not in addresses:
                with contextlib.suppress(NetlinkError):
                    ip.rule("del", table=table, src=source, src_len=32, priority=table)
    for address in addresses:
        if address not in present:
            ip.rule("add", table=table, src=address, src_len=32, priority=table)
