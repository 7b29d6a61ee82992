"""Alarms with boto3 and the AWS CLI: made, described, evaluated, set, deleted; their history."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.served import Served, refusal

PLAIN = {
    "MetricName": "errors",
    "Namespace": "Test",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
FAST = PLAIN | {"Period": 10, "TreatMissingData": "notBreaching"}


def described(client: Any, name: str = "alarm") -> dict[str, Any]:
    [found] = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found)


def until(client: Any, state: str, name: str = "alarm", seconds: float = 40) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = described(client, name)
        if found["StateValue"] == state:
            return found
        time.sleep(0.3)
    raise AssertionError(f"{found['StateValue']}: {found['StateReason']}")


def test_an_alarm_as_it_is_made(cloudwatch: Any) -> None:
    before = datetime.now(UTC)
    cloudwatch.put_metric_alarm(
        AlarmName="alarm",
        AlarmDescription="words",
        Dimensions=[{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}],
        Unit="Count",
        DatapointsToAlarm=1,
        **PLAIN,
    )
    found = described(cloudwatch)
    for name in ("StateUpdatedTimestamp", "StateTransitionedTimestamp", "AlarmConfigurationUpdatedTimestamp"):
        assert before <= found.pop(name) <= datetime.now(UTC)
    assert found == {
        **PLAIN,
        "AlarmName": "alarm",
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:alarm",
        "AlarmDescription": "words",
        "ActionsEnabled": True,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "Dimensions": [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}],
        "Unit": "Count",
        "DatapointsToAlarm": 1,
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
    }


def test_an_alarm_goes_off_and_comes_back(cloudwatch: Any, served: Served) -> None:
    cloudwatch.put_metric_alarm(AlarmName="alarm", **FAST)
    assert until(cloudwatch, "OK")["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[NonBreaching]."
    )
    data = [{"MetricName": "errors", "Value": 5.0, "StorageResolution": 1}]
    cloudwatch.put_metric_data(Namespace="Test", MetricData=data)
    found = until(cloudwatch, "ALARM")
    assert found["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [5.0 (")
    assert found["StateReason"].endswith(
        ")] was greater than the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    reason = json.loads(found["StateReasonData"])
    assert (reason["recentDatapoints"], reason["period"], reason["threshold"]) == ([5.0], 10, 1.0)

    served.restart()  # what it found outlives it, and it goes on
    again = served.client("cloudwatch")
    assert described(again)["StateReason"] == found["StateReason"]
    until(again, "OK", seconds=60)
    items = again.describe_alarm_history(AlarmName="alarm", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [each["HistorySummary"] for each in items] == [
        'Alarm "alarm" created',
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
    ]
    states = json.loads(items[2]["HistoryData"])
    assert states["newState"]["stateReason"] == found["StateReason"]
    assert states["oldState"]["stateValue"] == "OK"


def test_an_alarm_on_an_expression(cloudwatch: Any) -> None:
    def metric(name: str) -> dict[str, Any]:
        of = {"Metric": {"Namespace": "Test", "MetricName": name}, "Period": 10, "Stat": "Sum"}
        return {"Id": name, "MetricStat": of, "ReturnData": False}

    queries = [metric("errors"), metric("requests"), {"Id": "rate", "Expression": "100 * errors / requests"}]
    terms = {name: PLAIN[name] for name in ("EvaluationPeriods", "ComparisonOperator")}
    cloudwatch.put_metric_alarm(AlarmName="alarm", Metrics=queries, Threshold=10.0, **terms)
    data = [
        {"MetricName": name, "Value": value, "StorageResolution": 1}
        for name, value in (("errors", 3.0), ("requests", 20.0))
    ]
    cloudwatch.put_metric_data(Namespace="Test", MetricData=data)
    found = until(cloudwatch, "ALARM")
    assert "[15.0 (" in found["StateReason"]
    assert [each["Id"] for each in found["Metrics"]] == ["errors", "requests", "rate"]
    assert "MetricName" not in found


def test_a_state_that_is_set_lasts_until_the_next_evaluation(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(AlarmName="alarm", **FAST)
    until(cloudwatch, "OK")
    cloudwatch.set_alarm_state(
        AlarmName="alarm", StateValue="ALARM", StateReason="a test", StateReasonData='{"why": "test"}'
    )
    found = described(cloudwatch)
    assert (found["StateValue"], found["StateReason"], found["StateReasonData"]) == (
        "ALARM",
        "a test",
        '{"why": "test"}',
    )
    assert "missing datapoint was treated" in until(cloudwatch, "OK")["StateReason"]
    code, _ = refusal(cloudwatch.set_alarm_state, AlarmName="x", StateValue="OK", StateReason="")
    assert code == "ResourceNotFound"
    code, _ = refusal(
        cloudwatch.set_alarm_state, AlarmName="alarm", StateValue="OK", StateReason="", StateReasonData="{"
    )
    assert code == "InvalidFormat"


def test_changing_an_alarm_keeps_its_state_and_tags(cloudwatch: Any) -> None:
    tags = [{"Key": "team", "Value": "one"}]
    cloudwatch.put_metric_alarm(AlarmName="alarm", Tags=tags, **(PLAIN | {"TreatMissingData": "ignore"}))
    cloudwatch.set_alarm_state(AlarmName="alarm", StateValue="ALARM", StateReason="a test")
    cloudwatch.put_metric_alarm(AlarmName="alarm", Tags=[{"Key": "x", "Value": "y"}], **(PLAIN | {"Threshold": 7.0}))
    found = described(cloudwatch)
    assert (found["StateValue"], found["Threshold"]) == ("ALARM", 7.0)
    assert "TreatMissingData" not in found, "an update is the whole configuration"
    arn = found["AlarmArn"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == tags
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    code, _ = refusal(cloudwatch.list_tags_for_resource, ResourceARN=arn + "x")
    assert code == "ResourceNotFoundException"


def test_alarms_are_found_and_listed_in_pages(cloudwatch: Any) -> None:
    for number in range(5):
        metric = {"MetricName": "errors" if number < 3 else "latency"}
        cloudwatch.put_metric_alarm(AlarmName=f"a{number}", **(PLAIN | metric))
    cloudwatch.put_metric_alarm(AlarmName="b", **PLAIN)
    cloudwatch.set_alarm_state(AlarmName="b", StateValue="ALARM", StateReason="")

    def names(**asked: Any) -> list[str]:
        pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 2}, **asked)
        return [each["AlarmName"] for page in pages for each in page["MetricAlarms"]]

    assert names() == ["a0", "a1", "a2", "a3", "a4", "b"]
    assert names(AlarmNamePrefix="a") == ["a0", "a1", "a2", "a3", "a4"]
    assert names(StateValue="ALARM") == ["b"]
    assert names(AlarmNames=["b", "none", "a1"]) == ["a1", "b"]
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    found = cloudwatch.describe_alarms_for_metric(MetricName="latency", Namespace="Test")["MetricAlarms"]
    assert [each["AlarmName"] for each in found] == ["a3", "a4"]
    found = cloudwatch.describe_alarms_for_metric(MetricName="latency", Namespace="Test", Statistic="Average")
    assert found["MetricAlarms"] == []
    assert refusal(cloudwatch.describe_alarms, NextToken="?")[0] == "InvalidNextToken"

    cloudwatch.delete_alarms(AlarmNames=["a0", "none", "b"])
    assert names() == ["a1", "a2", "a3", "a4"]
    gone = cloudwatch.describe_alarm_history(AlarmName="b", HistoryItemType="ConfigurationUpdate")
    assert [each["HistorySummary"] for each in gone["AlarmHistoryItems"]] == ['Alarm "b" deleted', 'Alarm "b" created']
    pages = cloudwatch.get_paginator("describe_alarm_history").paginate(PaginationConfig={"PageSize": 2})
    assert len([each for page in pages for each in page["AlarmHistoryItems"]]) == 9


def test_actions_can_be_turned_off(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(AlarmName="alarm", **PLAIN)
    cloudwatch.disable_alarm_actions(AlarmNames=["alarm"])
    assert described(cloudwatch)["ActionsEnabled"] is False
    cloudwatch.enable_alarm_actions(AlarmNames=["alarm"])
    assert described(cloudwatch)["ActionsEnabled"] is True


@pytest.mark.parametrize(
    "action",
    [
        "arn:aws:sns:us-east-1:000000000000:topic",
        "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x:autoScalingGroupName/g:policyName/p",
    ],
)
def test_actions_that_nothing_carries_out_are_refused_by_name(cloudwatch: Any, action: str) -> None:
    code, message = refusal(cloudwatch.put_metric_alarm, AlarmName="alarm", AlarmActions=[action], **PLAIN)
    assert code == "NotImplemented"
    assert action in message
    code, message = refusal(cloudwatch.put_metric_alarm, AlarmName="alarm", OKActions=["topic"], **PLAIN)
    assert (code, message) == ("ValidationError", "Invalid arn syntax: topic")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Period": None}, "ValidationError", "Period must not be null"),
        ({"Period": 15}, "ValidationError", "Period must be 10, 20, 30 or a multiple of 60"),
        (
            {"EvaluationPeriods": 1441},
            "ValidationError",
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) for alarms "
            "using period < 3600",
        ),
        (
            {"EvaluationPeriods": 8, "Period": 86400},
            "ValidationError",
            "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800) for "
            "alarms using period >= 3600",
        ),
        ({"ExtendedStatistic": "p90"}, "InvalidParameterCombination", None),
        ({"Statistic": None, "ExtendedStatistic": "p900"}, "ValidationError", None),
        ({"DatapointsToAlarm": 2}, "ValidationError", None),
        ({"TreatMissingData": "perhaps"}, "ValidationError", None),
        ({"Threshold": None}, "ValidationError", "Threshold must not be null"),
        ({"Threshold": float("inf")}, "ValidationError", "Threshold must be a finite number"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "NotImplemented", None),
        ({"ThresholdMetricId": "m1"}, "NotImplemented", None),
    ],
)
def test_alarms_that_cannot_be_are_refused(cloudwatch: Any, change: Any, code: str, message: str | None) -> None:
    request = {name: value for name, value in (PLAIN | change).items() if value is not None}
    found = refusal(cloudwatch.put_metric_alarm, AlarmName="alarm", **request)
    assert found[0] == code
    assert message is None or found[1] == message


def test_the_command_line(served: Served) -> None:
    made = served.cli(
        *("cloudwatch", "put-metric-alarm", "--alarm-name", "shell", "--namespace", "Test", "--metric-name", "errors"),
        *("--statistic", "Sum", "--period", "60", "--evaluation-periods", "2", "--threshold", "3"),
        *("--comparison-operator", "GreaterThanOrEqualToThreshold", "--treat-missing-data", "breaching"),
    )
    assert made.returncode == 0, made.stderr
    served.cli("cloudwatch", "set-alarm-state", "--alarm-name", "shell", "--state-value", "OK", "--state-reason", "me")
    listed = served.cli("cloudwatch", "describe-alarms", "--query", "MetricAlarms[].[AlarmName,StateValue]")
    assert json.loads(listed.stdout) == [["shell", "OK"]]
    history = served.cli(
        "cloudwatch", "describe-alarm-history", "--alarm-name", "shell", "--query", "AlarmHistoryItems"
    )
    assert len(json.loads(history.stdout)) == 2
