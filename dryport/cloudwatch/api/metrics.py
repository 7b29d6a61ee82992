"""Metrics: put, and listed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dryport.aws import pages
from dryport.cloudwatch import storage
from dryport.cloudwatch.model import scope
from dryport.cloudwatch.queries import pairs
from dryport.cloudwatch.refusals import bad_token, clash, exclusive, invalid, missing
from dryport.cloudwatch.storage import DAY, HOUR, MINUTE, SECOND, Datum, MetricStorage, metric
from dryport.cloudwatch.summaries import Summary, of_set, of_values
from dryport.gateway.service import Call, Output, Service

_MOST_METRICS = 1000  # a request
_MOST_VALUES = 150  # a metric
_LARGEST = 2.0**360
_PAST, _FUTURE = 14 * DAY, 2 * HOUR
_PAGE = 500


def register(service: Service, file: MetricStorage) -> None:
    """Add the operations of this module."""
    metrics = _Metrics(file)
    service.operation("PutMetricData", unsupported=("EntityMetricData", "StrictEntityValidation"))(metrics.put)
    service.operation("ListMetrics", unsupported=("IncludeLinkedAccounts", "OwningAccount"))(metrics.list_all)


class _Metrics:
    def __init__(self, file: MetricStorage) -> None:
        self._file = file

    async def put(self, call: Call, request: Any) -> Output:
        """Add values to metrics, which are made where they are not there."""
        namespace, given = request["Namespace"], request.get("MetricData", ())
        if not given:
            raise missing("MetricData")
        if namespace.startswith("AWS/"):
            raise invalid(f"The value {namespace} for parameter Namespace is invalid.")
        if len(given) > _MOST_METRICS:
            raise invalid(f"The collection MetricData must not have a size greater than {_MOST_METRICS}.")
        data = [_datum(namespace, each, f"MetricData.member.{place}", call.now) for place, each in enumerate(given, 1)]
        where, now = scope(call.account, call.region), int(call.now)
        await self._file.write(lambda connection: storage.put(connection, where, data, now))
        return None

    async def list_all(self, call: Call, request: Any) -> Output:
        """The metrics with data in the last two weeks (or three hours)."""
        wanted = request.get("Namespace"), request.get("MetricName")
        dimensions = [(each["Name"], each.get("Value")) for each in request.get("Dimensions", ())]
        since = storage.listed_since(call.now, recent="RecentlyActive" in request)
        after = pages.start(request.get("NextToken"), bad_token())
        where = scope(call.account, call.region)
        found = await self._file.read(
            lambda connection: storage.listed(connection, where, wanted, dimensions, since, after, _PAGE + 1)
        )
        answer: dict[str, Any] = {
            "Metrics": [
                {"Namespace": each.namespace, "MetricName": each.name, "Dimensions": _dimensions(each)}
                for _, each in found[:_PAGE]
            ]
        }
        if len(found) > _PAGE:
            answer["NextToken"] = pages.make_token(found[_PAGE - 1][0])
        return answer


def _dimensions(each: storage.Metric) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in each.dimensions]


def _datum(namespace: str, given: Mapping[str, Any], where: str, now: float) -> Datum:
    """A value or values of a metric. Raises ServiceError."""
    at = given.get("Timestamp", now)
    if not at >= now - _PAST:
        raise invalid(f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past.")
    if not at <= now + _FUTURE:
        raise invalid(f"The parameter {where}.Timestamp must specify a time no more than two hours in the future.")
    resolution = given.get("StorageResolution", MINUTE)
    if resolution not in (SECOND, MINUTE):
        raise invalid(f"The parameter {where}.StorageResolution must be 1 or 60.")
    dimensions = pairs(given.get("Dimensions", ()))
    if len({name for name, _ in dimensions}) != len(dimensions):
        raise invalid(f"The parameter {where}.Dimensions must not name a dimension twice.")
    return Datum(
        metric(namespace, given["MetricName"], dimensions),
        resolution,
        int(at) - int(at) % resolution,
        given.get("Unit", "None"),
        _summary(given, where),
    )


def _summary(given: Mapping[str, Any], where: str) -> Summary:
    for one, other in (("Value", "Values"), ("Value", "StatisticValues"), ("Values", "StatisticValues")):
        if given.get(one) not in (None, []) and given.get(other) not in (None, []):
            raise exclusive(f"{where}.{one}", f"{where}.{other}")
    if "Value" in given:
        return of_values([(_number(given["Value"], f"{where}.Value"), 1.0)])
    if given.get("Values"):
        return _of_values(given, where)
    if "StatisticValues" in given:
        return _of_set(given["StatisticValues"], f"{where}.StatisticValues")
    raise missing(f"{where}.Value")


def _of_values(given: Mapping[str, Any], where: str) -> Summary:
    values, counts = given["Values"], given.get("Counts") or [1.0] * len(given["Values"])
    if len(values) > _MOST_VALUES:
        raise invalid(f"The collection {where}.Values must not have a size greater than {_MOST_VALUES}.")
    if len(values) != len(counts):
        raise invalid(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    pairs_of = [
        (_number(value, f"{where}.Values.member.{place}"), _number(count, f"{where}.Counts.member.{place}"))
        for place, (value, count) in enumerate(zip(values, counts, strict=True), 1)
    ]
    for place, (_, count) in enumerate(pairs_of, 1):
        if count <= 0:
            raise invalid(f"The value {count} for parameter {where}.Counts.member.{place} is invalid.")
    return of_values(pairs_of)


def _of_set(given: Mapping[str, Any], where: str) -> Summary:
    count, total, low, high = (
        _number(given[name], f"{where}.{name}") for name in ("SampleCount", "Sum", "Minimum", "Maximum")
    )
    if count <= 0:
        raise invalid(f"The parameter {where}.SampleCount must be greater than 0.")
    if high < low:
        raise clash(f"The parameter {where}.Maximum must be greater than or equal to {where}.Minimum.")
    return of_set(count, total, low, high)


def _number(value: float, parameter: str) -> float:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise invalid(f"The value {'NaN' if math.isnan(value) else value} for parameter {parameter} is invalid.")
    return float(value)
