"""What is worked out of metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.cloudwatch import queries, series, storage
from dryport.cloudwatch.model import scope
from dryport.cloudwatch.queries import Answers, Query, Result, pairs, period_of
from dryport.cloudwatch.refusals import bad_token, clash, exclusive, invalid, validation
from dryport.cloudwatch.statistics import SIMPLE, statistic
from dryport.cloudwatch.storage import MetricStorage, metric
from dryport.gateway.service import Call, Output, Service

_MOST_STATISTICS = 1440  # data points of GetMetricStatistics
_MOST_DATA = 100_800  # of GetMetricData, in one answer
_MOST_QUERIES = 500
_LAST = 2.0**40  # seconds; a database takes no number of any size
_ASCENDING = "TimestampAscending"


def register(service: Service, file: MetricStorage) -> None:
    """Add the operations of this module."""
    statistics = _Statistics(file)
    service.operation("GetMetricStatistics")(statistics.of_metric)
    service.operation("GetMetricData", unsupported=("LabelOptions", "MetricDataQueries.AccountId"))(statistics.data)


class _Statistics:
    def __init__(self, file: MetricStorage) -> None:
        self._file = file

    async def of_metric(self, call: Call, request: Any) -> Output:
        """The statistics of a metric, a data point a period and unit."""
        wanted = _wanted(request)
        period = request["Period"]
        if not series.is_period(period):
            raise invalid("The parameter Period must be a value in the set [ 1, 5, 10, 20, 30 ], or a multiple of 60.")
        first, end = _times(request, invalid)
        start = series.begin(first, call.now, period)
        count = -(-(end - start) // period)
        if count > _MOST_STATISTICS:
            raise clash(
                f"You have requested up to {count} datapoints, which exceeds the limit of {_MOST_STATISTICS}. You may "
                "reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        asked = metric(request["Namespace"], request["MetricName"], pairs(request.get("Dimensions", ())))
        where, unit = scope(call.account, call.region), request.get("Unit")
        rows = await self._file.read(lambda connection: list(storage.rows(connection, where, asked, start, end, unit)))
        points = []
        for each in dict.fromkeys(row.unit for row in rows):
            found = series.in_periods((row for row in rows if row.unit == each), start, period)
            points += [_point(at, summary, each, wanted) for at, summary in sorted(found.items())]
        return {"Label": request["MetricName"], "Datapoints": [point for point in points if point is not None]}

    async def data(self, call: Call, request: Any) -> Output:
        """The values of metrics and of expressions on them."""
        given = request["MetricDataQueries"]
        if not 1 <= len(given) <= _MOST_QUERIES:
            raise validation(f"The collection MetricDataQueries must have between 1 and {_MOST_QUERIES} members.")
        first, end = _times(request, validation)
        limit = request.get("MaxDatapoints", _MOST_DATA)
        if not 1 <= limit <= _MOST_DATA:
            raise validation(f"The parameter MaxDatapoints must be between 1 and {_MOST_DATA}.")
        asked = queries.check(given, "MetricDataQueries")
        skipped = pages.start(request.get("NextToken"), bad_token())
        periods = {period_of(asked, each) for each in asked}
        begins = {each: series.begin(first, call.now, each) for each in periods}
        where = scope(call.account, call.region)
        ascending = request.get("ScanBy") == _ASCENDING
        return await self._file.read(
            lambda connection: _page(Answers(connection, where, asked, begins, end), asked, ascending, skipped, limit)
        )


def _times(request: Any, refused: Callable[[str], ServiceError]) -> tuple[float, int]:
    """From when, and until when (exclusive), in seconds since the epoch. Raises ServiceError."""
    first, end = request["StartTime"], request["EndTime"]
    if not first < end:
        raise refused("The parameter StartTime must be less than the parameter EndTime.")
    return min(max(first, 0.0), _LAST), int(min(max(end, 0.0), _LAST))


def _wanted(request: Any) -> list[str]:
    """The names of the statistics that are asked for. Raises ServiceError."""
    simple, extended = request.get("Statistics", []), request.get("ExtendedStatistics", [])
    if simple and extended:
        raise exclusive("Statistics", "ExtendedStatistics")
    if not simple and not extended:
        raise clash("Must specify either Statistics or ExtendedStatistics")
    for name in extended:
        if name in SIMPLE or statistic(name) is None:
            raise invalid(f"The value {name} for parameter ExtendedStatistics is not supported.")
    return [*dict.fromkeys([*simple, *extended])]


def _point(at: int, summary: Any, unit: str, wanted: Sequence[str]) -> dict[str, Any] | None:
    """AWS's ``Datapoint``; ``None`` where nothing of what is asked for is known."""
    values = {}
    for name in wanted:
        work_out = statistic(name)
        value = work_out(summary) if work_out is not None else None
        if value is not None:
            values[name] = value
    if not values:
        return None
    simple = {name: value for name, value in values.items() if name in SIMPLE}
    extended = {name: value for name, value in values.items() if name not in SIMPLE}
    point: dict[str, Any] = {"Timestamp": float(at), **simple, "Unit": unit}
    if extended:
        point["ExtendedStatistics"] = extended
    return point


def _page(answers: Answers, asked: Sequence[Query], ascending: bool, skipped: int, limit: int) -> dict[str, Any]:
    """GetMetricData's answer: ``limit`` values from the one at ``skipped`` on, counted through all queries.

    A result without values is on the page of what comes next after it.
    """
    shown: list[dict[str, Any]] = []
    empty: list[dict[str, Any]] = []
    place, end = 0, skipped + limit
    for result in (each for query in asked if query.returned for each in answers.of(query.id)):
        if place > end:
            break
        times = sorted(result.values, reverse=not ascending)
        if not times and skipped <= place:
            empty.append(_result(result, (), complete=True))
        if times and place >= end:
            return {"MetricDataResults": shown, "Messages": [], "NextToken": pages.make_token(end)}
        chosen = times[max(0, skipped - place) : end - place]
        if chosen:
            shown += [*empty, _result(result, chosen, complete=place + len(times) <= end)]
            empty = []
        place += len(times)
    answer: dict[str, Any] = {"MetricDataResults": [*shown, *empty], "Messages": []}
    if place > end:
        answer["NextToken"] = pages.make_token(end)
    return answer


def _result(result: Result, times: Sequence[int], *, complete: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Id": result.id,
        "Label": result.label,
        "Timestamps": [float(at) for at in times],
        "Values": [result.values[at] for at in times],
        "StatusCode": "Complete" if complete else "PartialData",
    }
    if result.problem:
        shown["StatusCode"] = "InternalError"
        shown["Messages"] = [{"Code": "ArithmeticError", "Value": result.problem}]
    return shown
