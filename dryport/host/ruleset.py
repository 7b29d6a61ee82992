"""A VPC's ``Ruleset`` as nftables text: the table whole, or the elements that differ. Pure.

A packet's way through the table: established connections pass; otherwise the sender's egress rules are asked (a
verdict map from its address to the chain of its groups), then, by ``goto``, the receiver's ingress rules. Each packet
meets only the rules of the groups concerned, however many there are in the VPC.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from dryport.host.messages import Group, Rule, Ruleset

TABLE = "dryport"
UPLINK = "uplink"
ENDPOINT = "169.254.171.1"
HTTPS = 443
RESOLVER = "169.254.169.253"  # the same in every VPC, beside the one at the VPC's base plus two

METADATA = "169.254.169.254"  # the instance metadata service

# The sets and maps that every table has.
_FIXED = ("ingress", "egress", "callers", "hosts", "public", "public_of", "private_of", "internet", "nat")

Elements = dict[str, dict[str, str]]  # of each set or map: element to its value ("" in a set)


class Site(NamedTuple):
    """What a VPC's table needs to know of the machine: addresses of the uplink's ends, the resolvers, a TCP port."""

    platform_address: str
    platform_port: int
    uplink_address: str
    resolver: str


class Compiled(NamedTuple):
    """``structure`` is the table with empty sets; ``elements`` what is in them."""

    structure: str
    elements: Elements


def compile_ruleset(ruleset: Ruleset, site: Site, hosts: Iterable[str] = ()) -> Compiled:
    """The table for a VPC. ``hosts`` are the addresses that the metadata service answers, whatever their groups say."""
    used = sorted({group for groups in ruleset.members.values() for group in groups})
    referenced = sorted(
        {peer for group in used for rule in _all_rules(ruleset.groups.get(group, Group())) for peer in rule.groups}
    )
    combinations = sorted({tuple(sorted(groups)) for groups in ruleset.members.values()})
    chains = [
        *(_group_chain(group, ruleset, ingress=True) for group in used),
        *(_group_chain(group, ruleset, ingress=False) for group in used),
        *(_combination_chain(index, groups) for index, groups in enumerate(combinations) if len(groups) > 1),
    ]
    elements: Elements = {f"members_{_name(group)}": {} for group in referenced}
    elements |= {name: {} for name in _FIXED}
    elements["hosts"] = dict.fromkeys(hosts, "")
    calling = {group for group in used if _reaches_endpoint(ruleset.groups.get(group, Group()), site.platform_port)}
    for address, groups in ruleset.members.items():
        if not calling.isdisjoint(groups):
            elements["callers"][address] = ""
        for group in groups:
            if group in referenced:
                elements[f"members_{_name(group)}"][address] = ""
        key = tuple(sorted(groups))
        for direction in ("ingress", "egress"):
            elements[direction][address] = f"jump {_chain(direction, key, combinations)}"
    for private, public in ruleset.public.items():
        elements["public"][private] = ""
        elements["public_of"][private] = public
        elements["private_of"][public] = private
    for subnet, destination in ruleset.internet:
        elements["internet"][f"{subnet} . {destination}"] = ""
    for subnet, destination, gateway in ruleset.nat:
        if gateway in ruleset.public:
            elements["nat"][f"{subnet} . {destination}"] = ruleset.public[gateway]
    sets = "".join(f"  set members_{_name(group)} {{ type ipv4_addr; }}\n" for group in referenced)
    return Compiled(_STRUCTURE.format(sets=sets, chains="".join(chains), **_site(site)), elements)


def _reaches_endpoint(group: Group, port: int) -> bool:
    """Whether a group's egress rules allow the platform's endpoint: they name HTTPS, as for AWS's, or its real port."""
    return any(
        rule.protocol in ("all", "tcp")
        and (rule.ports is None or any(rule.ports[0] <= each <= rule.ports[1] for each in (HTTPS, port)))
        and any(IPv4Address(ENDPOINT) in IPv4Network(network) for network in rule.networks)
        for rule in group.egress
    )


def hosts_known(hosts: Iterable[str]) -> str:
    """The batch that has the metadata service answer these addresses, whatever else the table says."""
    flush = f"flush set inet {TABLE} hosts"
    listed = dict.fromkeys(hosts, "")
    return f"{flush}\n{_command('add', 'hosts', listed)}" if listed else flush


def replacement(new: Compiled) -> str:
    """The batch that puts a table in the place of whatever was there."""
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", new.structure]
    lines += [_command("add", name, entries) for name, entries in new.elements.items() if entries]
    return "\n".join(lines)


def difference(old: Compiled, new: Compiled) -> str:
    """The batch from one table to another; "" where they are equal."""
    if old.structure != new.structure:
        return replacement(new)
    lines: list[str] = []
    for name, wanted in new.elements.items():
        had = old.elements[name]
        gone = {key: value for key, value in had.items() if wanted.get(key) != value}
        come = {key: value for key, value in wanted.items() if had.get(key) != value}
        lines += [_command("delete", name, gone)] if gone else []
        lines += [_command("add", name, come)] if come else []
    return "\n".join(lines)


