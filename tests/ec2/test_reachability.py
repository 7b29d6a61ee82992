"""Which groups let whom reach what, and that it agrees with the rules that bind packets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dryport.ec2 import firewall
from dryport.ec2.model import SecurityGroupRule
from dryport.ec2.reachability import End, reaches
from dryport.host.messages import Group

GROUPS = ("sg-a", "sg-b", "sg-c")
ADDRESSES = ("10.0.0.5", "10.0.1.5", "172.31.9.1")
LISTS = {"pl-1": ["10.0.1.0/24", "2001:db8::/32"]}

peers: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(("10.0.0.0/24", "10.0.0.0/16", "0.0.0.0/0", "10.0.0.5/32")).map(lambda c: {"cidr_ipv4": c}),
    st.just({"cidr_ipv6": "::/0"}),
    st.just({"prefix_list_id": "pl-1"}),
    st.sampled_from(GROUPS).map(lambda g: {"referenced_group_id": g}),
)
traffic = st.sampled_from(
    [("-1", -1, -1), ("tcp", 2049, 2049), ("tcp", 0, 65535), ("tcp", 80, 90), ("udp", 2049, 2049), ("icmp", -1, -1)]
)


@st.composite
def rules(draw: st.DrawFn) -> SecurityGroupRule:
    protocol, first, last = draw(traffic)
    return SecurityGroupRule(
        id="sgr-1",
        account="1",
        region="r",
        group_id=draw(st.sampled_from(GROUPS)),
        is_egress=draw(st.booleans()),
        protocol=protocol,
        from_port=first,
        to_port=last,
        **draw(peers),
    )


ends = st.builds(End, st.sampled_from(ADDRESSES), st.frozensets(st.sampled_from(GROUPS), min_size=1))


def _lets_through(groups: dict[str, Group], here: End, peer: End, egress: bool) -> bool:
    """By the rules as the firewall compiles them."""
    for group_id in here.group_ids:
        for rule in groups[group_id].egress if egress else groups[group_id].ingress:
            carries = rule.protocol in ("all", "tcp") and (rule.ports is None or rule.ports[0] <= 2049 <= rule.ports[1])
            known = any(IPv4Address(peer.address) in IPv4Network(network) for network in rule.networks)
            if carries and (known or peer.group_ids & set(rule.groups)):
                return True
    return False


@given(st.lists(rules(), max_size=8), ends, ends)
def test_mounts_are_let_through_as_packets_are(made: list[SecurityGroupRule], source: End, target: End) -> None:
    by_group = {group: [rule for rule in made if rule.group_id == group] for group in GROUPS}
    compiled = firewall.compile_rules(by_group, [], [], prefix_lists=LISTS).groups
    expected = _lets_through(compiled, source, target, True) and _lets_through(compiled, target, source, False)
    assert reaches(by_group, source, target, "tcp", 2049, LISTS) == expected
