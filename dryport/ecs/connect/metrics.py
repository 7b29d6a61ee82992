"""Service Connect's metrics in CloudWatch's ``AWS/ECS``, of what the agents have counted at the proxies. Pure.

A data point of a minute is a statistic set with a value a task, but of TargetResponseTime, which has one an answer.
Each metric is told of a discovery name, and of that in its service. Source: "Amazon ECS CloudWatch metrics", developer
guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dryport.cloudwatch.published import Handed
from dryport.ecs.model import Task

_UNITS = {
    "ActiveConnectionCount": "Count",
    "NewConnectionCount": "Count",
    "ProcessedBytes": "Bytes",
    "RequestCount": "Count",
    "GrpcRequestCount": "Count",
    "TargetProcessedBytes": "Bytes",
    "RequestCountPerTarget": "Count",
    **{f"HTTPCode_Target_{each}XX_Count": "Count" for each in "2345"},
    "TargetResponseTime": "Milliseconds",
}
_GAUGE, _TIME = "ActiveConnectionCount", "TargetResponseTime"
_DIMENSIONS = ("DiscoveryName", "TargetDiscoveryName")
Key = tuple[str, str, str]  # a dimension and its value, a metric
Value = tuple[float, float]  # and how many there were of it
Counted = dict[Key, list[Value]]


def counted(wrappers: Iterable[Mapping[str, Any]]) -> Counted:
    """What an agent tells of a task's proxy (``serviceConnectMetricsWrapper``), as far as it can be read."""
    found: Counted = {}
    for wrapper in wrappers:
        dimensions = [each for each in wrapper.get("dimensions") or () if each.get("key") in _DIMENSIONS]
        for metric in wrapper.get("generalMetrics") or ():
            name, values = metric.get("metricName"), metric.get("metricValues") or ()
            numbers = [*values, *(metric.get("metricCounts") or ())]
            if name in _UNITS and all(isinstance(each, int | float) and each >= 0 for each in numbers):
                pairs = list(zip(values, metric.get("metricCounts") or (), strict=False))
                for each in dimensions:
                    found.setdefault((each["key"], str(each.get("value")), name), []).extend(pairs)
    return found


def data(tasks: Iterable[tuple[Task, Counted]], at: float) -> dict[tuple[str, str], list[Handed]]:
    """The data of a minute that began ``at``, by account and region."""
    sets: dict[tuple[str, str, str, tuple[tuple[str, str], ...]], list[Value]] = {}
    for task, known in tasks:
        service = (("ClusterName", _last(task.cluster_arn)), ("ServiceName", (task.group or "").partition(":")[2]))
        for (dimension, value, name), values in known.items():
            alone = (dimension, value)
            both: tuple[tuple[tuple[str, str], ...], ...] = ((alone,), (*service, alone))
            for dimensions in both:
                key = (task.account, task.region, name, dimensions)
                sets.setdefault(key, []).extend(_of_task(name, values))
    found: dict[tuple[str, str], list[Handed]] = {}
    for (account, region, name, dimensions), pairs in sets.items():
        if pairs:
            found.setdefault((account, region), []).append(
                Handed(
                    name=name,
                    dimensions=list(dimensions),
                    at=at,
                    unit=_UNITS[name],
                    count=sum(count for _, count in pairs),
                    total=sum(value * count for value, count in pairs),
                    low=min(value for value, _ in pairs),
                    high=max(value for value, _ in pairs),
                )
            )
    return found


def _of_task(name: str, values: list[Value]) -> list[Value]:
    if name == _TIME:
        return [pair for pair in values if pair[1]]
    total, count = sum(value * of for value, of in values), sum(of for _, of in values)
    if not count:
        return []
    return [(total / count if name == _GAUGE else total, 1.0)]


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]
