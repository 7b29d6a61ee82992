"""Every call is found again, in CloudTrail's format, without its secrets."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dryport.cloudtrail.room import room
from dryport.iam.room import room as iam_room
from dryport.s3.room import room as s3_room
from dryport.secretsmanager.room import room as secrets_room
from dryport.ssm.room import room as ssm_room
from dryport.sts.room import room as sts_room
from tests.served import Served

ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole"}
MAY_ASSUME = {"Version": "2012-10-17", "Statement": [{**ASSUME, "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
ROOMS = [room, iam_room, s3_room, secrets_room, ssm_room, sts_room]


@pytest.fixture
def served() -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-cloudtrail-"))
    made = Served(state_dir, ROOMS)
    yield made
    made.stop()
    shutil.rmtree(state_dir)


def found(served: Served, **attribute: str) -> list[dict[str, Any]]:
    """The events with an attribute, the newest first."""
    asked = [{"AttributeKey": key, "AttributeValue": value} for key, value in attribute.items()]
    pages = served.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=asked)
    return [each for page in pages for each in page["Events"]]


def told(served: Served, name: str) -> dict[str, Any]:
    """The last event of a name."""
    event: dict[str, Any] = json.loads(found(served, EventName=name)[0]["CloudTrailEvent"])
    return event


def test_a_call_of_the_root_user(served: Served) -> None:
    before = int(time.time())
    served.client("ssm").put_parameter(Name="/a", Type="SecureString", Value="very secret")
    (summary,) = found(served, EventName="PutParameter")
    assert (summary["EventSource"], summary["ReadOnly"], summary["Username"]) == ("ssm.amazonaws.com", "false", "root")
    event = json.loads(summary["CloudTrailEvent"])
    assert event["eventTime"] >= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before))
    assert event.pop("eventID") == summary["EventId"] and event.pop("requestID")
    assert "Boto3" in event.pop("userAgent") and event.pop("eventTime")
    assert event == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root",
            "principalId": "000000000000",
            "arn": "arn:aws:iam::000000000000:root",
            "accountId": "000000000000",
            "accessKeyId": served.key.access_key_id,
        },
        "eventSource": "ssm.amazonaws.com",
        "eventName": "PutParameter",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "requestParameters": {"name": "/a", "type": "SecureString", "value": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        "responseElements": {"version": 1, "tier": "Standard"},
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "000000000000",
        "eventCategory": "Management",
    }


def test_events_are_found_by_what_they_are_about(served: Served) -> None:
    iam, s3, secrets = (served.client(name) for name in ("iam", "s3", "secretsmanager"))
    iam.create_user(UserName="ann")
    iam.create_user(UserName="bob")
    iam.add_user_to_group(UserName="ann", GroupName=iam.create_group(GroupName="team")["Group"]["GroupName"])
    s3.create_bucket(Bucket="photos")
    secrets.create_secret(Name="db", SecretString="x")
    (made,) = [each for each in found(served, ResourceName="ann") if each["EventName"] == "CreateUser"]
    assert made["Resources"] == [{"ResourceType": "AWS::IAM::User", "ResourceName": "ann"}]
    users = [each["EventName"] for each in found(served, ResourceType="AWS::IAM::User")]
    assert users == ["CreateUser", "CreateUser"]
    assert [each["EventName"] for each in found(served, ResourceName="team")] == ["AddUserToGroup", "CreateGroup"]
    assert [each["EventName"] for each in found(served, ResourceName="photos")] == ["CreateBucket"]
    assert [each["EventName"] for each in found(served, ResourceName="nobody")] == []


def test_users_and_sessions_are_told_apart_and_refusals_recorded(served: Served) -> None:
    iam = served.client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    endpoint = f"http://127.0.0.1:{served.port}"
    with pytest.raises(ClientError):
        ann.client("ssm", endpoint_url=endpoint).get_parameter(Name="/a")
    refused = told(served, "GetParameter")
    assert refused["errorCode"] == "AccessDeniedException" and "is not authorized to perform" in refused["errorMessage"]
    assert refused["userIdentity"]["type"] == "IAMUser" and refused["userIdentity"]["userName"] == "ann"
    assert refused["userIdentity"]["principalId"].startswith("AIDA") and refused["responseElements"] is None

    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.attach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMFullAccess")
    iam.put_user_policy(UserName="ann", PolicyName="assume", PolicyDocument=json.dumps(MAY_ASSUME))
    given = ann.client("sts", endpoint_url=endpoint).assume_role(RoleArn=role["Arn"], RoleSessionName="now")[
        "Credentials"
    ]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "us-east-1")
    session.client("ssm", endpoint_url=endpoint).describe_parameters()
    who = told(served, "DescribeParameters")["userIdentity"]
    assert who["type"] == "AssumedRole" and who["arn"].endswith(":assumed-role/reader/now")
    issuer = who["sessionContext"]["sessionIssuer"]
    assert (issuer["arn"], issuer["userName"], issuer["principalId"]) == (role["Arn"], "reader", role["RoleId"])
    assumed = told(served, "AssumeRole")
    assert assumed["readOnly"] and assumed["responseElements"]["credentials"]["accessKeyId"] == given["AccessKeyId"]


def test_no_secret_is_written(served: Served) -> None:
    secrets = served.client("secretsmanager")
    arn = secrets.create_secret(Name="s", SecretString="first secret words")["ARN"]
    secrets.put_secret_value(SecretId=arn, SecretBinary=b"second secret words")
    served.client("ssm").put_parameter(Name="/a", Type="SecureString", Value="third secret words")
    iam = served.client("iam")
    iam.create_user(UserName="ann")
    fourth = iam.create_access_key(UserName="ann")["AccessKey"]["SecretAccessKey"]
    assert len(found(served)) >= 5
    written = b"".join(path.read_bytes() for path in served.state_dir.glob("audit/*"))
    for secret in (b"secret words", b"c2Vjb25kIHNlY3JldCB3b3Jkcw", fourth.encode()):
        assert secret not in written
    assert {path.stat().st_mode & 0o777 for path in served.state_dir.glob("audit/*")} == {0o600}


def test_data_events_are_not_recorded(served: Served) -> None:
    s3 = served.client("s3")
    s3.create_bucket(Bucket="my-bucket")
    s3.put_object(Bucket="my-bucket", Key="k", Body=b"x")
    s3.get_object(Bucket="my-bucket", Key="k")
    assert {each["EventName"] for each in found(served, EventSource="s3.amazonaws.com")} == {"CreateBucket"}


def test_pages_times_and_attributes(served: Served) -> None:
    ssm = served.client("ssm")
    for number in range(7):
        ssm.put_parameter(Name=f"/{number}", Type="String", Value="v")
    trail = served.client("cloudtrail")
    named = [{"AttributeKey": "EventName", "AttributeValue": "PutParameter"}]
    seen: list[str] = []
    token: dict[str, str] = {}
    for _ in range(4):
        page = trail.lookup_events(LookupAttributes=named, MaxResults=2, **token)
        seen += [json.loads(each["CloudTrailEvent"])["requestParameters"]["name"] for each in page["Events"]]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
    assert seen == [f"/{number}" for number in reversed(range(7))] and not token
    assert not trail.lookup_events(EndTime=time.time() - 3600)["Events"]
    assert {each["EventName"] for each in found(served, ReadOnly="false")} == {"PutParameter"}
    assert (
        len(
            found(
                served,
                AccessKeyId=served.key.access_key_id,
            )
        )
        >= 7
    )
    one = found(served, EventName="PutParameter")[0]["EventId"]
    assert [each["EventId"] for each in found(served, EventId=one)] == [one]
    for wrong, code in (
        ({"LookupAttributes": [*named, *named]}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "x"}]}, "ValidationException"),
        ({"StartTime": 2e9}, "InvalidTimeRangeException"),
        ({"NextToken": "nonsense"}, "InvalidNextTokenException"),
    ):
        with pytest.raises(ClientError, match=code):
            trail.lookup_events(**wrong)


def test_events_outlive_a_killed_control_plane(served: Served) -> None:
    served.client("ssm").put_parameter(Name="/a", Type="String", Value="v")
    before = found(served, EventName="PutParameter")
    served.restart()
    assert found(served, EventName="PutParameter") == before
    assert served.client("cloudtrail").describe_trails()["trailList"] == []
