"""Alarms as AWS's shapes. Pure."""

from __future__ import annotations

from typing import Any

from dryport.cloudwatch.model import Alarm, HistoryItem, Json
from dryport.cloudwatch.reasons import stamp


def alarm(each: Alarm) -> Json:
    """AWS's ``MetricAlarm`` or ``CompositeAlarm``."""
    return {**_common(each), **(_composite(each) if each.rule else _metric(each))}


def _common(each: Alarm) -> Json:
    shape: Json = {
        "AlarmName": each.name,
        "AlarmArn": each.arn,
        "AlarmConfigurationUpdatedTimestamp": each.configured_at,
        "ActionsEnabled": each.actions_enabled,
        "OKActions": each.ok_actions,
        "AlarmActions": each.alarm_actions,
        "InsufficientDataActions": each.insufficient_data_actions,
        "StateValue": each.state,
        "StateReason": each.reason,
        "StateUpdatedTimestamp": each.updated_at,
        "StateTransitionedTimestamp": each.transitioned_at,
    }
    if each.description is not None:
        shape["AlarmDescription"] = each.description
    if each.reason_data:
        shape["StateReasonData"] = each.reason_data
    return shape


def _composite(each: Alarm) -> Json:
    return {"AlarmRule": each.rule}


def _metric(each: Alarm) -> Json:
    shape: Json = {
        "EvaluationPeriods": each.evaluation_periods,
        "Threshold": each.threshold,
        "ComparisonOperator": each.comparison,
        "Dimensions": _dimensions(each),
    }
    given: dict[str, Any] = {
        "Namespace": each.namespace,
        "MetricName": each.metric_name,
        "Statistic": each.statistic,
        "ExtendedStatistic": each.extended_statistic,
        "Period": each.period,
        "Unit": each.unit,
        "DatapointsToAlarm": each.datapoints_to_alarm,
        "TreatMissingData": each.missing,
        "EvaluateLowSampleCountPercentile": each.low_samples,
        "Metrics": each.queries,
    }
    return shape | {name: value for name, value in given.items() if value}


def _dimensions(each: Alarm) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in each.dimensions]


def configuration(each: Alarm) -> Json:
    """An alarm as its history has it."""
    shape: Json = {}
    for name, value in alarm(each).items():
        if name == "Dimensions":
            value = [{"name": key, "value": of} for key, of in each.dimensions]
        elif name.endswith("Timestamp"):
            value = stamp(value)
        shape["okactions" if name == "OKActions" else f"{name[:1].lower()}{name[1:]}"] = value
    return shape


def history_item(each: HistoryItem) -> Json:
    """AWS's ``AlarmHistoryItem``."""
    return {
        "AlarmName": each.alarm,
        "AlarmType": each.type,
        "Timestamp": each.at,
        "HistoryItemType": each.kind,
        "HistorySummary": each.summary,
        "HistoryData": each.data,
    }
