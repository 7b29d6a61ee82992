"""Composite alarms: their rules, and their states by boto3."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from dryport.cloudwatch.rules import Malformed, Rule, parse
from tests.served import Served

T = TypeVar("T")
STATES = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA", "with space": "ALARM"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("ALARM(a)", True),
        ('ALARM("a") AND OK(b)', True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(b) OR ALARM(a)", True),
        ("NOT ALARM(b)", True),
        ("NOT (ALARM(a) OR ALARM(b))", False),
        ("ALARM(b) AND ALARM(b) OR ALARM(a)", True),
        ("ALARM(b) AND (ALARM(b) OR ALARM(a))", False),
        ("NOT NOT INSUFFICIENT_DATA(c)", True),
        ('ALARM("with space") AND ALARM( with space )', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)", True),
        ("TRUE", True),
        ("FALSE OR NOT FALSE", True),
    ],
)
def test_rules(text: str, holds: bool) -> None:
    assert parse(text).holds(lambda name: STATES[name]) is holds


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ALARM",
            "ALARM()",
            "ALARM(a",
            "ALARM(a) AND",
            "AND ALARM(a)",
            "(TRUE",
            "TRUE)",
            "TRUE FALSE",
            "alarm(a)",
        ),
        *("NOT " * 100 + "TRUE", "(" * 100 + "TRUE" + ")" * 100, "AT_LEAST(1, ALARM, (a, b))", "ALARM(" + " " * 10_000),
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


leaves = st.sampled_from([Rule("ALARM", "a"), Rule("OK", "b"), Rule("TRUE"), Rule("FALSE")])
trees = st.recursive(
    leaves,
    lambda parts: (
        parts.map(lambda part: Rule("NOT", parts=(part,)))
        | st.tuples(st.sampled_from(["AND", "OR"]), st.lists(parts, min_size=2, max_size=3)).map(
            lambda made: Rule(made[0], parts=tuple(made[1]))
        )
    ),
    max_leaves=10,
)


def written(rule: Rule) -> str:
    match rule.kind:
        case "AND" | "OR":
            return f"({f' {rule.kind} '.join(written(part) for part in rule.parts)})"
        case "NOT":
            return f"NOT {written(rule.parts[0])}"
    return f"{rule.kind}({rule.name})" if rule.name else rule.kind


@given(trees)
def test_a_rule_is_read_as_it_was_written(rule: Rule) -> None:
    assert parse(written(rule)) == rule


def put(client: Any, name: str, state: str = "") -> None:
    client.put_metric_alarm(
        AlarmName=name, Namespace="Test", MetricName=name, Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1.0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    if state:
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")


def described(client: Any, name: str = "both") -> dict[str, Any]:
    found = client.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
    assert found["MetricAlarms"] == []
    [alarm] = found["CompositeAlarms"]
    return dict(alarm)


def until(client: Any, state: str, name: str = "both") -> dict[str, Any]:
    return eventually(lambda: found if (found := described(client, name))["StateValue"] == state else None)


def eventually(probe: Callable[[], T | None]) -> T:
    for _ in range(200):
        found = probe()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(probe)


def test_a_composite_alarm_follows_its_children(cloudwatch: Any, served: Served) -> None:
    put(cloudwatch, "one", "OK")
    put(cloudwatch, "two", "ALARM")
    cloudwatch.put_composite_alarm(
        AlarmName="both",
        AlarmRule="ALARM(one) AND ALARM(two)",
        AlarmDescription="words",
        Tags=[{"Key": "a", "Value": "b"}],
    )
    arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:both"
    found = until(cloudwatch, "OK")
    assert found["StateReason"] == f"{arn} was created and its alarm rule evaluates to OK"
    assert (found["AlarmArn"], found["AlarmRule"], found["AlarmDescription"]) == (
        arn,
        "ALARM(one) AND ALARM(two)",
        "words",
    )
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]

    cloudwatch.set_alarm_state(AlarmName="one", StateValue="ALARM", StateReason="a test")
    found = until(cloudwatch, "ALARM")
    assert found["StateReason"].startswith(
        "arn:aws:cloudwatch:us-east-1:000000000000:alarm:one transitioned to ALARM at "
    )
    triggering = json.loads(found["StateReasonData"])["triggeringAlarms"]
    assert [each["arn"].rpartition(":")[2] for each in triggering] == ["one", "two"]

    served.restart()
    again = served.client("cloudwatch")
    again.set_alarm_state(AlarmName="two", StateValue="OK", StateReason="a test")
    until(again, "OK")
    again.set_alarm_state(AlarmName="both", StateValue="ALARM", StateReason="a test")
    time.sleep(0.3)
    assert described(again)["StateValue"] == "ALARM", "until a child changes"
    again.set_alarm_state(AlarmName="one", StateValue="OK", StateReason="a test")
    until(again, "OK")
    items = again.describe_alarm_history(AlarmName="both", AlarmTypes=["CompositeAlarm"], ScanBy="TimestampAscending")
    assert [each["HistorySummary"] for each in items["AlarmHistoryItems"]][:3] == [
        'Alarm "both" created',
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
    ]


def test_families(cloudwatch: Any) -> None:
    for name in ("one", "two"):
        put(cloudwatch, name)
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(one) AND ALARM(two)")
    cloudwatch.put_composite_alarm(AlarmName="top", AlarmRule='NOT ALARM("both") OR OK(one)')
    until(cloudwatch, "ALARM", "top")
    children = cloudwatch.describe_alarms(ChildrenOfAlarmName="top")
    assert [each["AlarmName"] for each in children["CompositeAlarms"]] == ["both"]
    [child] = children["MetricAlarms"]
    assert child.keys() == {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}
    parents = cloudwatch.describe_alarms(ParentsOfAlarmName="one")
    assert [each["AlarmName"] for each in parents["CompositeAlarms"]] == ["both", "top"]

    with pytest.raises(ClientError, match="depending on it: both"):
        cloudwatch.delete_alarms(AlarmNames=["two"])
    with pytest.raises(ClientError, match="Only one composite alarm"):
        cloudwatch.delete_alarms(AlarmNames=["both", "top"])
    for name in ("top", "both"):
        cloudwatch.delete_alarms(AlarmNames=[name])
    cloudwatch.delete_alarms(AlarmNames=["one", "two"])
    assert cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"])["MetricAlarms"] == []


def test_a_circle_is_not_evaluated(cloudwatch: Any) -> None:
    cloudwatch.put_composite_alarm(AlarmName="a", AlarmRule="FALSE")
    cloudwatch.put_composite_alarm(AlarmName="b", AlarmRule="NOT ALARM(a)")
    until(cloudwatch, "ALARM", "b")
    cloudwatch.put_composite_alarm(AlarmName="a", AlarmRule="ALARM(b)")
    asked = {"AlarmTypes": ["CompositeAlarm"], "HistoryItemType": "StateUpdate"}
    time.sleep(0.3)
    before = cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"]
    cloudwatch.set_alarm_state(AlarmName="b", StateValue="OK", StateReason="a test")
    time.sleep(0.3)
    after = cloudwatch.describe_alarm_history(**asked)["AlarmHistoryItems"]
    assert len(after) == len(before) + 1, "what was set, and nothing of it"
    assert described(cloudwatch, "a")["StateValue"] == "OK"


def test_rules_that_cannot_be(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match=r"as alarms \[none\] in the alarm rule do not exist"):
        cloudwatch.put_composite_alarm(AlarmName="x", AlarmRule="ALARM(none)")
    with pytest.raises(ClientError, match="AlarmRule is not valid"):
        cloudwatch.put_composite_alarm(AlarmName="x", AlarmRule="perhaps")
    put(cloudwatch, "one")
    with pytest.raises(ClientError, match="is of another type"):
        cloudwatch.put_composite_alarm(AlarmName="one", AlarmRule="TRUE")
    with pytest.raises(ClientError, match="ActionsSuppressor "):
        cloudwatch.put_composite_alarm(AlarmName="x", AlarmRule="TRUE", ActionsSuppressor="one")
