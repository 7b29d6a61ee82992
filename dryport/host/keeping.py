"""Clients' addresses that balancers keep: who may send in whose name, and where the answers go.

A network load balancer's targets see its clients as the senders. In a VPC, whose strict reverse-path filter holds every
interface to its own address, that is an exception for the balancer's interfaces, to its targets' ports alone:
connections that one of them begins so are marked by its address (conntrack), and what is answered to the client is led
back to it by that mark, wherever the client is. The filter looks for the way back by the mark too (``src_valid_mark``),
so that it lets pass what is marked and nothing else. (The loose one would not: it takes an interface without addresses,
as these are, for one that nothing comes from.) Source: nft(8), ip-rule(8), Linux's ip-sysctl, fib_frontend.c.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

from pyroute2 import IPRoute, NetlinkError

from dryport.host.link_names import far_name
from dryport.host.messages import Keeper, Keeping
from dryport.host.worker import already_there

_STAYS, _BACK = 20_000, 20_001  # priorities of the routing rules, of what is sent on and of what goes back
_MAIN = 254  # the routing table

# Chains and sets; the table is the VPC's (``ruleset``).
SETS = """\
  set keepers { type ifname; }
  set keepers_own { type ifname . ipv4_addr; }
  set keepers_marked { type ifname . mark; }
  map keepers_mark { type ifname : mark; }
  map keepers_egress { type ifname : verdict; }
  set kept { type ifname . ipv4_addr . inet_proto . inet_service; }
  chain own_name {
    ct mark 0 accept
    ct direction original drop
    meta mark set ct mark
  }
  chain client_name {
    iifname . ct mark @keepers_marked ct direction original meta mark set ct mark accept
    ct state new ct mark 0 iifname . ip daddr . meta l4proto . th dport @kept \
ct mark set iifname map @keepers_mark meta mark set ct mark accept
    drop
  }
  chain keep {
    type filter hook prerouting priority mangle; policy accept;
    iifname . ip saddr @keepers_own goto own_name
    iifname @keepers goto client_name
    goto own_name
  }
"""
# In ``forwarded``: the balancer's groups stand for the sender's, and no other network is reached so.
FORWARDED = """\
    ct mark != 0 oifname "{uplink}" drop
    ct mark != 0 iifname vmap @keepers_egress
    ct mark != 0 drop
"""


class Rules(NamedTuple):
    """The part of a VPC's table; nothing where no balancer keeps addresses. ``elements`` as in ``ruleset``."""

    sets: str
    forwarded: str
    elements: dict[str, dict[str, str]]


def compile_rules(
    keeping: Iterable[Keeping],
    members: Mapping[str, Sequence[str]],
    referenced: Iterable[str],
    *,
    uplink: str,
    egress: Callable[[tuple[str, ...]], str],
    keepers_of: Callable[[str], str],
) -> Rules:
    """The rules for balancers. Pure. ``members`` are interfaces' groups by address, ``referenced`` the groups that
    rules name; ``egress`` names the chain of a set of groups, ``keepers_of`` the set of the balancers in a group."""
    told = list(keeping)
    if not told:
        return Rules("", "", {})
    names = {group: keepers_of(group) for group in referenced}
    elements: dict[str, dict[str, str]] = {each: {} for each in names.values()}
    elements |= {name: {} for name in ("keepers", "keepers_own", "keepers_marked", "keepers_mark", "keepers_egress")}
    elements["kept"] = {}
    for one in told:
        for keeper in one.keepers:
            name = f'"{far_name(keeper.interface_id)}"'
            groups = tuple(sorted(members.get(keeper.address, ())))
            elements["keepers"][name] = ""
            elements["keepers_own"][f"{name} . {keeper.address}"] = ""
            elements["keepers_marked"][f"{name} . {mark(keeper):#x}"] = ""
            elements["keepers_mark"][name] = f"{mark(keeper):#x}"
            if keeper.address in members:
                elements["keepers_egress"][name] = f"jump {egress(groups)}"
            for group in groups:
                if group in names:
                    elements[names[group]][name] = ""
            for protocol, targets in (("tcp", one.tcp), ("udp", one.udp)):
                for address, port in targets:
                    elements["kept"][f"{name} . {address} . {protocol} . {port}"] = ""
    sets = "".join(f"  set {each} {{ type ifname; }}\n" for each in names.values())
    return Rules(sets + SETS, FORWARDED.format(uplink=uplink), elements)


def either(one: Keeping | None, other: Keeping) -> Keeping:
    """What one or the other lets a balancer send."""
    if one is None or one.vpc_id != other.vpc_id:
        return other
    keepers = [*other.keepers, *(each for each in one.keepers if each not in other.keepers)]
    tcp, udp = sorted({*one.tcp, *other.tcp}), sorted({*one.udp, *other.udp})
    return Keeping(vpc_id=other.vpc_id, keepers=keepers, tcp=tcp, udp=udp)


def mark(keeper: Keeper) -> int:
    """What marks an interface's connections, and numbers its routing table: its address, which no other of the VPC
    has, and which another driver finds again."""
    return int(IPv4Address(keeper.address))


def lead_back(ip: IPRoute, keepers: Iterable[Keeper]) -> None:
    """In a VPC's namespace, have what is marked go to these balancers' interfaces, and no others.

    One that is not plugged in yet is left out: its plugging has this done again. Raises NetlinkError, OSError.
    """
    told = list(keepers)
    if told:  # an error about what a balancer sent goes back to it, not to its client
        Path("/proc/sys/net/ipv4/fwmark_reflect").write_text("1")
    wanted = {made for each in told for made in (_Rule.staying(each), _Rule.back(each))}
    present = set(_present(ip))
    for each in present - wanted:
        with contextlib.suppress(NetlinkError):
            ip.rule("del", **each.words())
    for each in wanted - present:
        with already_there():
            ip.rule("add", **each.words())
    for keeper in told:
        name = far_name(keeper.interface_id)
        try:
            index = socket.if_nametoindex(name)
            Path(f"/proc/sys/net/ipv4/conf/{name}/src_valid_mark").write_text("1")
        except OSError:
            continue
        ip.route("replace", table=mark(keeper), dst="0.0.0.0/0", gateway=keeper.address, oif=index, flags=["onlink"])


class _Rule(NamedTuple):
    """A routing rule about a mark; ``name`` is the interface that a packet comes from, "" any."""

    priority: int
    mark: int
    table: int
    name: str = ""

    @classmethod
    def staying(cls, keeper: Keeper) -> _Rule:
        """What comes from the balancer is marked too, and goes where everything goes."""
        return cls(_STAYS, mark(keeper), _MAIN, far_name(keeper.interface_id))

    @classmethod
    def back(cls, keeper: Keeper) -> _Rule:
        """What else is marked goes to the balancer."""
        return cls(_BACK, mark(keeper), mark(keeper))

    def words(self) -> dict[str, Any]:
        """As pyroute2 has it."""
        name = {"iifname": self.name} if self.name else {}
        return {"priority": self.priority, "fwmark": self.mark, "table": self.table, "family": socket.AF_INET, **name}


def _present(ip: IPRoute) -> Iterator[_Rule]:
    for each in ip.get_rules(family=socket.AF_INET):
        if (priority := each.get_attr("FRA_PRIORITY")) in (_STAYS, _BACK):
            name = each.get_attr("FRA_IIFNAME") or ""
            yield _Rule(priority, each.get_attr("FRA_FWMARK"), each.get_attr("FRA_TABLE"), name)
