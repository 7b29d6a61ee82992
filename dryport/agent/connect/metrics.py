"""What a proxy has counted of its task's endpoints, from HAProxy's statistics. Pure.

Sources: HAProxy's management guide, section 9.1; "Amazon ECS CloudWatch metrics", developer guide, for the metrics;
``GeneralMetricsWrapper`` in ``ecs-agent/tcs/model`` for the shape that AWS's agent tells them in.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any

import msgspec

from dryport.agent.connect.ways import Ingress, Ways

_RESPONSES = ("2XX", "3XX", "4XX", "5XX")
Json = dict[str, Any]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's numbers; all but ``active`` and ``response_time`` (milliseconds, of late) only grow."""

    active: int = 0
    connections: int = 0
    received: int = 0
    requests: int = 0
    target_bytes: int = 0
    response_time: int = 0
    responses: dict[str, int] = {}


def parse(text: str, ways: Ways) -> dict[str, Counts]:
    """The numbers of each ingress by its name, from the answer to ``show stat``."""
    rows = {(row["pxname"], row["svname"]): row for row in csv.DictReader(text.lstrip("# \n").splitlines())}
    found = {}
    for number, way in enumerate(ways.ingress):
        front, app = rows.get((f"ingress-{number}", "FRONTEND")), rows.get((f"i{number}", "app"))
        if front is not None and app is not None:
            found[way.name] = Counts(
                active=_number(front, "scur"),
                connections=_number(front, "conn_tot"),
                received=_number(front, "bin"),
                requests=_number(front, "req_tot"),
                target_bytes=_number(app, "bin") + _number(app, "bout"),
                response_time=_number(app, "rtime"),
                responses={each: _number(app, f"hrsp_{each.lower()}") for each in _RESPONSES},
            )
    return found


def _number(row: dict[str, str], name: str) -> int:
    return int(row.get(name) or 0)


def wrappers(ways: Ways, before: dict[str, Counts], now: dict[str, Counts]) -> list[Json]:
    """What came between two looks, as it is told; nothing of what was not looked at before."""
    found = []
    for way in ways.ingress:
        if way.name in before and way.name in now:
            ours, targets = _metrics(way, before[way.name], now[way.name])
            found.append(_wrapper("DiscoveryName", way.discovery, ours))
            found.append(_wrapper("TargetDiscoveryName", way.discovery, targets))
    return found


def _metrics(way: Ingress, before: Counts, now: Counts) -> tuple[list[Json], list[Json]]:
    ours = {
        "ActiveConnectionCount": now.active,
        "NewConnectionCount": _grown(before.connections, now.connections),
        "ProcessedBytes": _grown(before.received, now.received),
    }
    targets = {"TargetProcessedBytes": _grown(before.target_bytes, now.target_bytes)}
    slow = []
    if way.protocol != "tcp":
        requests = _grown(before.requests, now.requests)
        ours["GrpcRequestCount" if way.protocol == "grpc" else "RequestCount"] = requests
        targets["RequestCountPerTarget"] = requests
        answers = {each: _grown(before.responses.get(each, 0), now.responses.get(each, 0)) for each in _RESPONSES}
        targets |= {f"HTTPCode_Target_{each}_Count": count for each, count in answers.items()}
        if sum(answers.values()):
            slow = [_metric("TargetResponseTime", now.response_time, sum(answers.values()))]
    return [_metric(*each) for each in ours.items()], [*(_metric(*each) for each in targets.items()), *slow]


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now  # the proxy was reloaded, and began anew


def _metric(name: str, value: int, count: int = 1) -> Json:
    return {"metricName": name, "metricValues": [value], "metricCounts": [count]}


def _wrapper(dimension: str, value: str, metrics: Iterable[Json]) -> Json:
    return {"dimensions": [{"key": dimension, "value": value}], "generalMetrics": list(metrics)}
