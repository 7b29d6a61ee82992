"""UDP of network load balancers: nftables in the balancer's namespace leads flows to healthy targets.

The kernel remembers where each flow goes (conntrack), so that only new ones are asked about. Which targets are healthy
is what HAProxy's servers say, which check them.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

from dryport.host.balancers.servers import rows
from dryport.host.messages import Flow
from dryport.host.nft import apply
from dryport.host.worker import already_there

_TABLE = "dryport_flows"
_INSIDE = 10_000  # the routing table of an interface, less its number (``guests``)
_MAINTENANCE = 1 | 2  # SRV_ADMF_FMAINT, SRV_ADMF_IMAINT: forced, and inherited
_UP = ("1", "2")  # SRV_ST_STARTING, SRV_ST_RUNNING
_NOWHERE = "0.0.0.0"
_SOURCE = "ip saddr"
_ALL_OF_A_FLOW = "ip saddr . udp sport . ip daddr . udp dport"


class Target(NamedTuple):
    """Where a flow may go."""

    address: str
    port: int


def ruleset(flows: Iterable[Flow], state: str) -> str:
    """The batch that leads flows by the answer to ``show servers state``, in the place of what was there. Pure."""
    lines = [f"table ip {_TABLE}", f"delete table ip {_TABLE}"]
    found = [(flow, way.address, _targets(way.backends, state)) for flow in flows for way in flow.ways]
    if not found:
        return "\n".join(lines)
    every = sorted({target for _, _, targets in found for target in targets})
    lines.append(f"table ip {_TABLE} {{")
    for number, target in enumerate(every):
        lines.append(f"  chain to_{number} {{ meta l4proto udp dnat to {target.address}:{target.port}; }}")
    lines.append("  chain before { type nat hook prerouting priority dstnat;")
    for flow, address, targets in found:
        here = f"    ip daddr {address} udp dport {flow.port}"
        places = ", ".join(f"{place} : goto to_{every.index(target)}" for place, target in enumerate(targets))
        hashed = _SOURCE if flow.sticky else _ALL_OF_A_FLOW
        if targets:
            lines.append(f"{here} jhash {hashed} mod {len(targets)} seed 0x6470 vmap {{ {places} }}")
    lines.append("  }")
    lines.append("  chain after { type nat hook postrouting priority srcnat;")
    for address in sorted({address for _, address, _ in found}):
        # What comes back has to come by here, where it is known whose it is.
        lines.append(f"    meta l4proto udp ct status dnat ct original ip daddr {address} snat to {address}")
    lines.append("  }")
    lines.append("  chain none { type filter hook input priority filter;")
    for flow, address, _ in found:
        lines.append(f"    ip daddr {address} udp dport {flow.port} drop")
    lines += ["  }", "}"]
    return "\n".join(lines)


def _targets(backends: Sequence[str], state: str) -> list[Target]:
    """Of the first backend that has any, the healthy targets; without one, all of the last."""
    present: list[tuple[Target, bool]] = []
    for backend in backends:
        present = list(_of_backend(backend, state))
        healthy = sorted({target for target, up in present if up})
        if healthy:
            return healthy
    return sorted({target for target, _ in present})


def _of_backend(backend: str, state: str) -> Iterator[tuple[Target, bool]]:
    for row in rows(state):
        if row["be_name"] != backend or row["srv_addr"] == _NOWHERE or int(row["srv_admin_state"]) & _MAINTENANCE:
            continue
        yield Target(row["srv_addr"], int(row["srv_port"])), row["srv_op_state"] in _UP


def lead(batch: str) -> None:
    """Have a batch be in force in the namespace that this thread is in, which routes. Raises NftError, OSError."""
    for name, value in (("ip_forward", "1"), ("conf/all/rp_filter", "0"), ("conf/default/rp_filter", "0")):
        Path("/proc/sys/net/ipv4", name).write_text(value)
    with IPRoute() as ip:
        present = {(each.get_attr("FRA_IIFNAME"), each.get_attr("FRA_TABLE")) for each in ip.get_rules()}
        for link in ip.get_links():
            name = link.get_attr("IFLA_IFNAME")
            if not name.startswith("eth"):
                continue
            Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
            table = _INSIDE + int(name.removeprefix("eth"))
            if (name, table) not in present:  # what comes by an interface goes on by it
                with already_there():
                    ip.rule("add", iifname=name, table=table, family=socket.AF_INET)
    apply(batch)


def end(targets: Iterable[Target]) -> None:
    """End the flows to some targets in the namespace that this thread is in."""
    wanted = {(each.address, each.port) for each in targets}
    with NFCTSocket() as table:
        for entry in list(table.dump()):
            reply, original = _tuple(entry, "CTA_TUPLE_REPLY"), _tuple(entry, "CTA_TUPLE_ORIG")
            if reply is None or original is None or (reply.saddr, reply.sport) not in wanted:
                continue
            with contextlib.suppress(OSError):  # it has ended by itself
                table.entry("del", tuple_orig=original)


def _tuple(entry: object, name: str) -> NFCTAttrTuple | None:
    found = entry.get_attr(name)  # type: ignore[attr-defined]
    place, protocol = found.get_attr("CTA_TUPLE_IP"), found.get_attr("CTA_TUPLE_PROTO")
    if protocol.get_attr("CTA_PROTO_NUM") != socket.IPPROTO_UDP or place.get_attr("CTA_IP_V4_SRC") is None:
        return None
    return NFCTAttrTuple(
        saddr=place.get_attr("CTA_IP_V4_SRC"),
        daddr=place.get_attr("CTA_IP_V4_DST"),
        proto=socket.IPPROTO_UDP,
        sport=protocol.get_attr("CTA_PROTO_SRC_PORT"),
        dport=protocol.get_attr("CTA_PROTO_DST_PORT"),
    )
