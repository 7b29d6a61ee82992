"""Load balancers' metrics as CloudWatch has them, of what HAProxy counts and what health checks found. Pure.

Sources: "CloudWatch metrics for your Application Load Balancer", user guide for application load balancers; the same of
network and of classic load balancers. Where AWS has them only if they are not zero, so does this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dryport.cloudwatch.published import Handed, sample
from dryport.elb.dataplane.counters import Counts
from dryport.elb.dataplane.rules import token

APPLICATION, NETWORK, CLASSIC = "AWS/ApplicationELB", "AWS/NetworkELB", "AWS/ELB"
_HEALTH = {"healthy": "HealthyHostCount", "unhealthy": "UnHealthyHostCount"}
_COUNT, _BYTES = "Count", "Bytes"


def of_application(
    arn: str, counts: Counts, is_open: int, groups: Mapping[str, Iterable[str]], at: float
) -> Iterator[Handed]:
    """A minute of an application load balancer's; ``groups`` are its target groups' ARNs with their targets' states."""
    balancer = [("LoadBalancer", _name(arn))]
    tokens = {token(each): each for each in groups}
    chosen = sum(counts.get((each, "stot"), 0) for each in tokens)
    yield sample("RequestCount", balancer, at, float(chosen), _COUNT)
    totals = {
        ("ActiveConnectionCount", _COUNT): is_open,
        ("NewConnectionCount", _COUNT): counts.get(("", "conn_tot"), 0),
        ("ProcessedBytes", _BYTES): counts.get(("", "bytes"), 0),
        ("TargetConnectionErrorCount", _COUNT): sum(counts.get((each, "econ"), 0) for each in tokens),
    }
    for digit in "345":  # what no target has answered, the balancer has
        theirs = sum(counts.get((each, f"hrsp_{digit}xx"), 0) for each in tokens)
        totals[f"HTTPCode_ELB_{digit}XX_Count", _COUNT] = max(0, counts.get(("", f"hrsp_{digit}xx"), 0) - theirs)
    for digit in "2345":
        theirs = sum(counts.get((each, f"hrsp_{digit}xx"), 0) for each in tokens)
        totals[f"HTTPCode_Target_{digit}XX_Count", _COUNT] = theirs
    for (name, unit), value in totals.items():
        if value:
            yield sample(name, balancer, at, float(value), unit)
    for short, group_arn in tokens.items():
        states = list(groups[group_arn])
        yield from _of_group(counts, short, group_arn, balancer, states, at)
        yield from _health(group_arn, balancer, states, at)


def _of_group(
    counts: Counts, short: str, group_arn: str, balancer: list[tuple[str, str]], states: list[str], at: float
) -> Iterator[Handed]:
    group = [("TargetGroup", _name(group_arn))]
    requests = counts.get((short, "stot"), 0)
    yield sample("RequestCount", [*group, *balancer], at, float(requests), _COUNT)
    healthy = states.count("healthy")
    if healthy:
        for dimensions in (group, [*group, *balancer]):
            yield sample("RequestCountPerTarget", dimensions, at, requests / healthy, _COUNT)
    errors = counts.get((short, "econ"), 0)
    if errors:
        yield sample("TargetConnectionErrorCount", [*group, *balancer], at, float(errors), _COUNT)
    for digit in "2345":
        value = counts.get((short, f"hrsp_{digit}xx"), 0)
        if value:
            yield sample(f"HTTPCode_Target_{digit}XX_Count", [*group, *balancer], at, float(value), _COUNT)


def of_network(
    arn: str, counts: Counts, is_open: int, groups: Mapping[str, Iterable[str]], at: float
) -> Iterator[Handed]:
    """A minute of a network load balancer's."""
    balancer = [("LoadBalancer", _name(arn))]
    yield sample("ActiveFlowCount", balancer, at, float(is_open), _COUNT)
    yield sample("NewFlowCount", balancer, at, float(counts.get(("", "stot"), 0)), _COUNT)
    yield sample("ProcessedBytes", balancer, at, float(counts.get(("", "bytes"), 0)), _BYTES)
    for group_arn, states in groups.items():
        yield from _health(group_arn, balancer, list(states), at)


def of_classic(
    name: str, counts: Counts, is_open: int, groups: Mapping[str, Iterable[str]], at: float
) -> Iterator[Handed]:
    """A minute of a classic load balancer's, by its name; ``groups`` has its instances' states under any key."""
    balancer = [("LoadBalancerName", name)]

    def of_all(counter: str) -> int:
        return sum(value for (token, each), value in counts.items() if token and each == counter)

    totals = {"RequestCount": of_all("stot"), "BackendConnectionErrors": of_all("econ")}
    for digit in "2345":
        totals[f"HTTPCode_Backend_{digit}XX"] = of_all(f"hrsp_{digit}xx")
    for digit in "45":
        code = f"hrsp_{digit}xx"
        totals[f"HTTPCode_ELB_{digit}XX"] = max(0, counts.get(("", code), 0) - of_all(code))
    for metric, value in totals.items():
        if value:
            yield sample(metric, balancer, at, float(value), _COUNT)
    states = [state for each in groups.values() for state in each]
    if states:
        for state, metric in _HEALTH.items():
            yield sample(metric, balancer, at, float(states.count(state)), _COUNT)


def _health(group_arn: str, balancer: list[tuple[str, str]], states: list[str], at: float) -> Iterator[Handed]:
    if states:
        for state, name in _HEALTH.items():
            dimensions = [("TargetGroup", _name(group_arn)), *balancer]
            yield sample(name, dimensions, at, float(states.count(state)), _COUNT)


def _name(arn: str) -> str:
    """``app/<name>/<id>``, ``targetgroup/<name>/<id>``: the dimensions' values."""
    return arn.rpartition(":")[2].removeprefix("loadbalancer/")
