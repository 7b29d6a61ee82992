"""Whatever conditions and actions the API takes, HAProxy loads the configuration that is made of them."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dryport.aws.errors import ServiceError
from dryport.elb import actions, conditions, plans
from dryport.elb.actions import Where
from dryport.elb.dataplane import haproxy, plan
from dryport.elb.dataplane.rules import WEIGHTS
from dryport.elb.model import Json

_VISIBLE = "".join(map(chr, range(32, 127)))
_ANY = _VISIBLE + "\t\n\0é日"
_GROUPS = [f"arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/g/{n:016x}" for n in range(3)]
_WHERE = Where("application", "HTTP", 80)
_RULES = 300


def text(chance: random.Random, longest: int = 128) -> str:
    """Mostly what may be, sometimes anything."""
    alphabet = chance.choice([_VISIBLE, _VISIBLE, "abc.*?-", "GET-_X", "/a*?$%&'\"\\ #{}", _ANY])
    return "".join(chance.choice(alphabet) for _ in range(chance.choice([1, 2, 5, 20, longest])))


def condition(chance: random.Random) -> Json:
    field, config = chance.choice(
        [
            ("host-header", "HostHeaderConfig"),
            ("path-pattern", "PathPatternConfig"),
            ("http-header", "HttpHeaderConfig"),
            ("http-request-method", "HttpRequestMethodConfig"),
            ("query-string", "QueryStringConfig"),
            ("source-ip", "SourceIpConfig"),
        ]
    )
    values: list[Any] = [text(chance, 40) for _ in range(chance.choice([1, 1, 3]))]
    if field == "query-string":
        values = [{"Key": text(chance), "Value": each} if chance.random() < 0.7 else {"Value": each} for each in values]
    if field == "source-ip":
        values = [chance.choice(["10.0.0.0/8", "10.1.2.3/9", "2001:db8::/32", "0.0.0.0/0"]) for _ in values]
    more = {"HttpHeaderName": chance.choice(["X-A", "x_b.c", text(chance, 40)])} if field == "http-header" else {}
    return {"Field": field, config: {**more, "Values": values}}


def action(chance: random.Random) -> Json:
    kind = chance.choice(["forward", "redirect", "fixed-response"])
    if kind == "forward":
        chosen = chance.sample(_GROUPS, chance.randint(1, 3))
        tie = chance.choice([{"Enabled": False}, {"Enabled": True, "DurationSeconds": chance.randint(0, 700_000)}])
        weighted = [{"TargetGroupArn": each, "Weight": chance.choice([0, 1, 999, 1000])} for each in chosen]
        return {"Type": kind, "ForwardConfig": {"TargetGroups": weighted, "TargetGroupStickinessConfig": tie}}
    if kind == "redirect":
        parts = {
            "Protocol": chance.choice(["HTTP", "HTTPS", "#{protocol}"]),
            "Port": chance.choice(["443", "#{port}", "0"]),
            "Host": chance.choice(["#{host}", "a.#{host}", "example.com", text(chance)]),
            "Path": chance.choice(["/#{path}", "/x/#{host}/#{port}", "/" + text(chance, 100)]),
            "Query": chance.choice(["#{query}", "", "a=#{host}&#{query}", text(chance, 100)]),
        }
        given = {name: value for name, value in parts.items() if chance.random() < 0.6}
        return {"Type": kind, "RedirectConfig": {**given, "StatusCode": chance.choice(["HTTP_301", "HTTP_302"])}}
    fixed = {"StatusCode": str(chance.choice([200, 204, 299, 400, 404, 499, 500, 503, 599]))}
    if chance.random() < 0.7:
        fixed |= {"MessageBody": text(chance, 1024), "ContentType": "application/json"}
    return {"Type": kind, "FixedResponseConfig": fixed}


def accepted(chance: random.Random, priority: int) -> plan.Rule | None:
    """A rule that the API takes and the data plane carries, by chance."""
    try:
        stored = conditions.checked([condition(chance) for _ in range(chance.choice([1, 1, 2]))])
        acts = actions.checked([action(chance)], _WHERE)
        made = plan.Rule(
            priority=priority,
            conditions=tuple(plans.condition(each) for each in stored),
            action=plans.action(acts),
        )
        rendered(made)
    except (ServiceError, plan.NotCarried, ValueError):  # as the API refuses them
        return None
    return made


def rendered(*rules: plan.Rule) -> str:
    listener = plan.Listener(
        arn="l", protocol="HTTP", port=80, default=plan.FixedResponse(status=404), rules=tuple(rules)
    )
    check = plan.HealthCheck()
    balancer = plan.Balancer(
        arn="b",
        name="b",
        kind=plan.Kind.APPLICATION,
        scheme=plan.Scheme.INTERNAL,
        vpc_id="vpc-1",
        interfaces=(plan.Interface(zone="us-east-1a", address="127.0.0.1"),),
        listeners=(listener,),
        groups=tuple(plan.TargetGroup(arn=each, protocol="HTTP", health_check=check) for each in _GROUPS),
    )
    return haproxy.render(balancer, dict.fromkeys(haproxy.targets(balancer), ()))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_accepted_is_loaded(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    rules: list[plan.Rule] = []
    while len(rules) < _RULES:
        made = accepted(chance, len(rules) + 1)
        rules += [made] if made is not None else []
    assert len({type(rule.action) for rule in rules}) == 3
    assert len({type(each) for rule in rules for each in rule.conditions}) == 6
    config = tmp_path / "haproxy.cfg"
    config.write_text(rendered(*rules))
    (tmp_path / WEIGHTS).touch()
    done = subprocess.run(["haproxy", "-c", "-f", config], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_order_of_target_groups_makes_no_other_configuration() -> None:
    """Deployments name the other group first at each shift: nothing that HAProxy would have to be reloaded for."""
    weighted: list[Json] = [{"TargetGroupArn": each, "Weight": 1} for each in _GROUPS]
    one, other = (
        plans.action([{"Type": "forward", "ForwardConfig": {"TargetGroups": listed}}])
        for listed in (weighted, weighted[::-1])
    )
    assert one == other
