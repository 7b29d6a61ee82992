"""Lifecycle rules, on a clock that the tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dryport.s3.expiry import Expirer
from tests.served import Served, refusal


class Later:
    """A clock that is some days ahead."""

    def __init__(self, days: float) -> None:
        self._ahead = timedelta(days=days)

    def time(self) -> float:
        return (datetime.now(UTC) + self._ahead).timestamp()


def pass_days(served: Served, days: float) -> None:
    """Do what rules say when so many days have passed."""
    later: Any = Later(days)
    served.run(Expirer(served.context.store, later, served.context.random).sweep())


def rule(s3: Any, **parts: Any) -> None:
    made = {"ID": "r", "Status": "Enabled", "Filter": {}, **parts}
    s3.put_bucket_lifecycle_configuration(Bucket="things", LifecycleConfiguration={"Rules": [made]})


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="things").get("Contents", [])]


def test_objects_expire(served: Served, s3: Any, bucket: str) -> None:
    for key, tagging in (("log/a", "x=1"), ("log/b", ""), ("other", "x=1")):
        s3.put_object(Bucket=bucket, Key=key, Body=b"abc", Tagging=tagging)
    tag = {"Key": "x", "Value": "1"}
    rule(s3, Filter={"And": {"Prefix": "log/", "Tags": [tag]}}, Expiration={"Days": 2})
    head = s3.head_object(Bucket=bucket, Key="log/a")
    end = (datetime.now(UTC) + timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert head["Expiration"] == f'expiry-date="{end:%a, %d %b %Y %H:%M:%S} GMT", rule-id="r"'
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="other")
    pass_days(served, 1.9)
    assert keys(s3) == ["log/a", "log/b", "other"]
    pass_days(served, 3)
    assert keys(s3) == ["log/b", "other"]
    rule(s3, Status="Disabled", Expiration={"Days": 1})
    pass_days(served, 9)
    assert keys(s3) == ["log/b", "other"]
    rule(s3, Filter={"ObjectSizeGreaterThan": 3}, Expiration={"Days": 1})
    pass_days(served, 9)
    assert keys(s3) == ["log/b", "other"]
    rule(s3, Filter={"ObjectSizeLessThan": 4}, Expiration={"Date": datetime(2020, 1, 1, tzinfo=UTC)})
    pass_days(served, 0)
    assert keys(s3) == []


def test_versions_expire_once_they_are_old(served: Served, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = [s3.put_object(Bucket=bucket, Key="a", Body=b"")["VersionId"] for _ in range(4)]

    def left() -> list[str]:
        return [one["VersionId"] for one in s3.list_object_versions(Bucket=bucket).get("Versions", [])]

    rule(s3, NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 1})
    pass_days(served, 0.0)
    assert left() == made[::-1]
    pass_days(served, 2)
    assert left() == [made[3], made[2]]
    rule(s3, Expiration={"Days": 1})
    pass_days(served, 2)
    assert keys(s3) == []
    assert left() == [made[3], made[2]]  # behind a delete marker
    rule(s3, NoncurrentVersionExpiration={"NoncurrentDays": 1}, Expiration={"ExpiredObjectDeleteMarker": True})
    pass_days(served, 9)
    pass_days(served, 9)
    assert left() == []
    assert "DeleteMarkers" not in s3.list_object_versions(Bucket=bucket)


def test_uploads_are_aborted(served: Served, s3: Any, bucket: str) -> None:
    for key in ("a/1", "b/1"):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    rule(s3, Filter={"Prefix": "a/"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})
    pass_days(served, 0)
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 2
    pass_days(served, 2)
    assert [one["Key"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["b/1"]


def test_the_configuration(s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=bucket)[0] == "NoSuchLifecycleConfiguration"
    rule(s3, Filter={"Prefix": "x"}, Expiration={"Days": 3})
    (kept,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert kept == {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 3}}
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=bucket)[0] == "NoSuchLifecycleConfiguration"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({}, "InvalidRequest"),
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
        ({"Expiration": {"Date": datetime(2020, 1, 1, 1, tzinfo=UTC)}}, "InvalidArgument"),
        ({"Expiration": {"Days": 1}, "Prefix": "a"}, "MalformedXML"),
        ({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, "NotImplemented"),
    ],
)
def test_rules_that_are_refused(s3: Any, bucket: str, parts: dict[str, Any], code: str) -> None:
    made = {"ID": "r", "Status": "Enabled", "Filter": {}, **parts}
    asked = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": [made]}}
    assert refusal(s3.put_bucket_lifecycle_configuration, **asked)[0] == code
