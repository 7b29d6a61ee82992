"""Signature version 2: what boto3 makes of itself for presigned URLs at an endpoint of one's own."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dryport.iam.room import room as iam
from dryport.s3.room import room
from dryport.sts.room import room as sts
from tests.iam.accounts import User, statement
from tests.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [room, iam, sts])
    yield running
    running.stop()


def client(served: Served, **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=served.key.access_key_id,
        aws_secret_access_key=served.key.secret_access_key,
        config=Config(**config) if config else None,
    )


def put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket="things", Key=key, Body=body)


def fetch(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_urls_as_boto3_signs_them(served: Served, bucket: str, style: str) -> None:
    s3 = client(served, signature_version="s3", s3={"addressing_style": style})
    where = {"Bucket": bucket, "Key": "deep/a b+c&d"}
    url = s3.generate_presigned_url("put_object", Params=where)
    assert "AWSAccessKeyId=" in url
    assert fetch(url, "PUT", b"by url", Content_Type="")[0] == 200
    url = s3.generate_presigned_url("get_object", Params={**where, "ResponseContentType": "text/x-own; charset=utf-8"})
    with urllib.request.urlopen(url) as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"by url", "text/x-own; charset=utf-8")
    typed = s3.generate_presigned_url("put_object", Params={**where, "ContentType": "text/plain"})
    assert fetch(typed, "PUT", b"x", Content_Type="text/html")[0] == 403
    assert fetch(typed, "PUT", b"x", Content_Type="text/plain")[0] == 200
    assert s3.head_object(**where)["ContentType"] == "text/plain"
    assert fetch(s3.generate_presigned_url("delete_object", Params=where), "DELETE")[0] == 204


def test_what_boto3_does_of_itself(served: Served, bucket: str) -> None:
    """No configuration at all, and the AWS CLI's ``presign``."""
    put(client(served), "own", b"own")
    url = client(served).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "own"})
    assert fetch(url) == (200, b"own")
    assert fetch(served.cli("s3", "presign", f"s3://{bucket}/own").stdout.strip()) == (200, b"own")


def test_urls_that_are_changed_or_too_old(served: Served, bucket: str) -> None:
    s3 = client(served, signature_version="s3")
    put(s3, "a", b"a")
    put(s3, "b", b"b")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"})
    for changed in (url.replace("/a?", "/b?"), url.replace("Expires=", "Expires=1"), url + "&versionId=null"):
        status, body = fetch(changed)
        assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    assert b"SignatureDoesNotMatch" in fetch(url, "DELETE")[1]
    assert b"<Code>InvalidAccessKeyId</Code>" in fetch(url.replace("AWSAccessKeyId=", "AWSAccessKeyId=X"))[1]
    old = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=-1)
    status, body = fetch(old)
    assert (status, b"<Message>Request has expired</Message>" in body) == (403, True)


def test_a_session_and_its_policies(served: Served, bucket: str) -> None:
    user = User(served, statement("Allow", ["s3:*", "sts:*"]))
    put(client(served), "a", b"a")
    only = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}'
    keys = user.client("sts").get_federation_token(Name="bob", Policy=only)["Credentials"]
    s3 = boto3.client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(signature_version="s3"),
    )
    where = {"Bucket": bucket, "Key": "a"}
    assert fetch(s3.generate_presigned_url("get_object", Params=where)) == (200, b"a")
    status, body = fetch(s3.generate_presigned_url("delete_object", Params=where), "DELETE")
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


def test_requests_with_the_header(served: Served, bucket: str) -> None:
    """Whole requests signed so, which need no hash of the body."""
    s3 = client(served, signature_version="s3")
    s3.put_object(Bucket=bucket, Key="h", Body=b"by header", Metadata={"one": "1"})
    found = s3.get_object(Bucket=bucket, Key="h")
    assert (found["Body"].read(), found["Metadata"]) == (b"by header", {"one": "1"})
    assert s3.get_bucket_acl(Bucket=bucket)["Owner"]
