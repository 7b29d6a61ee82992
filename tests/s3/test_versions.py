"""Versions of objects, with boto3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.s3.sweeper import Sweeper
from tests.served import Served, refusal


def put(s3: Any, key: str, body: bytes) -> Any:
    return s3.put_object(Bucket="things", Key=key, Body=body).get("VersionId")


def read(s3: Any, key: str, **request: Any) -> Any:
    return s3.get_object(Bucket="things", Key=key, **request)["Body"].read()


def switch(s3: Any, status: str) -> None:
    s3.put_bucket_versioning(Bucket="things", VersioningConfiguration={"Status": status})


def listed(s3: Any, **request: Any) -> list[tuple[str, str, bool, bool]]:
    """Key, version, whether it is the latest, whether it is a delete marker."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket="things", **request):
        for kind in ("Versions", "DeleteMarkers"):
            found += [(v["Key"], v["VersionId"], v["IsLatest"], kind != "Versions") for v in page.get(kind, [])]
    return found


def failure(call: Any, **request: Any) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    answer = refused.value.response
    return (
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["Error"]["Code"],
        answer["ResponseMetadata"]["HTTPHeaders"],
    )


def test_life_of_versions(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert put(s3, "a", b"zero") is None
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="a")
    switch(s3, "Enabled")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.head_object(Bucket=bucket, Key="a")["VersionId"] == "null"
    one, two = put(s3, "a", b"one"), put(s3, "a", b"two")
    assert len({one, two}) == 2 and len(one) == 32
    assert [read(s3, "a", VersionId=v) for v in ("null", one, two)] == [b"zero", b"one", b"two"]
    assert s3.get_object(Bucket=bucket, Key="a")["VersionId"] == two
    assert listed(s3) == [("a", two, True, False), ("a", one, False, False), ("a", "null", False, False)]

    marker = s3.delete_object(Bucket=bucket, Key="a")
    assert marker["DeleteMarker"] is True
    status, code, headers = failure(s3.get_object, Bucket=bucket, Key="a")
    assert (status, code) == (404, "NoSuchKey")
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker["VersionId"])
    status, code, headers = failure(s3.get_object, Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert (status, code, headers["allow"]) == (405, "MethodNotAllowed", "DELETE")
    assert failure(s3.head_object, Bucket=bucket, Key="a", VersionId=marker["VersionId"])[0] == 405
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert refusal(s3.delete_bucket, Bucket=bucket)[0] == "BucketNotEmpty"

    gone = s3.delete_object(Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker["VersionId"])
    assert read(s3, "a") == b"two"
    s3.delete_object(Bucket=bucket, Key="a", VersionId=two)
    assert read(s3, "a") == b"one"
    s3.delete_object(Bucket=bucket, Key="a", VersionId="null")
    s3.delete_object(Bucket=bucket, Key="a", VersionId=one)
    assert failure(s3.get_object, Bucket=bucket, Key="a")[1] == "NoSuchKey"
    assert listed(s3) == []
    s3.delete_bucket(Bucket=bucket)


def test_suspended_versions_replace_the_null_version(s3: Any, bucket: str) -> None:
    switch(s3, "Enabled")
    one = put(s3, "a", b"one")
    switch(s3, "Suspended")
    assert put(s3, "a", b"first null") is None
    put(s3, "a", b"second null")
    assert listed(s3) == [("a", "null", True, False), ("a", one, False, False)]
    assert read(s3, "a", VersionId="null") == b"second null"
    assert s3.delete_object(Bucket=bucket, Key="a")["VersionId"] == "null"
    s3.delete_object(Bucket=bucket, Key="a")
    assert listed(s3) == [("a", one, False, False), ("a", "null", True, True)]
    assert failure(s3.get_object, Bucket=bucket, Key="a")[1] == "NoSuchKey"
    switch(s3, "Enabled")
    two = put(s3, "a", b"two")
    assert listed(s3) == [("a", two, True, False), ("a", one, False, False), ("a", "null", False, True)]


def test_what_is_refused(s3: Any, bucket: str) -> None:
    put(s3, "a", b"x")
    named = {"Bucket": bucket, "Key": "a"}
    assert refusal(s3.get_object, **named, VersionId="short") == ("InvalidArgument", "Invalid version id specified")
    assert refusal(s3.get_object, **named, VersionId="x" * 32) == (
        "NoSuchVersion",
        "The specified version does not exist.",
    )
    empty = refusal(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={})
    assert empty[0] == "IllegalVersioningConfigurationException"
    wrong = refusal(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Disabled"})
    assert wrong[0] == "MalformedXML"
    with_mfa = {"Status": "Enabled", "MFADelete": "Enabled"}
    assert refusal(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=with_mfa)[0] == "NotImplemented"
    assert refusal(s3.list_object_versions, Bucket=bucket, VersionIdMarker="x")[0] == "InvalidArgument"


def test_copies_and_multipart_uploads_have_versions(s3: Any, bucket: str) -> None:
    switch(s3, "Enabled")
    one, two = put(s3, "a", b"one"), put(s3, "a", b"two")
    source = {"Bucket": bucket, "Key": "a", "VersionId": one}
    restored = s3.copy_object(Bucket=bucket, Key="a", CopySource=source)
    assert restored["CopySourceVersionId"] == one
    assert restored["VersionId"] not in (one, two)
    assert read(s3, "a") == b"one"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key="big", UploadId=upload, PartNumber=1, CopySource={**source})
    assert part["CopySourceVersionId"] == one
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    done = s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert read(s3, "big", VersionId=done["VersionId"]) == b"one"


def test_several_are_deleted_by_version(s3: Any, bucket: str) -> None:
    switch(s3, "Enabled")
    one, two = put(s3, "a", b"one"), put(s3, "a", b"two")
    put(s3, "b", b"b")
    answer = s3.delete_objects(
        Bucket=bucket,
        Delete={"Objects": [{"Key": "a", "VersionId": two}, {"Key": "b"}, {"Key": "a", "VersionId": "?"}]},
    )
    first, second = answer["Deleted"]
    assert first == {"Key": "a", "VersionId": two}
    assert (second["Key"], second["DeleteMarker"]) == ("b", True)
    assert [one["Key"] for one in answer["Errors"]] == ["a"]
    assert read(s3, "a", VersionId=one) == read(s3, "a") == b"one"
    assert (
        s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "b", "VersionId": second["DeleteMarkerVersionId"]}]}
        )["Deleted"][0]["DeleteMarkerVersionId"]
        == second["DeleteMarkerVersionId"]
    )
    assert read(s3, "b") == b"b"


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_versions(s3: Any, bucket: str, size: int) -> None:
    put(s3, "a", b"null")
    switch(s3, "Enabled")
    for key in ("a", "c/1", "b", "a", "c/2", "a"):
        put(s3, key, key.encode())
    s3.delete_object(Bucket=bucket, Key="b")
    whole = listed(s3)
    assert len(whole) == 8
    assert sorted(listed(s3, PaginationConfig={"PageSize": size})) == sorted(whole)
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}
    )
    prefixes = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
    assert prefixes == ["c/"]
    assert [key for key, *_ in listed(s3, Prefix="c/")] == ["c/1", "c/2"]
    # Whoever deletes as he lists meets each version once.
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    assert listed(s3) == []


def test_versions_survive_a_kill_and_the_sweeper(served: Served, s3: Any, bucket: str, tmp_path: Path) -> None:
    switch(s3, "Enabled")
    one, two = put(s3, "a", b"one"), put(s3, "a", b"two")
    s3.delete_object(Bucket=bucket, Key="a")
    served.restart()
    s3 = served.client("s3", s3={"addressing_style": "path"})
    sweeper, _ = served.rooms[0].loops
    assert isinstance(sweeper, Sweeper)
    for _ in range(3):
        served.run(sweeper.sweep())
    assert [read(s3, "a", VersionId=version) for version in (one, two)] == [b"one", b"two"]
    s3.delete_object(Bucket=bucket, Key="a", VersionId=one)
    for _ in range(3):
        served.run(sweeper.sweep())
    assert read(s3, "a", VersionId=two) == b"two"
    assert len([file for file in (tmp_path / "s3").rglob("*") if file.is_file()]) == 1
