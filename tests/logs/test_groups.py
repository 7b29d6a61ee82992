"""Log groups, their retention and their tags, and log streams, with boto3."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dryport.logs.purge import groups as stored_groups
from tests.served import Served, refusal


def test_life_of_a_group(logs: Any) -> None:
    logs.create_log_group(logGroupName="/ecs/web", tags={"team": "blue"})
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/ecs")["logGroups"]
    assert abs(group.pop("creationTime") - time.time() * 1000) < 60_000
    assert group == {
        "logGroupName": "/ecs/web",
        "metricFilterCount": 0,
        "arn": "arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web:*",
        "logGroupArn": "arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web",
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "deletionProtectionEnabled": False,
    }
    assert refusal(logs.create_log_group, logGroupName="/ecs/web") == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    logs.delete_log_group(logGroupName="/ecs/web")
    assert logs.describe_log_groups()["logGroups"] == []
    assert refusal(logs.delete_log_group, logGroupName="/ecs/web") == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )


def test_groups_are_listed_by_page_prefix_and_pattern(logs: Any) -> None:
    names = [f"g{number:02}/{'even' if number % 2 == 0 else 'odd'}" for number in range(7)]
    for name in reversed(names):
        logs.create_log_group(logGroupName=name)
    pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 3})
    sizes = []
    found = []
    for page in pages:
        sizes.append(len(page["logGroups"]))
        found += [group["logGroupName"] for group in page["logGroups"]]
    assert (found, sizes) == (names, [3, 3, 1])
    even = logs.describe_log_groups(logGroupNamePattern="even")["logGroups"]
    assert [group["logGroupName"] for group in even] == names[::2]
    whole = logs.describe_log_groups(logGroupNamePrefix=names[0])["logGroups"][0]
    without = ("storedBytes", "deletionProtectionEnabled")  # as AWS's answers to a pattern are
    assert even[0] == {name: value for name, value in whole.items() if name not in without}
    one = logs.describe_log_groups(logGroupIdentifiers=[names[3]])["logGroups"]
    assert [group["logGroupName"] for group in one] == [names[3]]
    listed = logs.list_log_groups(logGroupNamePattern="^g00|odd")["logGroups"]
    assert [group["logGroupName"] for group in listed] == [names[0], *names[1::2]]
    assert refusal(logs.describe_log_groups, nextToken="!")[0] == "InvalidParameterException"
    assert refusal(logs.describe_log_groups, logGroupNamePrefix="a", logGroupNamePattern="b")[0] == (
        "InvalidParameterException"
    )


def test_a_region_of_its_own(served: Served, logs: Any) -> None:
    logs.create_log_group(logGroupName="here")
    assert served.client("logs", "eu-west-1").describe_log_groups()["logGroups"] == []


def test_what_is_not_acted_on_is_refused(logs: Any) -> None:
    for extra in ({"kmsKeyId": "arn:aws:kms:us-east-1:000000000000:key/a"}, {"logGroupClass": "INFREQUENT_ACCESS"}):
        code, message = refusal(logs.create_log_group, logGroupName="a", **extra)
        assert code == "NotImplemented"
        assert next(iter(extra)) in message
    assert refusal(logs.create_log_group, logGroupName="aws/mine") == (
        "InvalidParameterException",
        "Log groups starting with AWS/ are reserved for AWS.",
    )


def test_deletion_protection(logs: Any) -> None:
    logs.create_log_group(logGroupName="keep", deletionProtectionEnabled=True)
    assert refusal(logs.delete_log_group, logGroupName="keep")[0] == "ValidationException"
    logs.put_log_group_deletion_protection(logGroupIdentifier="keep", deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName="keep")


def test_tags(logs: Any) -> None:
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:g"
    logs.create_log_group(logGroupName="g", tags={"a": "1"})
    logs.tag_resource(resourceArn=arn, tags={"b": "2", "a": "3"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "3", "b": "2"}
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert logs.list_tags_log_group(logGroupName="g")["tags"] == {"b": "2"}
    logs.tag_log_group(logGroupName="g", tags={"c": ""})
    logs.untag_log_group(logGroupName="g", tags=["b"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": ""}
    many = {f"k{number}": "v" for number in range(50)}
    assert refusal(logs.tag_resource, resourceArn=arn, tags=many)[0] == "TooManyTagsException"
    assert refusal(logs.tag_resource, resourceArn=arn + "no", tags={"a": "b"})[0] == "ResourceNotFoundException"


def test_retention_is_shown_and_checked(logs: Any) -> None:
    logs.create_log_group(logGroupName="g")
    logs.put_retention_policy(logGroupName="g", retentionInDays=7)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 7
    logs.delete_retention_policy(logGroupName="g")
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    code, message = refusal(logs.put_retention_policy, logGroupName="g", retentionInDays=2)
    assert code == "InvalidParameterException"
    assert "Value '2' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set" in message


def test_streams(logs: Any) -> None:
    logs.create_log_group(logGroupName="g")
    missing = ("ResourceNotFoundException", "The specified log group does not exist.")
    assert refusal(logs.create_log_stream, logGroupName="no", logStreamName="s") == missing
    names = ["a/1", "a/2", "a0", "b/1"]
    for name in names:
        logs.create_log_stream(logGroupName="g", logStreamName=name)
    assert refusal(logs.create_log_stream, logGroupName="g", logStreamName="a/1") == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )
    now = round(time.time() * 1000)
    for age, name in enumerate(["b/1", "a/2", "a/1"]):
        logs.put_log_events(
            logGroupName="g", logStreamName=name, logEvents=[{"timestamp": now - age * 1000, "message": "m"}]
        )

    def listed(**request: Any) -> list[str]:
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName="g", PaginationConfig={"PageSize": 2}, **request
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert listed() == names
    assert listed(descending=True) == names[::-1]
    assert listed(logStreamNamePrefix="a/") == ["a/1", "a/2"]
    assert listed(orderBy="LastEventTime") == ["a0", "a/1", "a/2", "b/1"]
    assert listed(orderBy="LastEventTime", descending=True) == ["b/1", "a/2", "a/1", "a0"]
    assert refusal(logs.describe_log_streams, logGroupName="g", orderBy="LastEventTime", logStreamNamePrefix="a") == (
        "InvalidParameterException",
        "Cannot order by LastEventTime with a logStreamNamePrefix.",
    )
    (stream,) = logs.describe_log_streams(logGroupIdentifier="g", logStreamNamePrefix="b")["logStreams"]
    assert refusal(logs.describe_log_streams, logGroupIdentifier="g", logGroupName="g") == (
        "ValidationException",
        "LogGroup name and LogGroup ARN are mutually exclusive parameters.",
    )
    assert refusal(logs.describe_log_streams)[0] == "InvalidParameterException"
    assert stream["arn"] == "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:b/1"
    assert stream["firstEventTimestamp"] == stream["lastEventTimestamp"] == now
    assert stream["lastIngestionTime"] >= now
    assert stream["storedBytes"] == 0
    (empty,) = logs.describe_log_streams(logGroupName="g", logStreamNamePrefix="a0")["logStreams"]
    assert set(empty) == {"logStreamName", "creationTime", "arn", "storedBytes"}
    logs.delete_log_stream(logGroupName="g", logStreamName="a/1")
    assert listed() == names[1:]
    assert refusal(logs.delete_log_stream, logGroupName="g", logStreamName="a/1") == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )


def test_stored_bytes_and_a_group_that_is_made_again(served: Served, logs: Any) -> None:
    for _ in range(2):
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        events = [{"timestamp": round(time.time() * 1000), "message": "é" * 10}]
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
        assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == 46
        assert len(logs.filter_log_events(logGroupName="g")["events"]) == 1
        logs.delete_log_group(logGroupName="g")
    (retention,) = served.rooms[0].loops
    served.run(retention.sweep())  # type: ignore[attr-defined]
    storage = retention._storage  # type: ignore[attr-defined]
    assert served.run(storage.read(stored_groups)) == []
    count = served.run(storage.read(lambda c: c.execute("SELECT count(*) FROM events").fetchone()[0]))
    assert count == 0


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_partitions(served: Served, region: str) -> None:
    logs = served.client("logs", region)
    logs.create_log_group(logGroupName="g")
    partition = "aws-cn" if region.startswith("cn") else "aws-us-gov"
    assert logs.describe_log_groups()["logGroups"][0]["arn"].startswith(f"arn:{partition}:logs:{region}:")


def test_names_that_are_too_long(logs: Any) -> None:
    logs.create_log_group(logGroupName="g")
    too_long = (
        "InvalidParameterException",
        "Invalid LogGroup or LogStream, both must have length less than or equal to 512.",
    )
    assert refusal(logs.create_log_group, logGroupName="g" * 513) == too_long
    assert refusal(logs.create_log_stream, logGroupName="g", logStreamName="s" * 513) == too_long