def _command(verb: str, name: str, entries: dict[str, str]) -> str:
    listed = ", ".join(f"{key} : {value}" if value else key for key, value in entries.items())
    return f"{verb} element inet {TABLE} {name} {{ {listed} }}"


def _name(group: str) -> str:
    return group.replace("-", "_")


def _all_rules(group: Group) -> list[Rule]:
    return [*group.ingress, *group.egress]


def _chain(direction: str, groups: tuple[str, ...], combinations: list[tuple[str, ...]]) -> str:
    if len(groups) == 1:
        return f"{direction}_{_name(groups[0])}"
    return f"{direction}_combination_{combinations.index(groups)}" if groups else f"{direction}_nothing"


def _group_chain(group: str, ruleset: Ruleset, *, ingress: bool) -> str:
    rules = ruleset.groups.get(group, Group())
    direction, peer, verdict = ("ingress", "saddr", "accept") if ingress else ("egress", "daddr", "goto arrive")
    lines = []
    for rule in rules.ingress if ingress else rules.egress:
        lines += [f"    ip {peer} {source} {_traffic(rule)}{verdict}" for source in _peers(rule)]
    return f"  chain {direction}_{_name(group)} {{\n" + "".join(f"{line}\n" for line in lines) + "  }\n"


def _combination_chain(index: int, groups: tuple[str, ...]) -> str:
    text = ""
    for direction in ("ingress", "egress"):
        jumps = "".join(f"    jump {direction}_{_name(group)}\n" for group in groups)
        text += f"  chain {direction}_combination_{index} {{\n{jumps}  }}\n"
    return text


def _peers(rule: Rule) -> list[str]:
    networks = ["{ " + ", ".join(rule.networks) + " }"] if rule.networks else []
    if "0.0.0.0/0" in rule.networks:
        networks = ["0.0.0.0/0"]
    return [*networks, *(f"@members_{_name(group)}" for group in rule.groups)]


def _traffic(rule: Rule) -> str:
    """The match on protocol and ports, with a space after it."""
    if rule.protocol == "all":
        return ""
    if rule.protocol == "icmp":
        kind, code = rule.ports or (-1, -1)
        if kind == -1:
            return "ip protocol icmp "
        return f"icmp type {kind} " + (f"icmp code {code} " if code != -1 else "")
    if rule.protocol in ("tcp", "udp") and rule.ports is not None:
        first, last = rule.ports
        return f"{rule.protocol} dport {first}-{last} " if first != last else f"{rule.protocol} dport {first} "
    return f"meta l4proto {rule.protocol} "


def _site(site: Site) -> dict[str, str]:
    return {
        "table": TABLE,
        "uplink": UPLINK,
        "endpoint": ENDPOINT,
        "platform": site.platform_address,
        "port": str(site.platform_port),
        "own": site.uplink_address,
        "metadata": METADATA,
        "resolvers": f"{{ {site.resolver}, {RESOLVER} }}",
    }


_STRUCTURE = """\
table inet {table} {{
{sets}\
  map ingress {{ type ipv4_addr : verdict; }}
  map egress {{ type ipv4_addr : verdict; }}
  set callers {{ type ipv4_addr; }}
  set hosts {{ type ipv4_addr; }}
  set public {{ type ipv4_addr; }}
  map public_of {{ type ipv4_addr : ipv4_addr; }}
  map private_of {{ type ipv4_addr : ipv4_addr; }}
  set internet {{ type ipv4_addr . ipv4_addr; flags interval; }}
  map nat {{ type ipv4_addr . ipv4_addr : ipv4_addr; flags interval; }}
  chain ingress_nothing {{ }}
  chain egress_nothing {{ }}
  chain arrive {{
    oifname "{uplink}" goto leave
    ip daddr vmap @ingress
    drop
  }}
  chain leave {{
    ip saddr @public ip saddr . ip daddr @internet accept
    ip saddr . ip daddr @nat accept
    drop
  }}
{chains}\
  chain from_outside {{
    ip daddr . ip saddr @internet goto arrive
    drop
  }}
  chain forwarded {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    oifname "{uplink}" ip daddr {platform} tcp dport {port} ip saddr @callers accept
    ip daddr {platform} drop
    iifname "{uplink}" goto from_outside
    ip saddr vmap @egress
  }}
  chain incoming {{
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    iifname != "{uplink}" ip daddr {resolvers} meta l4proto {{ tcp, udp }} th dport 53 accept
    iifname != "{uplink}" ip daddr {metadata} tcp dport 80 ip saddr @hosts accept
  }}
  chain before_routing {{
    type nat hook prerouting priority dstnat;
    iifname "{uplink}" dnat ip to ip daddr map @private_of
    iifname != "{uplink}" ip daddr {endpoint} tcp dport {port} dnat ip to {platform}
  }}
  chain after_routing {{
    type nat hook postrouting priority srcnat;
    oifname "{uplink}" ip daddr {platform} snat ip to {own}
    oifname "{uplink}" snat ip to ip saddr map @public_of
    oifname "{uplink}" snat ip to ip saddr . ip daddr map @nat
  }}
}}
"""
