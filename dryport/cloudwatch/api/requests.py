"""What PutMetricAlarm says, checked and made ready to be stored."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.cloudwatch import actions, evaluation, queries, rules
from dryport.cloudwatch.queries import pairs, period_of
from dryport.cloudwatch.refusals import exclusive, validation
from dryport.cloudwatch.statistics import SIMPLE, is_percentile, statistic

MEMBERS = {"Statistic": "statistic", "ExtendedStatistic": "extended_statistic", "Period": "period", "Unit": "unit"}
_ACTIONS = {
    "OKActions": "ok_actions",
    "AlarmActions": "alarm_actions",
    "InsufficientDataActions": "insufficient_data_actions",
}
_PERIODS = (10, 20, 30)
_HOUR, _DAY, _WEEK = 3600, 86400, 604800
_MOST_METRICS = 10  # of an expression
_MOST_TAGS = 50
_MOST_CHILDREN = 100  # of a composite alarm


def common(operation: str, request: Any) -> dict[str, Any]:
    """What alarms of all types have. Raises ServiceError."""
    if any(ord(each) < 32 or ord(each) == 127 for each in request["AlarmName"]):
        raise validation("AlarmName must not contain ASCII control characters.")
    for member in _ACTIONS:
        actions.check(operation, member, request.get(member, ()))
    return {
        "description": request.get("AlarmDescription"),
        "actions_enabled": request.get("ActionsEnabled", True),
        **{name: list(request.get(member, ())) for member, name in _ACTIONS.items()},
    }


def metric_alarm(request: Any) -> dict[str, Any]:
    """What only alarms on metrics have. Raises ServiceError."""
    for member in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if member not in request:
            raise validation(f"{member} must not be null")
    if not math.isfinite(request["Threshold"]):
        raise validation("Threshold must be a finite number")
    comparison, periods = request["ComparisonOperator"], request["EvaluationPeriods"]
    if comparison not in evaluation.COMPARISONS:
        raise unsupported_parameter("cloudwatch", "PutMetricAlarm", f"ComparisonOperator ({comparison})")
    enough = request.get("DatapointsToAlarm")
    if enough is not None and enough > periods:
        raise validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    missing = request.get("TreatMissingData", "")
    if missing and missing not in (
        evaluation.BREACHING,
        evaluation.NOT_BREACHING,
        evaluation.IGNORE,
        evaluation.MISSING,
    ):
        raise validation(
            f"Value '{missing}' at 'treatMissingData' failed to satisfy constraint: Member must satisfy enum value "
            "set: [breaching, notBreaching, ignore, missing]"
        )
    watched = _of_queries(request) if request.get("Metrics") else _of_metric(request)
    _check_length(watched.pop("length"), periods)
    return {
        "evaluation_periods": periods,
        "datapoints_to_alarm": enough,
        "threshold": request["Threshold"],
        "comparison": comparison,
        "missing": missing,
        **watched,
    }


def composite_alarm(request: Any) -> list[str]:
    """The names of the alarms that a composite alarm is of. Raises ServiceError."""
    try:
        children = [*dict.fromkeys(rules.parse(request["AlarmRule"]).names())]
    except rules.Malformed as error:
        raise validation(f"AlarmRule is not valid: {error}.") from None
    if len(children) > _MOST_CHILDREN:
        raise validation(f"AlarmRule must not be about more than {_MOST_CHILDREN} alarms.")
    return children


def _of_metric(request: Any) -> dict[str, Any]:
    for member in ("MetricName", "Namespace", "Period"):
        if member not in request:
            raise validation(f"{member} must not be null")
    simple, extended = request.get("Statistic", ""), request.get("ExtendedStatistic", "")
    if simple and extended:
        raise exclusive("Statistic", "ExtendedStatistic")
    if not simple and not extended:
        raise validation("Either Statistic or ExtendedStatistic must be specified")
    if extended and (extended in SIMPLE or statistic(extended) is None):
        raise validation(f"The value {extended} for parameter ExtendedStatistic is not supported.")
    low = request.get("EvaluateLowSampleCountPercentile", "")
    if low and (low not in ("evaluate", "ignore") or not is_percentile(extended)):
        raise validation(f"The value {low} for parameter EvaluateLowSampleCountPercentile is not supported.")
    dimensions = pairs(request.get("Dimensions", ()))
    if len({name for name, _ in dimensions}) != len(dimensions):
        raise validation("Dimensions must not name a dimension twice.")
    return {
        "namespace": request["Namespace"],
        "metric_name": request["MetricName"],
        "dimensions": dimensions,
        "statistic": simple,
        "extended_statistic": extended,
        "period": request["Period"],
        "unit": request.get("Unit", ""),
        "low_samples": low,
        "length": request["Period"],
    }


def _of_queries(request: Any) -> dict[str, Any]:
    taken = [
        member
        for member in ("MetricName", "Namespace", "Dimensions", *MEMBERS, "EvaluateLowSampleCountPercentile")
        if request.get(member)
    ]
    if taken:
        raise exclusive("Metrics", taken[0])
    asked = queries.check(request["Metrics"], "Metrics")
    returned = [each for each in asked if each.returned]
    if len(returned) != 1:
        raise validation("Exactly one element of the metrics list should return data.")
    metrics = [each for each in asked if each.node is None]
    if not 1 <= len(metrics) <= _MOST_METRICS:
        raise validation(f"An alarm needs between 1 and {_MOST_METRICS} metrics.")
    if len({each.period for each in metrics}) > 1:
        raise validation("Period must be the same for all metrics of an alarm.")
    return {"queries": list(request["Metrics"]), "length": period_of(asked, returned[0])}


def _check_length(period: int, periods: int) -> None:
    if period not in _PERIODS and (period < 60 or period % 60):
        raise validation("Period must be 10, 20, 30 or a multiple of 60")
    if period < _HOUR and period * periods > _DAY:
        raise validation(
            f"Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= {_DAY}) for "
            f"alarms using period < {_HOUR}"
        )
    if period * periods > _WEEK:
        raise validation(
            f"Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= {_WEEK}) for "
            f"alarms using period >= {_HOUR}"
        )


def tags(old: Mapping[str, str], new: Iterable[Any]) -> dict[str, str]:
    """The old tags with the new ones on top. Raises ServiceError."""
    found = {**old, **{each["Key"]: each["Value"] for each in new}}
    if any(key.lower().startswith("aws:") for key in found):
        raise ServiceError("InvalidParameterValueException", "Tag keys cannot begin with aws:.")
    if len(found) > _MOST_TAGS:
        raise ServiceError("InvalidParameterValueException", f"A resource has at most {_MOST_TAGS} tags.")
    return found


def check_json(text: str) -> None:
    """Refuse what is given as JSON and is none. Raises ServiceError."""
    if text:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            raise ServiceError("InvalidFormatFault", "StateReasonData was not valid JSON.") from None
