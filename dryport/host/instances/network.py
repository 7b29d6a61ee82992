"""An instance's own network namespace: its primary interface as ``eth0``, and nothing of an earlier run."""

from __future__ import annotations

import contextlib
import socket

from pyroute2 import IPRoute, NetlinkError

from dryport.host import links, namespaces
from dryport.host.messages import Interface
from dryport.host.nft import apply


def set_up(namespace: str, interface: Interface) -> None:
    """Make the interface ``eth0``, with its address and the default route. Doing it again changes nothing.

    Raises FileNotFoundError where the namespace is gone, LookupError where the interface is not plugged into it.
    """
    namespaces.run_in(namespace, lambda: links.set_up(interface.mac, "eth0", interface.address_cidr, interface.gateway))


def clean(namespace: str) -> None:
    """Remove what an earlier run left: bridges and firewall rules. Interfaces of the VPC stay. Takes some 20 ms."""

    def work() -> None:
        apply("flush ruleset")
        with IPRoute() as ip:
            for link in ip.get_links():
                kind = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
                if kind not in (None, "veth"):
                    ip.link("del", index=link["index"])

    namespaces.run_in(namespace, work)


def remove(namespace: str) -> None:
    """Remove the namespace with every interface in it, at once: their far ends are gone when this returns."""
    if not namespaces.exists(namespace):
        namespaces.delete(namespace)
        return

    def work() -> None:
        with IPRoute() as ip:
            for index, name in socket.if_nameindex():
                if name != "lo":
                    with contextlib.suppress(NetlinkError):  # its peer took it along, or it is the kernel's own
                        ip.link("del", index=index)

    namespaces.run_in(namespace, work)
    namespaces.delete(namespace)
