"""Queries of metrics and expressions, of GetMetricData's and of alarms: checked, then worked out of the file."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.cloudwatch import expressions, series, storage
from dryport.cloudwatch.expressions import Frame, Malformed, Node, NotWorkedOut, Value, parser
from dryport.cloudwatch.expressions.functions import FUNCTIONS
from dryport.cloudwatch.refusals import validation
from dryport.cloudwatch.statistics import Statistic, statistic
from dryport.cloudwatch.storage import Metric, metric

_ID = re.compile(r"[a-z][A-Za-z0-9_]{0,254}")
_INSIGHTS = re.compile(r"\s*SELECT\b", re.I)


class Query(msgspec.Struct, frozen=True):
    """A metric with its statistic, or an expression (``node``)."""

    id: str
    label: str
    returned: bool
    period: int  # of an expression 0 where its metrics say it
    metric: Metric | None = None
    statistic: Statistic | None = None
    stat: str = ""
    unit: str | None = None
    node: Node | None = None


class Result(msgspec.Struct):
    """A series of a query: values by the time at which their periods begin. ``problem`` says why there is none."""

    id: str
    label: str
    values: dict[int, float]
    samples: dict[int, float] = {}  # of a metric: how many values there are of
    problem: str = ""


def check(given: Sequence[Any], where: str) -> list[Query]:
    """AWS's ``MetricDataQuery`` structures, checked. ``where`` is the member that they are in. Raises ServiceError."""
    queries = [_checked(each, f"{where}.member.{place}") for place, each in enumerate(given, 1)]
    ids = [each.id for each in queries]
    if len(set(ids)) != len(ids):
        raise validation(f"The values for parameter id in {where} are not unique.")
    for each in queries:
        if each.node is not None:
            _check_names(each, queries)
    return queries


def _checked(given: Any, where: str) -> Query:
    if not _ID.fullmatch(given["Id"]):
        raise validation(
            f"The value {given['Id']} for parameter {where}.Id is not matching the expected pattern "
            "^[a-z][a-zA-Z0-9_]*$."
        )
    label = given.get("Label", "")
    if "${" in label:
        raise validation("Dryport does not have dynamic labels.")
    stat, expression = given.get("MetricStat"), given.get("Expression")
    if stat is not None and expression is not None:
        raise validation(
            f"The parameters {where}.Expression and {where}.MetricStat are mutually exclusive and you have "
            "specified both."
        )
    returned = given.get("ReturnData", True)
    if expression is not None:
        period = given.get("Period", 0)
        if period and not series.is_period(period):
            raise _bad_period(f"{where}.Period")
        return Query(given["Id"], label or given["Id"], returned, period, node=_parsed(given["Id"], expression))
    if stat is None:
        raise validation(f"The parameter {where}.MetricStat or {where}.Expression must be specified.")
    if "Period" in given:
        raise validation(
            f"The parameters {where}.Period and {where}.MetricStat are mutually exclusive and you have specified both."
        )
    return _of_metric(given["Id"], label, returned, stat, f"{where}.MetricStat")


def _of_metric(name: str, label: str, returned: bool, given: Any, where: str) -> Query:
    wanted = given["Metric"]
    for member in ("Namespace", "MetricName"):
        if not wanted.get(member):
            raise validation(f"The parameter {where}.Metric.{member} is required.")
    work_out = statistic(given["Stat"])
    if work_out is None:
        raise validation(f"The value {given['Stat']} for parameter {where}.Stat is not supported.")
    if not series.is_period(given["Period"]):
        raise _bad_period(f"{where}.Period")
    return Query(
        name,
        label or wanted["MetricName"],
        returned,
        given["Period"],
        metric=metric(wanted["Namespace"], wanted["MetricName"], pairs(wanted.get("Dimensions", ()))),
        statistic=work_out,
        stat=given["Stat"],
        unit=given.get("Unit"),
    )


def pairs(dimensions: Sequence[Any]) -> list[tuple[str, str]]:
    """AWS's ``Dimension`` structures as names with values."""
    return [(each["Name"], each["Value"]) for each in dimensions]


def _bad_period(parameter: str) -> ServiceError:
    return validation(
        f"The parameter {parameter} must be a value in the set [ 1, 5, 10, 20, 30 ], or a multiple of 60."
    )


