"""Random histories of users: whatever they ask for in whatever order, what is stored holds together."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError

from dryport.elb import model, names, plans
from dryport.elb.dataplane import haproxy
from dryport.store import Reader
from tests.served import Served

_SEEDS, _STEPS = 6, 400
_WEIGHTS = {
    "balancer": 2,
    "group": 3,
    "listener": 6,
    "change_of_listener": 3,
    "rule": 6,
    "change_of_rule": 3,
    "priorities": 3,
    "targets": 3,
    "attribute": 2,
    "end": 3,
}


class User:
    """Asks for something at random, of what there is and of what there was."""

    def __init__(self, elb: Any, chance: random.Random, vpcs: list[str], subnets: list[list[str]]) -> None:
        self.elb, self.chance, self.vpcs, self.subnets = elb, chance, vpcs, subnets
        self.balancers: list[str] = []
        self.groups: list[str] = []
        self.listeners: list[str] = []
        self.rules: list[str] = []
        self.refused: Counter[str] = Counter()

    def step(self) -> None:
        """One call, which may be refused, though not by a fault."""
        ask = self.chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if not self.chance.random() < len(self.groups) / 4:
            ask = "group"
        elif len(self.balancers) < 3:
            ask = "balancer"
        try:
            getattr(self, f"ask_{ask}")()
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 501), error
            self.refused[error.response["Error"]["Code"]] += 1

    def some(self, found: list[str], kind: str) -> str:
        gone = f"arn:aws:elasticloadbalancing:us-east-1:000000000000:{kind}/app/gone/0123456789abcdef"
        return self.chance.choice(found) if found and self.chance.random() < 0.97 else gone

    def last(self, found: list[str], kind: str) -> str:
        """One that is to end: mostly it is known no more, sometimes it is asked for again."""
        chosen = self.some(found, kind)
        if chosen in found and self.chance.random() < 0.8:
            found.remove(chosen)
        return chosen

    def actions(self) -> list[dict[str, Any]]:
        kind = self.chance.choice(["forward", "forward", "weighted", "fixed-response"])
        if kind == "fixed-response":
            return [{"Type": kind, "FixedResponseConfig": {"StatusCode": self.chance.choice(["200", "404"])}}]
        if kind == "forward":
            return [{"Type": kind, "TargetGroupArn": self.some(self.groups, "targetgroup")}]
        two = [{"TargetGroupArn": self.some(self.groups, "targetgroup"), "Weight": n} for n in (1, 2)]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": two}}]

    def conditions(self) -> list[dict[str, Any]]:
        return [{"Field": "path-pattern", "Values": [self.chance.choice(["/a*", "/b", "/c", "no path\n"])]}]

    def ask_balancer(self) -> None:
        kind = self.chance.choice(["application", "application", "network"])
        asked = {"Name": f"lb-{self.chance.randrange(6)}", "Type": kind, "Scheme": "internal"}
        made = self.elb.create_load_balancer(**asked, Subnets=self.chance.choice(self.subnets))
        self.balancers.append(made["LoadBalancers"][0]["LoadBalancerArn"])

    def ask_group(self) -> None:
        kind = self.chance.choice([{"Protocol": "HTTP"}, {"Protocol": "HTTP"}, {"Protocol": "TCP"}])
        asked = {"Name": f"tg-{self.chance.randrange(8)}", "Port": 80, "TargetType": "ip", **kind}
        made = self.elb.create_target_group(**asked, VpcId=self.chance.choice(self.vpcs))
        self.groups.append(made["TargetGroups"][0]["TargetGroupArn"])

    def ask_listener(self) -> None:
        protocol, port = self.chance.choice(["HTTP", "HTTP", "HTTP", "TCP"]), self.chance.randrange(80, 84)
        of = self.some(self.balancers, "loadbalancer")
        made = self.elb.create_listener(LoadBalancerArn=of, Protocol=protocol, Port=port, DefaultActions=self.actions())
        self.listeners.append(made["Listeners"][0]["ListenerArn"])

    def ask_change_of_listener(self) -> None:
        more = (
            {"DefaultActions": self.actions()}
            if self.chance.random() < 0.6
            else {"Port": self.chance.randrange(80, 84)}
        )
        self.elb.modify_listener(ListenerArn=self.some(self.listeners, "listener"), **more)

    def ask_rule(self) -> None:
        made = self.elb.create_rule(
            ListenerArn=self.some(self.listeners, "listener"),
            Priority=self.chance.randrange(1, 6),
            Conditions=self.conditions(),
            Actions=self.actions(),
        )
        self.rules.append(made["Rules"][0]["RuleArn"])

    def ask_change_of_rule(self) -> None:
        more = {"Actions": self.actions()} if self.chance.random() < 0.5 else {"Conditions": self.conditions()}
        self.elb.modify_rule(RuleArn=self.some(self.rules, "listener-rule"), **more)

    def ask_priorities(self) -> None:
        asked = [
            {"RuleArn": self.some(self.rules, "listener-rule"), "Priority": self.chance.randrange(1, 6)}
            for _ in range(self.chance.choice([1, 2]))
        ]
        self.elb.set_rule_priorities(RulePriorities=asked)

    def ask_targets(self) -> None:
        targets = [{"Id": f"10.200.0.{self.chance.randrange(4)}", "AvailabilityZone": "all"}]
        call = self.chance.choice([self.elb.register_targets, self.elb.deregister_targets])
        call(TargetGroupArn=self.some(self.groups, "targetgroup"), Targets=targets)

    def ask_attribute(self) -> None:
        key, value = self.chance.choice(
            [("stickiness.enabled", "true"), ("load_balancing.cross_zone.enabled", "false"), ("slow_start.x", "1")]
        )
        self.elb.modify_target_group_attributes(
            TargetGroupArn=self.some(self.groups, "targetgroup"), Attributes=[{"Key": key, "Value": value}]
        )

    def ask_end(self) -> None:
        kind = self.chance.choices(["balancer", "group", "listener", "rule"], [1, 6, 3, 4])[0]
        if kind == "balancer":
            self.elb.delete_load_balancer(LoadBalancerArn=self.last(self.balancers, "loadbalancer"))
        elif kind == "group":
            self.elb.delete_target_group(TargetGroupArn=self.last(self.groups, "targetgroup"))
        elif kind == "listener":
            self.elb.delete_listener(ListenerArn=self.last(self.listeners, "listener"))
        else:
            self.elb.delete_rule(RuleArn=self.last(self.rules, "listener-rule"))


def judge(reader: Reader) -> None:
    """What must hold at every moment."""
    balancers = {each.arn: each for each in reader.all(model.LOAD_BALANCERS) if each.state != model.DELETING}
    groups = {each.arn: each for each in reader.all(model.TARGET_GROUPS)}
    listeners = {each.arn: each for each in reader.all(model.LISTENERS)}
    rules = list(reader.all(model.RULES))
    assert len({each.name for each in balancers.values()}) == len(balancers)
    assert len({each.name for each in groups.values()}) == len(groups)
    assert all(each.load_balancer in balancers for each in listeners.values())
    assert len({(each.load_balancer, each.port) for each in listeners.values()}) == len(listeners)
    assert all(each.listener in listeners for each in rules)
    assert len({(each.listener, each.priority) for each in rules}) == len(rules)
    assert all(each.group in groups for each in reader.all(model.TARGETS))
    users: dict[str, set[str]] = {}
    acting = [(each.load_balancer, each.actions) for each in listeners.values()]
    acting += [(listeners[each.listener].load_balancer, each.actions) for each in rules]
    for balancer, actions in acting:
        for arn in model.forwarded(actions):
            assert groups[arn].vpc_id == balancers[balancer].vpc_id
            users.setdefault(arn, set()).add(balancer)
    assert all(len(each) == 1 for each in users.values())
    assert all(names.listener_of_default_rule(names.default_rule_arn(each)) == each for each in listeners)
    for each in balancers.values():
        wanted = plans.of(reader, each)
        haproxy.render(wanted, dict.fromkeys(haproxy.targets(wanted), ()))


def test_histories_hold_together(served: Served, elb: Any, vpc_id: str, subnets: list[Any], other_vpc: Any) -> None:
    own = [each["SubnetId"] for each in subnets]
    places = [own[:2], own[:2], own[1:3], own[:1], other_vpc[1]]
    reader = served.context.store.reader
    refused: Counter[str] = Counter()
    most = 0  # rules at a time
    for seed in range(_SEEDS):
        user = User(elb, random.Random(seed), [vpc_id, vpc_id, vpc_id, other_vpc[0]], places)
        for number in range(_STEPS):
            user.step()
            try:
                judge(reader)
            except Exception as error:
                raise AssertionError(f"seed {seed}, step {number}") from error
            most = max(most, sum(1 for _ in reader.all(model.RULES)))
        refused += user.refused
        for balancer in elb.describe_load_balancers()["LoadBalancers"]:
            elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
        for group in elb.describe_target_groups()["TargetGroups"]:
            elb.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
        judge(reader)
        assert elb.describe_target_groups()["TargetGroups"] == elb.describe_load_balancers()["LoadBalancers"] == []
    assert most > 2, "histories of nothing"
    expected = {"TargetGroupAssociationLimit", "ResourceInUse", "PriorityInUse", "DuplicateListener"}
    assert expected <= refused.keys(), refused
