"""What balancers may send in their clients' names, as the plan says it and as the VPC's table has it."""

from __future__ import annotations

from msgspec.structs import replace

from dryport.elb.dataplane import configuration, haproxy, keeping
from dryport.elb.dataplane.plan import Forward, Kind, Listener, Target, Weighted
from dryport.host.keeping import either
from dryport.host.messages import Group, Keeper, Keeping, Rule, Ruleset
from dryport.host.ruleset import Site, compile_ruleset
from tests.elb.carried import balancer, group

LISTENER = Listener(arn="l", protocol="TCP", port=80, default=Forward(groups=(Weighted(group="g"),)))
HERE, GONE = Target(address="10.0.0.1", port=80), Target(address="10.0.0.2", port=80)
SITE = Site("198.18.0.1", 4566, "198.18.0.2", "10.0.0.2")


def test_only_groups_that_keep_addresses_of_network_balancers() -> None:
    kept = group("g", HERE, protocol="TCP", keep_addresses=True)
    plan = balancer([LISTENER], [kept, group("other", GONE, protocol="TCP")], Kind.NETWORK)
    slots = configuration.assign(plan, {})
    found = keeping.of(plan, slots)
    assert found is not None and (found.tcp, found.udp) == ([("10.0.0.1", 80)], [])
    config = configuration.render(plan, slots)
    assert (
        config.count("usesrc clientip") == 2 and "user haproxy" not in config
    )  # of its backend, and the one without checks
    assert keeping.of(balancer([], []), {}) is None
    both = replace(plan, groups=(replace(kept, protocol="TCP_UDP"),))
    found = keeping.of(both, configuration.assign(both, {}))
    assert found is not None and found.tcp == found.udp == [("10.0.0.1", 80)]


def test_what_is_led_to_until_it_is_told_otherwise_stays() -> None:
    """But not what was taken out of service before, which is in its slot until another is."""
    plan = balancer([LISTENER], [group("g", HERE, protocol="TCP", keep_addresses=True)], Kind.NETWORK)
    name = haproxy.backends(plan)["g"]
    slots = configuration.assign(plan, {})
    found = keeping.of(plan, slots, leading={name: (GONE, replace(HERE, port=81, draining=True))})
    assert found is not None and found.tcp == [("10.0.0.1", 80), ("10.0.0.2", 80)]


def test_one_or_the_other() -> None:
    first = Keeping(vpc_id="v", keepers=[Keeper(interface_id="eni-1", address="10.0.0.8")], tcp=[("10.0.0.1", 1)])
    second = Keeping(vpc_id="v", keepers=[Keeper(interface_id="eni-2", address="10.0.0.9")], udp=[("10.0.0.1", 1)])
    joined = either(first, second)
    assert [each.interface_id for each in joined.keepers] == ["eni-2", "eni-1"]
    assert joined.tcp == joined.udp == [("10.0.0.1", 1)]
    assert either(None, second) == second


def test_a_table_without_network_balancers_has_none_of_it() -> None:
    rule = Rule(protocol="tcp", ports=(80, 80), groups=["sg-1"])
    rules = Ruleset(groups={"sg-1": Group(ingress=[rule])}, members={"10.0.0.1": ["sg-1"], "10.0.0.9": ["sg-1"]})
    plain = compile_ruleset(rules, SITE)
    assert "mark" not in plain.structure and not any("keep" in each for each in plain.elements)
    kept = Keeping(vpc_id="v", keepers=[Keeper(interface_id="eni-2", address="10.0.0.9")], tcp=[("10.0.0.1", 80)])
    table = compile_ruleset(rules, SITE, kept=[kept])
    assert "ct mark 0 ip saddr @members_sg_1 tcp dport 80 accept" in table.structure
    assert "ct mark != 0 iifname @keepers_sg_1 tcp dport 80 accept" in table.structure
    (place,) = table.elements["kept"]
    assert (
        place.endswith(" . 10.0.0.1 . tcp . 80")
        and table.elements["keepers_sg_1"].keys() == table.elements["keepers"].keys()
    )
