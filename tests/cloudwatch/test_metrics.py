"""Metrics put and read with boto3 and the AWS CLI, in each of CloudWatch's protocols."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dryport.cloudtrail.room import room as cloudtrail
from dryport.cloudwatch.room import room
from tests.served import Served, refusal

HOUR_AGO, SOON = timedelta(hours=1), timedelta(minutes=2)


def window() -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"StartTime": now - HOUR_AGO, "EndTime": now + SOON}


def sums(client: Any, name: str, **more: Any) -> list[float]:
    answer = client.get_metric_statistics(
        Namespace="Test", MetricName=name, Period=60, Statistics=["Sum"], **window(), **more
    )
    return [point["Sum"] for point in answer["Datapoints"]]


@pytest.fixture(params=["smithy-rpc-v2-cbor", "json", "query"])
def speaking(request: Any, served: Served, tmp_path: Path) -> Iterator[Any]:
    """boto3, speaking one of the protocols that the model has."""
    session = botocore.session.get_session()
    model = session.get_component("data_loader").load_service_model("cloudwatch", "service-2")
    model["metadata"] |= {"protocol": request.param, "protocols": [request.param]}
    folder = tmp_path / "models" / "cloudwatch" / "2010-08-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(model))
    own = botocore.session.get_session()
    own.get_component("data_loader").search_paths.insert(0, str(tmp_path / "models"))
    client = boto3.Session(botocore_session=own).client(
        "cloudwatch",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=served.key.access_key_id,
        aws_secret_access_key=served.key.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert client.meta.service_model.resolved_protocol == request.param
    yield client


def test_every_protocol_puts_and_reads(speaking: Any) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)
    speaking.put_metric_data(
        Namespace="Test",
        MetricData=[
            {
                "MetricName": "latency",
                "Dimensions": [{"Name": "host", "Value": "a & b"}],
                "Timestamp": at,
                "Values": [1.0, 2.5],
                "Counts": [3.0, 1.0],
                "Unit": "Milliseconds",
            }
        ],
    )
    [metric] = speaking.list_metrics(Namespace="Test")["Metrics"]
    assert metric["Dimensions"] == [{"Name": "host", "Value": "a & b"}]
    answer = speaking.get_metric_statistics(
        Namespace="Test",
        MetricName="latency",
        Dimensions=metric["Dimensions"],
        Period=60,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
        **window(),
    )
    [point] = answer["Datapoints"]
    assert answer["Label"] == "latency"
    assert point == {
        "Timestamp": at.replace(second=0),
        "SampleCount": 4.0,
        "Average": 1.375,
        "Sum": 5.5,
        "Minimum": 1.0,
        "Maximum": 2.5,
        "Unit": "Milliseconds",
    }
    code, message = refusal(speaking.set_alarm_state, AlarmName="none", StateValue="OK", StateReason="")
    assert code == "ResourceNotFound"
    code, message = refusal(
        speaking.put_metric_data, Namespace="AWS/Test", MetricData=[{"MetricName": "a", "Value": 1}]
    )
    assert (code, message) == ("InvalidParameterValue", "The value AWS/Test for parameter Namespace is invalid.")


def test_a_body_may_be_compressed(speaking: Any, served: Served) -> None:
    sent: list[bytes] = []
    speaking.meta.events.register(
        "before-send.cloudwatch.PutMetricData", lambda request, **_: sent.append(request.body)
    )
    data: list[dict[str, Any]] = [
        {"MetricName": f"metric-{number}", "Dimensions": [{"Name": "filler", "Value": "x" * 100}], "Value": number}
        for number in range(1000)
    ]
    speaking.put_metric_data(Namespace="Test", MetricData=data)
    assert sent[0].startswith(b"\x1f\x8b"), "botocore compresses bodies of ten kilobytes and more"
    listed = speaking.get_paginator("list_metrics").paginate(Namespace="Test").search("Metrics[].MetricName")
    assert sorted(listed) == sorted(each["MetricName"] for each in data)


def test_a_body_that_unpacks_to_too_much_or_to_nothing_is_refused(served: Served, cloudwatch: Any) -> None:
    bodies = {413: gzip.compress(bytes(64 * 1024 * 1024)), 400: b"\x1f\x8bnot gzip"}
    for status, body in bodies.items():

        def replace(request: Any, body: bytes = body, **_: Any) -> None:
            request.data = body
            request.headers["Content-Encoding"] = "gzip"

        client = served.client("cloudwatch")
        client.meta.events.register("before-sign.cloudwatch.PutMetricData", replace)
        with pytest.raises(ClientError) as caught:
            client.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "a", "Value": 1.0}])
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_values_of_a_minute_are_put_together(cloudwatch: Any, served: Served) -> None:
    at = datetime.now(UTC).replace(second=10) - timedelta(minutes=5)
    several: list[dict[str, Any]] = [
        {"Value": 4.0},
        {"StatisticValues": {"SampleCount": 3, "Sum": 12, "Minimum": 1, "Maximum": 8}},
        {"Values": [0.5], "Counts": [2.0]},
    ]
    for seconds, data in enumerate(several):
        one = {"MetricName": "work", "Timestamp": at + timedelta(seconds=seconds), **data}
        cloudwatch.put_metric_data(Namespace="Test", MetricData=[one])
    served.restart()
    answer = served.client("cloudwatch").get_metric_statistics(
        Namespace="Test",
        MetricName="work",
        Period=60,
        Statistics=["SampleCount", "Sum", "Minimum", "Maximum"],
        **window(),
    )
    [point] = answer["Datapoints"]
    assert (point["SampleCount"], point["Sum"], point["Minimum"], point["Maximum"]) == (6.0, 17.0, 0.5, 8.0)


def test_dimensions_and_units_tell_metrics_apart(cloudwatch: Any) -> None:
    one, two = {"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}
    for dimensions, unit, value in (
        ([], "Count", 1.0),
        ([one], "Count", 10.0),
        ([one, two], "Count", 100.0),
        ([two, one], "Seconds", 1000.0),
    ):
        data = {"MetricName": "m", "Dimensions": dimensions, "Unit": unit, "Value": value}
        cloudwatch.put_metric_data(Namespace="Test", MetricData=[data])
    assert sums(cloudwatch, "m") == [1.0]
    assert sums(cloudwatch, "m", Dimensions=[one]) == [10.0]
    assert sorted(sums(cloudwatch, "m", Dimensions=[two, one])) == [100.0, 1000.0]
    assert sums(cloudwatch, "m", Dimensions=[one, two], Unit="Seconds") == [1000.0]
    assert sums(cloudwatch, "m", Dimensions=[two]) == []
    assert len(cloudwatch.list_metrics(Dimensions=[{"Name": "a"}])["Metrics"]) == 2
    assert len(cloudwatch.list_metrics(Dimensions=[{"Name": "b", "Value": "2"}])["Metrics"]) == 1
    assert cloudwatch.list_metrics(Dimensions=[{"Name": "b", "Value": "3"}])["Metrics"] == []
    assert len(cloudwatch.list_metrics(RecentlyActive="PT3H", MetricName="m")["Metrics"]) == 3


def test_accounts_and_regions_have_their_own(served: Served, cloudwatch: Any) -> None:
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "m", "Value": 1.0}])
    assert served.client("cloudwatch", "eu-west-1").list_metrics()["Metrics"] == []


def test_the_command_line(served: Served) -> None:
    put = served.cli(
        *("cloudwatch", "put-metric-data", "--namespace", "Shell", "--metric-name", "runs", "--value", "3"),
        *("--dimensions", "Job=nightly", "--unit", "Count"),
    )
    assert put.returncode == 0, put.stderr
    now = datetime.now(UTC)
    got = served.cli(
        *("cloudwatch", "get-metric-statistics", "--namespace", "Shell", "--metric-name", "runs", "--period", "60"),
        *("--dimensions", "Name=Job,Value=nightly", "--statistics", "Sum"),
        *("--start-time", (now - HOUR_AGO).isoformat(), "--end-time", (now + SOON).isoformat()),
    )
    assert [point["Sum"] for point in json.loads(got.stdout)["Datapoints"]] == [3.0]


@pytest.mark.parametrize(
    ("datum", "code", "message"),
    [
        ({}, "MissingParameter", "The parameter MetricData.member.1.Value is required."),
        (
            {"Value": 1.0, "Values": [1.0]},
            "InvalidParameterCombination",
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you "
            "have specified both.",
        ),
        (
            {"Value": float("nan")},
            "InvalidParameterValue",
            "The value NaN for parameter MetricData.member.1.Value is invalid.",
        ),
        (
            {"Values": [1.0, 2.0], "Counts": [1.0]},
            "InvalidParameterValue",
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size.",
        ),
        (
            {"Values": [float(each) for each in range(151)]},
            "InvalidParameterValue",
            "The collection MetricData.member.1.Values must not have a size greater than 150.",
        ),
        (
            {"Value": 1.0, "Timestamp": 1.0},
            "InvalidParameterValue",
            "The parameter MetricData.member.1.Timestamp must specify a time no more than two weeks in the past.",
        ),
    ],
)
def test_what_cannot_be_is_refused(served: Served, datum: Any, code: str, message: str) -> None:
    client = served.client("cloudwatch")
    assert refusal(client.put_metric_data, Namespace="Test", MetricData=[{"MetricName": "m", **datum}]) == (
        code,
        message,
    )


def test_too_many_data_points_are_refused(cloudwatch: Any) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    code, message = refusal(
        cloudwatch.get_metric_statistics,
        Namespace="Test",
        MetricName="m",
        StartTime=now - timedelta(days=13),
        EndTime=now,
        Period=60,
        Statistics=["Sum"],
    )
    assert code == "InvalidParameterCombination"
    assert message == (
        "You have requested up to 18720 datapoints, which exceeds the limit of 1440. You may reduce the datapoints "
        "requested by increasing Period, or decreasing the time range."
    )
    code, _ = refusal(
        cloudwatch.get_metric_statistics, Namespace="T", MetricName="m", Period=45, Statistics=["Sum"], **window()
    )
    assert code == "InvalidParameterValue"


def query(name: str, metric: str, stat: str = "Sum", **more: Any) -> dict[str, Any]:
    of = {"Metric": {"Namespace": "Test", "MetricName": metric}, "Period": 60, "Stat": stat}
    return {"Id": name, "MetricStat": of, **more}


def test_get_metric_data_with_expressions_and_pages(cloudwatch: Any) -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    for minute in range(5):
        when = at + timedelta(minutes=minute)
        data = [{"MetricName": "requests", "Value": 100.0, "Timestamp": when}]
        if minute % 2:
            data.append({"MetricName": "errors", "Value": float(minute), "Timestamp": when})
        cloudwatch.put_metric_data(Namespace="Test", MetricData=data)
    queries = [
        query("m1", "requests", ReturnData=False),
        query("m2", "errors", Label="bad ones"),
        {"Id": "rate", "Expression": "100 * FILL(m2, 0) / m1", "Label": "error rate"},
        {"Id": "all", "Expression": "SUM(METRICS())", "ReturnData": False},
        {"Id": "high", "Expression": "IF(all > 101, all)"},
    ]
    times = {"StartTime": at, "EndTime": at + timedelta(minutes=5)}
    whole = cloudwatch.get_metric_data(MetricDataQueries=queries, ScanBy="TimestampAscending", **times)
    results = {each["Id"]: each for each in whole["MetricDataResults"]}
    assert results.keys() == {"m2", "rate", "high"}
    assert (results["m2"]["Label"], results["m2"]["Values"]) == ("bad ones", [1.0, 3.0])
    assert results["rate"]["Values"] == [0.0, 1.0, 0.0, 3.0, 0.0]
    assert results["rate"]["Timestamps"] == [at + timedelta(minutes=minute) for minute in range(5)]
    assert results["high"]["Values"] == [103.0]
    assert {each["StatusCode"] for each in results.values()} == {"Complete"}

    paged: dict[str, list[float]] = {}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, PaginationConfig={"PageSize": 3}, **times
    )
    counts = []
    for page in pages:
        counts.append(sum(len(each["Values"]) for each in page["MetricDataResults"]))
        for each in page["MetricDataResults"]:
            paged.setdefault(each["Id"], []).extend(each["Values"])
    assert counts == [3, 3, 2]
    assert paged == {"m2": [3.0, 1.0], "rate": [0.0, 3.0, 0.0, 1.0, 0.0], "high": [103.0]}, "the newest first"


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([{"Id": "e", "Expression": "SEARCH('x', 'Sum', 60)"}], "Dryport does not have the function SEARCH"),
        ([{"Id": "e", "Expression": "SELECT AVG(x) FROM y"}], "Metrics Insights"),
        ([{"Id": "e", "Expression": "1 +"}], "unexpected end"),
        ([{"Id": "e", "Expression": "m9 * 2"}], "m9 is not the Id of another query"),
        ([{"Id": "a", "Expression": "b"}, {"Id": "b", "Expression": "a"}], "it depends on itself"),
        ([{"Id": "Upper", "Expression": "1"}], "is not matching the expected pattern"),
        ([query("m", "x", stat="p101")], "The value p101 for parameter"),
        ([query("m", "x"), query("m", "y")], "are not unique"),
        ([query("m", "x") | {"Period": 60}], "are mutually exclusive"),
    ],
)
def test_queries_that_cannot_be_are_refused(served: Served, queries: Any, message: str) -> None:
    client = served.client("cloudwatch")
    code, said = refusal(client.get_metric_data, MetricDataQueries=queries, **window())
    assert code == "ValidationError"
    assert message in said


def test_what_is_not_carried_is_refused_by_name(served: Served) -> None:
    client = served.client("cloudwatch")
    code, message = refusal(
        client.get_metric_data, MetricDataQueries=[query("m", "x")], LabelOptions={"Timezone": "+0000"}, **window()
    )
    assert code == "NotImplemented"
    assert "LabelOptions" in message
    code, message = refusal(client.get_dashboard, DashboardName="d")
    assert code == "NotImplemented"


def test_percentiles_need_values(cloudwatch: Any) -> None:
    values = [float(each) for each in range(1, 101)]
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "known", "Values": values}])
    unknown = {"SampleCount": 10, "Sum": 50, "Minimum": 1, "Maximum": 9}
    cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "unknown", "StatisticValues": unknown}])
    asked = {"Namespace": "Test", "Period": 60, "ExtendedStatistics": ["p50", "p99", "tm10", "TC(10:20)"], **window()}
    [point] = cloudwatch.get_metric_statistics(MetricName="known", **asked)["Datapoints"]
    assert point["ExtendedStatistics"] == {"p50": 50.5, "p99": pytest.approx(99.01), "tm10": 5.5, "TC(10:20)": 10.0}
    assert cloudwatch.get_metric_statistics(MetricName="unknown", **asked)["Datapoints"] == []


def test_results_without_values_are_told_once(cloudwatch: Any) -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    for minute in range(3):
        datum = {"MetricName": "here", "Value": 1.0, "Timestamp": at + timedelta(minutes=minute)}
        cloudwatch.put_metric_data(Namespace="Test", MetricData=[datum])
    queries = [query("a", "none"), query("b", "here"), query("c", "none"), query("d", "here"), query("e", "none")]
    for size in (1, 2, 3, 5, 6, 7):
        asked = {"MetricDataQueries": queries, "StartTime": at, "EndTime": at + timedelta(minutes=5)}
        pages = cloudwatch.get_paginator("get_metric_data").paginate(PaginationConfig={"PageSize": size}, **asked)
        results = [each for page in pages for each in page["MetricDataResults"]]
        assert [each["Id"] for each in results if not each["Values"]] == ["a", "c", "e"], size
        counts = {name: sum(len(each["Values"]) for each in results if each["Id"] == name) for name in "bd"}
        assert counts == {"b": 3, "d": 3}
        last = {each["Id"]: each["StatusCode"] for each in results}
        assert set(last.values()) == {"Complete"}


def test_times_of_any_size_are_taken(served: Served) -> None:
    client = served.client("cloudwatch")
    asked = {"Namespace": "T", "MetricName": "m", "Period": 2_147_483_640, "Statistics": ["Sum"]}
    answer = client.get_metric_statistics(StartTime=0, EndTime=datetime(9999, 1, 1, tzinfo=UTC), **asked)
    assert answer["Datapoints"] == []
    code, _ = refusal(client.get_metric_statistics, StartTime=10, EndTime=10, **asked)
    assert code == "InvalidParameterValue"


def test_the_account_of_calls_has_alarms_and_no_data(tmp_path: Path) -> None:
    running = Served(tmp_path, [room, cloudtrail])
    try:
        client = running.client("cloudwatch")
        client.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "m", "Value": 1.0}])
        client.list_metrics()
        client.describe_alarms()
        client.put_composite_alarm(AlarmName="a", AlarmRule="TRUE")
        events = running.client("cloudtrail").lookup_events()["Events"]
    finally:
        running.stop()
    ours = {each["EventName"] for each in events if each["EventSource"] == "monitoring.amazonaws.com"}
    assert ours == {"DescribeAlarms", "PutCompositeAlarm"}
