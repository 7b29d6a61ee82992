"""A balancer that uses its clients' addresses: its user, and its network namespace's routes.

HAProxy's ``usesrc`` binds sockets to addresses that are not the machine's (IP_TRANSPARENT, ip(7)), which takes the
capability net_raw, and refuses to do so where it is to change its user. So it is started as that user, who has
net_raw and net_bind_service and nothing else (setpriv(1), capabilities(7)), in a directory whose files it may read.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pyroute2 import IPRoute

from dryport.host.worker import already_there

SOCKETS = "sockets"  # the directory in which it may make some
_FIRST, _SIZE = 0x6470_0000, 0x1_0000  # ids of users that no machine gives to people, nor Dryport to instances
_CAPABILITIES = "net_raw,net_bind_service"
_INSIDE = 10_000  # the routing table of an interface, less its number (``guests``)
_HERE = 9_999  # the routing table by which everything is this namespace's own
_ANSWERS, _OUT = 9_000, 20_000  # priorities of routing rules; those of interfaces' own addresses are between
_PROTOCOLS = (socket.IPPROTO_TCP, socket.IPPROTO_ICMP)
PASSED_ON = 1  # the mark of errors that are not for HAProxy, but about a flow of UDP's (``flows``)


def user(balancer_id: str) -> int:
    """The id of a balancer's user and group."""
    return _FIRST + int(balancer_id[:8], 16) % _SIZE


def command(balancer_id: str) -> list[str]:
    """What comes before a program's name, to have it run as a balancer's user."""
    number = user(balancer_id)
    who = [f"--reuid={number}", f"--regid={number}", "--clear-groups", "--no-new-privs"]
    added = ",".join(f"+{each}" for each in _CAPABILITIES.split(","))
    return ["setpriv", *who, f"--inh-caps=-all,{added}", f"--ambient-caps=-all,{added}", f"--bounding-set=-all,{added}"]


def prepare(directory: Path, balancer_id: str) -> None:
    """Have a balancer's user read its directory, and make sockets in ``SOCKETS``."""
    number = user(balancer_id)
    os.chown(directory, 0, number)
    os.chown(directory / SOCKETS, number, number)


def route() -> None:
    """In the namespace that this thread is in, a balancer's: what is sent in a client's name goes out by an interface,
    and what is answered to it stays here. Doing it again changes nothing. Raises NetlinkError, OSError.

    Ports are others than clients use, who may call a target themselves: Linux gives them from 32768 on. One that was
    used may be so again after a second, as a client's many connections come from one address.
    """
    settings = {"conf/all/rp_filter": "0", "conf/default/rp_filter": "0", "ip_local_port_range": "1024 32767"}
    for name, value in {**settings, "tcp_tw_reuse": "1"}.items():
        Path("/proc/sys/net/ipv4", name).write_text(value)
    with IPRoute() as ip:
        loopback = socket.if_nametoindex("lo")
        ip.link("set", index=loopback, state="up")
        ip.route("replace", table=_HERE, type="local", dst="0.0.0.0/0", oif=loopback, scope="host")
        present = {
            (each.get_attr("FRA_IIFNAME"), each.get_attr("FRA_TABLE"), each.get_attr("FRA_IP_PROTO"))
            for each in ip.get_rules(family=socket.AF_INET)
        }
        for number in _interfaces(ip):
            name, table = f"eth{number}", _INSIDE + number
            Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
            if ("lo", table, None) not in present:
                with already_there():
                    ip.rule("add", iifname="lo", table=table, priority=_OUT + number, family=socket.AF_INET)
            for protocol in _PROTOCOLS:
                if (name, _HERE, protocol) not in present:
                    with already_there():
                        how = {"iifname": name, "ip_proto": protocol, "table": _HERE, "priority": _ANSWERS + number}
                        ip.rule("add", family=socket.AF_INET, fwmark=0, fwmask=PASSED_ON, **how)


def _interfaces(ip: IPRoute) -> Iterator[int]:
    for link in ip.get_links():
        name = str(link.get_attr("IFLA_IFNAME"))
        if name.startswith("eth"):
            yield int(name.removeprefix("eth"))
