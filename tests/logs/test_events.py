"""Log events in and out, with boto3 and the AWS CLI."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import Any

import pytest

from tests.served import Served, refusal

HOUR = 3_600_000
DAY = 24 * HOUR


def now() -> int:
    return round(time.time() * 1000)


@pytest.fixture
def stream(logs: Any) -> dict[str, str]:
    """A stream, as the parameters that name it."""
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    return {"logGroupName": "g", "logStreamName": "s"}


def put(logs: Any, stream: dict[str, str], start: int, count: int, text: str = "line") -> None:
    events = [{"timestamp": start + number, "message": f"{text} {number}"} for number in range(count)]
    logs.put_log_events(**stream, logEvents=events)


def messages(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


def test_a_batch_comes_back(logs: Any, stream: dict[str, str]) -> None:
    start = now()
    answer = logs.put_log_events(
        **stream, sequenceToken="ignored", logEvents=[{"timestamp": start, "message": "grün\n{}"}]
    )
    assert len(answer["nextSequenceToken"]) == 56
    assert "rejectedLogEventsInfo" not in answer
    answer = logs.get_log_events(**stream)
    (event,) = answer["events"]
    assert event["message"] == "grün\n{}"
    assert event["timestamp"] == start <= event["ingestionTime"]


def test_pages_forward_and_backward(logs: Any, stream: dict[str, str]) -> None:
    start = now() - 1000
    put(logs, stream, start, 5)
    first = logs.get_log_events(**stream, startFromHead=True, limit=2)
    assert messages(first) == ["line 0", "line 1"]
    second = logs.get_log_events(**stream, startFromHead=True, limit=2, nextToken=first["nextForwardToken"])
    assert messages(second) == ["line 2", "line 3"]
    third = logs.get_log_events(**stream, startFromHead=True, limit=2, nextToken=second["nextForwardToken"])
    assert messages(third) == ["line 4"]
    end = logs.get_log_events(**stream, startFromHead=True, nextToken=third["nextForwardToken"])
    assert end["events"] == []
    assert end["nextForwardToken"] == third["nextForwardToken"]
    put(logs, stream, start + 10, 1, "late")
    again = logs.get_log_events(**stream, startFromHead=True, nextToken=end["nextForwardToken"])
    assert messages(again) == ["late 0"]
    back = logs.get_log_events(**stream, limit=3, nextToken=end["nextBackwardToken"])
    assert messages(back) == ["line 2", "line 3", "line 4"]
    back = logs.get_log_events(**stream, limit=3, nextToken=back["nextBackwardToken"])
    assert messages(back) == ["line 0", "line 1"]
    top = logs.get_log_events(**stream, nextToken=back["nextBackwardToken"])
    assert (top["events"], top["nextBackwardToken"]) == ([], back["nextBackwardToken"])
    assert messages(logs.get_log_events(**stream, limit=2)) == ["line 4", "late 0"]
    assert refusal(logs.get_log_events, **stream, nextToken="f/12/s") == (
        "InvalidParameterException",
        "The specified nextToken is invalid.",
    )


def test_an_empty_stream_is_followed(logs: Any, stream: dict[str, str]) -> None:
    empty = logs.get_log_events(**stream, startFromHead=True)
    assert empty["events"] == []
    far = logs.get_log_events(**stream, startTime=2**62)
    assert logs.get_log_events(**stream, nextToken=far["nextForwardToken"])["events"] == []
    put(logs, stream, now(), 1)
    assert messages(logs.get_log_events(**stream, startFromHead=True, nextToken=empty["nextForwardToken"])) == [
        "line 0"
    ]


def test_time_ranges(logs: Any, stream: dict[str, str]) -> None:
    start = now() - 1000
    put(logs, stream, start, 5)
    # GetLogEvents leaves the end out, FilterLogEvents has it in.
    assert messages(logs.get_log_events(**stream, startTime=start + 1, endTime=start + 3)) == ["line 1", "line 2"]
    found = logs.filter_log_events(logGroupName="g", startTime=start + 1, endTime=start + 3)
    assert messages(found) == ["line 1", "line 2", "line 3"]


def test_events_out_of_order_between_batches(logs: Any, stream: dict[str, str]) -> None:
    start = now()
    put(logs, stream, start, 2, "later")
    put(logs, stream, start - 10, 2, "earlier")
    assert messages(logs.get_log_events(**stream)) == ["earlier 0", "earlier 1", "later 0", "later 1"]


def test_refused_batches(logs: Any, stream: dict[str, str]) -> None:
    start = now()

    def refused(events: list[tuple[int, str]], **names: str) -> tuple[str, str]:
        batch = [{"timestamp": stamp, "message": text} for stamp, text in events]
        return refusal(logs.put_log_events, **{**stream, **names}, logEvents=batch)

    invalid = "InvalidParameterException"
    assert refused([(start, "a"), (start - 1, "b")]) == (
        invalid,
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    assert refused([(start - DAY - 1, "a"), (start, "b")]) == (
        invalid,
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    )
    assert refused([(start, "x" * 600_000), (start, "x" * 600_000)]) == (
        invalid,
        "Upload too large: 1200052 bytes exceeds limit of 1048576",
    )
    assert refused([(start, "a")], logStreamName="no") == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
    assert refused([(start, "a")], logGroupName="no") == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
    assert refused([(start, "a")] * 10_001)[0] == invalid
    assert refused([(start, "")])[0] == invalid
    assert refused([])[0] == invalid
    code, message = refusal(
        logs.put_log_events, **stream, logEvents=[{"timestamp": start, "message": "a"}], entity={"attributes": {}}
    )
    assert (code, "entity" in message) == ("NotImplemented", True)
    assert logs.get_log_events(**stream)["events"] == []


def test_rejected_events(logs: Any, stream: dict[str, str]) -> None:
    start = now()
    stamps = [start - 15 * DAY, start - 15 * DAY + 1, start - 1000, start, start + 3 * HOUR]
    batch = [{"timestamp": stamp, "message": "m"} for stamp in stamps]
    answer = logs.put_log_events(**stream, logEvents=batch)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}
    assert len(logs.get_log_events(**stream)["events"]) == 2
    logs.put_retention_policy(logGroupName="g", retentionInDays=1)
    batch = [{"timestamp": stamp, "message": "n"} for stamp in (start - 2 * DAY, start - DAY + HOUR)]
    answer = logs.put_log_events(**stream, logEvents=batch)
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}


def test_retention_hides_and_then_deletes(served: Served, logs: Any, stream: dict[str, str]) -> None:
    start = now()
    put(logs, stream, start - 10 * DAY, 3, "old")
    put(logs, stream, start - 1000, 1, "new")
    logs.put_retention_policy(logGroupName="g", retentionInDays=7)
    assert messages(logs.get_log_events(**stream, startFromHead=True)) == ["new 0"]
    assert messages(logs.filter_log_events(logGroupName="g")) == ["new 0"]
    (retention,) = served.rooms[0].loops
    served.run(retention.sweep())  # type: ignore[attr-defined]
    logs.delete_retention_policy(logGroupName="g")
    assert messages(logs.get_log_events(**stream, startFromHead=True)) == ["new 0"]
    assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == len("new 0") + 26
    assert logs.describe_log_streams(logGroupName="g")["logStreams"][0]["firstEventTimestamp"] == start - 1000


def test_filter_interleaves_and_pages(logs: Any) -> None:
    start = now() - 100_000
    logs.create_log_group(logGroupName="g")
    expected: list[tuple[int, str]] = []
    for number in range(3):
        name = f"web/{number}"
        logs.create_log_stream(logGroupName="g", logStreamName=name)
        events: list[dict[str, Any]] = [
            {"timestamp": start + at * 10 + number, "message": f"{name} at {at}"} for at in range(20)
        ]
        logs.put_log_events(logGroupName="g", logStreamName=name, logEvents=events)
        expected += [(event["timestamp"], event["message"]) for event in events]
    logs.create_log_stream(logGroupName="g", logStreamName="db")
    put(logs, {"logGroupName": "g", "logStreamName": "db"}, start, 1, "db")
    expected.sort()

    def found(size: int = 7, **request: Any) -> list[tuple[int, str]]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName="g", logStreamNamePrefix="web/", PaginationConfig={"PageSize": size}, **request
        )
        return [(event["timestamp"], event["message"]) for page in pages for event in page["events"]]

    assert found() == expected
    assert found(startFromHead=False) == expected[::-1]
    assert found(filterPattern='"at 7"') == [pair for pair in expected if pair[1].endswith("at 7")]
    named = logs.filter_log_events(logGroupName="g", logStreamNames=["web/1", "db"])
    assert {event["logStreamName"] for event in named["events"]} == {"web/1", "db"}
    assert named["searchedLogStreams"] == []
    assert len({event["eventId"] for event in named["events"]}) == 21
    assert all(len(event["eventId"]) == 56 for event in named["events"])
    assert refusal(logs.filter_log_events, logGroupName="g", logStreamNames=["a"], logStreamNamePrefix="b")[0] == (
        "InvalidParameterException"
    )
    assert refusal(logs.filter_log_events, logGroupName="g", filterPattern="a-b") == (
        "InvalidParameterException",
        "Invalid character(s) in term '-'",
    )
    assert refusal(logs.filter_log_events, logGroupName="g", startFromHead=False, startTime=1)[0] == (
        "InvalidParameterException"
    )


def test_pages_hold_a_megabyte(logs: Any, stream: dict[str, str]) -> None:
    for number in range(3):
        put(logs, stream, now() - 10 + number, 1, "x" * 600_000)
    page = logs.get_log_events(**stream, startFromHead=True)
    assert len(page["events"]) == 1
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="g")
    assert [len(page["events"]) for page in pages] == [1, 1, 1]


def test_metric_filter(logs: Any) -> None:
    answer = logs.test_metric_filter(
        filterPattern="[level = ERROR, code]", logEventMessages=["ERROR 1", "INFO 2", "ERROR 3"]
    )
    assert answer["matches"] == [
        {"eventNumber": 1, "eventMessage": "ERROR 1", "extractedValues": {"$level": "ERROR", "$code": "1"}},
        {"eventNumber": 3, "eventMessage": "ERROR 3", "extractedValues": {"$level": "ERROR", "$code": "3"}},
    ]


def test_everything_acknowledged_is_there_after_a_restart(served: Served, logs: Any, stream: dict[str, str]) -> None:
    start = now() - 1000
    acknowledged: list[str] = []

    def writer(name: int) -> None:
        client = served.client("logs")
        for number in range(20):
            text = f"{name} {number}"
            client.put_log_events(**stream, logEvents=[{"timestamp": start + number, "message": text}])
            acknowledged.append(text)

    threads = [threading.Thread(target=writer, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    served.restart()
    found = served.client("logs").get_log_events(**stream, startFromHead=True)
    assert sorted(messages(found)) == sorted(acknowledged)
    assert len(acknowledged) == 80


def test_aws_logs_tail_follows(served: Served, logs: Any, stream: dict[str, str]) -> None:
    put(logs, stream, now() - 5000, 2, "before")
    # "logs tail" is in version 2 alone, which PyPI does not have: Debian's package awscli.
    command = ["/usr/bin/aws", "--endpoint-url", served.endpoint, "logs", "tail", "g", "--follow", "--format", "short"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=served.environment()) as tail:
        assert tail.stdout is not None
        lines = [tail.stdout.readline().rstrip() for _ in range(2)]
        put(logs, stream, now(), 1, "after")
        lines.append(tail.stdout.readline().rstrip())
        tail.terminate()
    assert [line.split(" ", 1)[1] for line in lines] == ["before 0", "before 1", "after 0"]


def test_aws_cli_round_trip(served: Served) -> None:
    assert served.cli("logs", "create-log-group", "--log-group-name", "c").returncode == 0
    served.cli("logs", "create-log-stream", "--log-group-name", "c", "--log-stream-name", "s")
    events = json.dumps([{"timestamp": now(), "message": "hello"}])
    names = ("--log-group-name", "c", "--log-stream-name", "s")
    served.cli("logs", "put-log-events", *names, "--log-events", events)
    answer = json.loads(served.cli("logs", "get-log-events", *names).stdout)
    assert messages(answer) == ["hello"]