def _parsed(name: str, text: str) -> Node:
    if _INSIGHTS.match(text):
        raise validation(f"Error in expression '{name}': Dryport does not have Metrics Insights queries.")
    try:
        node = expressions.parse(text)
    except Malformed as error:
        raise validation(f"Error in expression '{name}': {error}.") from None
    unknown = next((each for each in parser.calls(node) if each not in FUNCTIONS), None)
    if unknown is not None:
        raise validation(f"Error in expression '{name}': Dryport does not have the function {unknown}.")
    return node


def _check_names(query: Query, queries: Sequence[Query]) -> None:
    assert query.node is not None
    known = {each.id: each for each in queries}
    unknown = [name for name in _named(query) if name not in known]
    if unknown:
        raise validation(f"Error in expression '{query.id}': {unknown[0]} is not the Id of another query.")
    seen, left = {query.id}, _named(query)
    while left:
        name = left.pop()
        if name == query.id:
            raise validation(f"Error in expression '{query.id}': it depends on itself.")
        if name not in seen:
            seen.add(name)
            left += _named(known[name])


def _named(query: Query) -> list[str]:
    return [each for each in expressions.names(query.node) if each[:1].islower()] if query.node is not None else []


class Answers:
    """The results of queries over a time, each worked out once, when it is asked for.

    ``begins`` says where the first period of a length begins.
    """

    def __init__(
        self, connection: sqlite3.Connection, scope: str, queries: Sequence[Query], begins: Mapping[int, int], end: int
    ) -> None:
        self._connection, self._scope = connection, scope
        self._queries = {each.id: each for each in queries}
        self._begins, self._end = begins, end
        self._found: dict[str, list[Result]] = {}

    def of(self, name: str) -> list[Result]:
        """A query's results: more than one where an expression comes to several series."""
        known = self._found.get(name)
        if known is None:
            query = self._queries[name]
            known = self._found[name] = [self._of_metric(query)] if query.node is None else self._of_expression(query)
        return known

    def _of_metric(self, query: Query) -> Result:
        assert query.metric is not None and query.statistic is not None
        start = self._begins[query.period]
        rows = storage.rows(self._connection, self._scope, query.metric, start, self._end, query.unit)
        periods = series.in_periods(rows, start, query.period)
        found = {at: query.statistic(each) for at, each in periods.items()}
        return Result(
            query.id,
            query.label,
            {at: value for at, value in found.items() if value is not None},
            {at: each.count for at, each in periods.items()},
        )

    def _of_expression(self, query: Query) -> list[Result]:
        assert query.node is not None
        needed = self._needed(query)
        values: dict[str, Value] = {}
        for name in needed:
            found = self.of(name)
            if found and found[0].problem:
                return [Result(query.id, query.label, {}, problem=found[0].problem)]
            several = [each.values for each in found]
            values[name] = several[0] if len(several) == 1 else several
        metrics = [each.id for each in self._queries.values() if each.node is None]
        periods = {name: period_of(self._queries.values(), self._queries[name]) for name in needed}
        period = period_of(self._queries.values(), query)
        frame = Frame(values, metrics, periods, self._begins[period], self._end, period)
        try:
            value = expressions.evaluate(query.node, frame)
        except NotWorkedOut as error:
            return [Result(query.id, query.label, {}, problem=f"{error}")]
        if isinstance(value, float):
            return [Result(query.id, query.label, {}, problem="the expression comes to a number, not to a series")]
        several = value if isinstance(value, list) else [value]
        return [Result(query.id, query.label, _finite(each)) for each in several]

    def _needed(self, query: Query) -> list[str]:
        assert query.node is not None
        if "METRICS" in parser.calls(query.node):
            return [*dict.fromkeys([*_named(query), *(each.id for each in self._queries.values() if not each.node)])]
        return [*dict.fromkeys(_named(query))]


def _finite(values: dict[int, float]) -> dict[int, float]:
    return {at: float(value) for at, value in values.items() if math.isfinite(value)}


def period_of(queries: Any, query: Query) -> int:
    """A query's period: an expression's is the longest of its metrics', where it does not say one."""
    if query.period:
        return query.period
    known = {each.id: each for each in queries}
    left, seen, found = [query.id], {query.id}, 0
    while left:
        each = known[left.pop()]
        found = max(found, each.period)
        for name in _named(each):
            if name not in seen:
                seen.add(name)
                left.append(name)
        if each.node is not None and "METRICS" in parser.calls(each.node):
            found = max(found, *(other.period for other in queries if other.node is None), 0)
    return found or storage.MINUTE
