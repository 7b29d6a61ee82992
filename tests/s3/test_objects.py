"""Buckets and objects with boto3 and the AWS CLI."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.served import Served, refusal


def put(s3: Any, key: str, body: bytes = b"content", **request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = s3.put_object(Bucket="things", Key=key, Body=body, **request)
    return answer


def read(s3: Any, key: str, **request: Any) -> bytes:
    body: bytes = s3.get_object(Bucket="things", Key=key, **request)["Body"].read()
    return body


def status(call: Any, **request: Any) -> int:
    with pytest.raises(ClientError) as refused:
        call(**request)
    code: int = refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return code


def test_life_of_a_bucket(served: Served, s3: Any) -> None:
    assert s3.create_bucket(Bucket="things")["Location"] == "/things"
    assert s3.head_bucket(Bucket="things")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="things").get("LocationConstraint") is None
    elsewhere = served.client("s3", "eu-west-1", s3={"addressing_style": "path"})
    elsewhere.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket="far")["LocationConstraint"] == "eu-west-1"
    listed = s3.list_buckets()
    assert [one["Name"] for one in listed["Buckets"]] == ["far", "things"]
    assert len(listed["Owner"]["ID"]) == 64
    assert refusal(elsewhere.create_bucket, Bucket="no")[0] == "InvalidBucketName"
    assert refusal(elsewhere.create_bucket, Bucket="unspecified")[0] == "IllegalLocationConstraintException"
    twice = {"Bucket": "far", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    assert refusal(elsewhere.create_bucket, **twice)[0] == "BucketAlreadyOwnedByYou"
    put(s3, "a")
    assert refusal(s3.delete_bucket, Bucket="things") == (
        "BucketNotEmpty",
        "The bucket you tried to delete is not empty",
    )
    s3.delete_object(Bucket="things", Key="a")
    s3.delete_bucket(Bucket="things")
    assert status(s3.head_bucket, Bucket="things") == 404
    assert refusal(s3.list_objects_v2, Bucket="things") == ("NoSuchBucket", "The specified bucket does not exist")


def test_an_object(s3: Any, bucket: str) -> None:
    answer = put(
        s3, "a/b c+ü.txt", b"hello", ContentType="text/plain", Metadata={"who": "me"}, CacheControl="max-age=1"
    )
    md5 = hashlib.md5(b"hello").hexdigest()
    assert answer["ETag"] == f'"{md5}"'
    assert answer["ChecksumCRC32"] == base64.b64encode(bytes.fromhex("3610a686")).decode()
    found = s3.get_object(Bucket=bucket, Key="a/b c+ü.txt")
    assert found["Body"].read() == b"hello"
    head = s3.head_object(Bucket=bucket, Key="a/b c+ü.txt", ChecksumMode="ENABLED")
    for one in (found, head):
        assert (one["ContentLength"], one["ContentType"], one["ETag"]) == (5, "text/plain", f'"{md5}"')
        assert (one["Metadata"], one["CacheControl"], one["AcceptRanges"]) == ({"who": "me"}, "max-age=1", "bytes")
        assert abs(one["LastModified"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert head["ChecksumCRC32"] == answer["ChecksumCRC32"]
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert refusal(s3.get_object, Bucket=bucket, Key="no") == ("NoSuchKey", "The specified key does not exist.")
    assert status(s3.head_object, Bucket=bucket, Key="no") == 404
    s3.delete_object(Bucket=bucket, Key="a/b c+ü.txt")
    s3.delete_object(Bucket=bucket, Key="a/b c+ü.txt")
    assert status(s3.head_object, Bucket=bucket, Key="a/b c+ü.txt") == 404


def test_an_empty_object(s3: Any, bucket: str) -> None:
    put(s3, "empty", b"")
    assert read(s3, "empty") == b""
    assert s3.head_object(Bucket=bucket, Key="empty")["ContentLength"] == 0
    assert s3.head_object(Bucket=bucket, Key="empty")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("text", "expected", "header"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
        ("lines=1-2", b"0123456789", None),
        ("bytes=5-2", b"0123456789", None),
    ],
)
def test_ranges(s3: Any, bucket: str, text: str, expected: bytes, header: str | None) -> None:
    put(s3, "digits", b"0123456789")
    answer = s3.get_object(Bucket=bucket, Key="digits", Range=text)
    assert answer["Body"].read() == expected
    assert answer.get("ContentRange") == header
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == (206 if header else 200)
    if text == "bytes=0-3":
        assert refusal(s3.get_object, Bucket=bucket, Key="digits", Range="bytes=10-") == (
            "InvalidRange",
            "The requested range is not satisfiable",
        )


def test_conditions(s3: Any, bucket: str) -> None:
    etag = put(s3, "a")["ETag"]
    named = {"Bucket": bucket, "Key": "a"}
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=1)
    assert read(s3, "a", IfMatch=etag) == b"content"
    assert read(s3, "a", IfModifiedSince=past) == b"content"
    assert status(s3.get_object, **named, IfMatch='"x"') == 412
    assert status(s3.get_object, **named, IfNoneMatch=etag) == 304
    assert status(s3.head_object, **named, IfNoneMatch=etag) == 304
    assert status(s3.get_object, **named, IfModifiedSince=future) == 304
    assert status(s3.get_object, **named, IfUnmodifiedSince=past) == 412
    assert refusal(s3.put_object, **named, Body=b"b", IfNoneMatch="*")[0] == "PreconditionFailed"
    assert refusal(s3.put_object, Bucket=bucket, Key="new", Body=b"b", IfMatch=etag)[0] == "NoSuchKey"
    s3.put_object(**named, Body=b"b", IfMatch=etag)
    assert read(s3, "a") == b"b"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(s3: Any, bucket: str, algorithm: str) -> None:
    answer = put(s3, "a", b"123456789", ChecksumAlgorithm=algorithm)
    known = {
        "CRC32": "y/Q5Jg==",
        "CRC32C": "4waSgw==",
        "CRC64NVME": "rosUhgp5mIg=",
        "SHA1": base64.b64encode(hashlib.sha1(b"123456789").digest()).decode(),
        "SHA256": base64.b64encode(hashlib.sha256(b"123456789").digest()).decode(),
    }[algorithm]
    assert answer[f"Checksum{algorithm}"] == known
    assert s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")[f"Checksum{algorithm}"] == known
    wrong = base64.b64encode(bytes(len(base64.b64decode(known)))).decode()
    assert refusal(s3.put_object, Bucket=bucket, Key="b", Body=b"x", **{f"Checksum{algorithm}": wrong})[0] == (
        "BadDigest"
    )
    assert refusal(s3.put_object, Bucket=bucket, Key="b", Body=b"x", **{f"Checksum{algorithm}": "eA=="})[0] == (
        "InvalidRequest"
    )
    assert status(s3.head_object, Bucket=bucket, Key="b") == 404


def test_md5_and_the_default_checksum(served: Served, bucket: str) -> None:
    plain = served.client("s3", s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    answer = plain.put_object(Bucket=bucket, Key="a", Body=b"123456789")
    assert answer["ChecksumCRC64NVME"] == "rosUhgp5mIg="
    wrong = base64.b64encode(bytes(16)).decode()
    assert refusal(plain.put_object, Bucket=bucket, Key="b", Body=b"x", ContentMD5=wrong)[0] == "BadDigest"
    assert refusal(plain.put_object, Bucket=bucket, Key="b", Body=b"x", ContentMD5="eA==")[0] == "InvalidDigest"


def test_several_are_deleted(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c&<"):
        put(s3, key)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "c&<"}, {"Key": "no"}]})
    assert sorted(one["Key"] for one in answer["Deleted"]) == ["a", "c&<", "no"]
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b"]


def test_copies(served: Served, s3: Any, bucket: str) -> None:
    put(s3, "a b", b"payload", ContentType="text/plain", Metadata={"x": "1"})
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b"})
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"payload").hexdigest()}"'
    s3.delete_object(Bucket=bucket, Key="a b")
    sweeper, _ = served.rooms[0].loops
    for _ in range(3):
        served.run(sweeper.sweep())  # type: ignore[attr-defined]
    found = s3.get_object(Bucket=bucket, Key="copy")
    assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (b"payload", "text/plain", {"x": "1"})
    itself = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/copy"}
    assert refusal(s3.copy_object, **itself)[0] == "InvalidRequest"
    s3.copy_object(**itself, MetadataDirective="REPLACE", Metadata={"y": "2"})
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"y": "2"}
    assert refusal(s3.copy_object, Bucket=bucket, Key="z", CopySource=f"{bucket}/no")[0] == "NoSuchKey"


def test_listings(s3: Any, bucket: str) -> None:
    keys = ["a/1", "a/2", "a/deep/3", "b", "c/1", "é", "z z"]
    for key in keys:
        put(s3, key)
    order = sorted(keys, key=str.encode)
    for operation in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
        assert [one["Key"] for page in pages for one in page["Contents"]] == order
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1})
        entries = [
            one.get("Key") or one["Prefix"]
            for page in pages
            for one in [*page.get("Contents", []), *page.get("CommonPrefixes", [])]
        ]
        assert entries == ["a/", "b", "c/", "z z", "é"]
    answer = s3.list_objects_v2(Bucket=bucket, Prefix="a/", Delimiter="/", StartAfter="a/1")
    assert [one["Key"] for one in answer["Contents"]] == ["a/2"]
    assert [one["Prefix"] for one in answer["CommonPrefixes"]] == ["a/deep/"]
    assert (answer["KeyCount"], answer["IsTruncated"], answer["MaxKeys"], answer["Name"]) == (2, False, 1000, bucket)
    empty = s3.list_objects_v2(Bucket=bucket, Prefix="no")
    assert (empty["KeyCount"], "Contents" in empty) == (0, False)


def test_what_is_refused(served: Served, s3: Any, bucket: str) -> None:
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"", ACL="public-read")[0] == (
        "AccessControlListNotSupported"
    )
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"", StorageClass="GLACIER")[0] == "NotImplemented"
    assert refusal(s3.put_object, Bucket=bucket, Key="a" * 1025, Body=b"")[0] == "KeyTooLongError"
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"", Metadata={"a": "b" * 2048})[0] == "MetadataTooLarge"
    assert refusal(s3.get_bucket_website, Bucket=bucket)[0] == "NotImplemented"
    assert refusal(s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="111111111111")[0] == "AccessDenied"
    with pytest.raises(urllib.error.HTTPError) as unsigned:
        urllib.request.urlopen(f"{served.endpoint}/{bucket}/a")
    assert unsigned.value.code == 403


def test_presigned(served: Served, bucket: str) -> None:
    s3 = served.client("s3", s3={"addressing_style": "path"}, signature_version="s3v4")
    put(s3, "a", b"shared")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"shared"


@pytest.mark.parametrize("host", ["s3.localhost", "localhost"])
def test_virtual_hosts(served: Served, bucket: str, host: str) -> None:
    served_at = served.endpoint
    virtual = served.client("s3", s3={"addressing_style": "virtual"})
    virtual = __import__("boto3").client(
        "s3",
        endpoint_url=served_at.replace("localhost", host),
        region_name="us-east-1",
        aws_access_key_id=served.key.access_key_id,
        aws_secret_access_key=served.key.secret_access_key,
        config=virtual.meta.config,
    )
    virtual.put_object(Bucket=bucket, Key="deep/v", Body=b"virtual")
    assert virtual.get_object(Bucket=bucket, Key="deep/v")["Body"].read() == b"virtual"
    assert [one["Key"] for one in virtual.list_objects_v2(Bucket=bucket)["Contents"]] == ["deep/v"]


def test_streams_survive_a_restart_and_files_are_tidied(served: Served, s3: Any, bucket: str) -> None:
    body = os.urandom(3_000_000)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big")
    s3.put_object(Bucket=bucket, Key="big2", Body=body)
    s3.put_object(Bucket=bucket, Key="big2", Body=b"smaller")
    served.restart()
    again = served.client("s3", s3={"addressing_style": "path"})
    assert again.get_object(Bucket=bucket, Key="big")["Body"].read() == body
    sweeper, _ = served.rooms[0].loops
    for _ in range(3):
        served.run(sweeper.sweep())  # type: ignore[attr-defined]
    files = [path for path in (served.state_dir / "s3").rglob("*") if path.is_file()]
    assert sorted(path.stat().st_size for path in files) == [7, 3_000_000]


def test_aws_cli(served: Served, bucket: str, tmp_path: Path) -> None:
    source = tmp_path / "settings.env"
    source.write_text("A=1\n")
    assert served.cli("s3", "cp", str(source), f"s3://{bucket}/env/settings.env").returncode == 0
    assert "settings.env" in served.cli("s3", "ls", f"s3://{bucket}/env/").stdout
    target = tmp_path / "back.env"
    assert served.cli("s3", "cp", f"s3://{bucket}/env/settings.env", str(target)).returncode == 0
    assert target.read_text() == "A=1\n"
    location = json.loads(served.cli("s3api", "get-bucket-location", "--bucket", bucket).stdout)
    assert location == {"LocationConstraint": None}
    assert served.cli("s3", "rb", f"s3://{bucket}", "--force").returncode == 0
