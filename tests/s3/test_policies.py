"""Bucket policies, with users, another account, the root user and nobody: boto3 and plain HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dryport.iam import credentials
from dryport.iam.room import room as iam
from dryport.s3 import publicity
from dryport.s3.room import room as s3_room
from tests.iam.accounts import User, document, statement
from tests.served import Served, refusal

BUCKET = "arn:aws:s3:::things"
OTHER = "111111111111"
EVERYBODY: dict[str, Any] = {"Principal": "*"}
READ = statement("Allow", "s3:GetObject", f"{BUCKET}/*", **EVERYBODY)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [s3_room, iam])
    yield running
    running.stop()


@pytest.fixture
def bucket(s3: Any) -> str:
    s3.create_bucket(Bucket="things")
    s3.put_object(Bucket="things", Key="a", Body=b"abc")
    return "things"


def set_policy(s3: Any, *statements: dict[str, Any]) -> None:
    s3.put_bucket_policy(Bucket="things", Policy=document(*statements))


def may_be_public(s3: Any) -> None:
    s3.delete_public_access_block(Bucket="things")


def abroad(served: Served) -> Any:
    """A client of another account's root user."""
    key = served.run(
        served.context.store.transact(lambda tx: credentials.create_root_key(tx, served.context.random, OTHER))
    )
    return boto3.client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def unsigned(served: Served, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    asked = urllib.request.Request(f"{served.endpoint}/{path}", method=method, data=body)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_policy_is_kept_as_it_was_given(served: Served, s3: Any, bucket: str) -> None:
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", "The bucket policy does not exist")
    text = document(statement("Allow", "s3:GetObject", f"{BUCKET}/*", Principal={"AWS": OTHER}))
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    served.restart()
    s3 = served.client("s3", s3={"addressing_style": "path"})
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    s3.delete_bucket_policy(Bucket=bucket)
    assert refusal(s3.get_bucket_policy_status, Bucket=bucket)[0] == "NoSuchBucketPolicy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "Policies must be valid JSON and the first byte must be '{'"),
        (
            document(statement("Allow", "s3:GetObject", "arn:aws:s3:::other/*", **EVERYBODY)),
            "Policy has invalid resource",
        ),
        (document(statement("Allow", "s3:GetObject", BUCKET + "s/*", **EVERYBODY)), "Policy has invalid resource"),
        (document(statement("Allow", "ec2:RunInstances", BUCKET, **EVERYBODY)), "Policy has invalid action"),
        (document(statement("Allow", "s3:GetObject", BUCKET)), "Missing required field Principal"),
    ],
)
def test_malformed_policies(s3: Any, bucket: str, text: str, message: str) -> None:
    assert refusal(s3.put_bucket_policy, Bucket=bucket, Policy=text) == ("MalformedPolicy", message)


def test_within_an_account_either_allows_and_a_denial_decides(served: Served, s3: Any, bucket: str) -> None:
    user = User(served)
    mine = user.client("s3")
    named = {"Bucket": bucket, "Key": "a"}
    assert refusal(mine.get_object, **named)[0] == "AccessDenied"
    set_policy(s3, statement("Allow", "s3:GetObject", f"{BUCKET}/*", Principal={"AWS": user.arn}))
    assert mine.get_object(**named)["Body"].read() == b"abc"
    assert refusal(mine.put_object, **named, Body=b"")[0] == "AccessDenied"
    user.may(statement("Allow", "s3:*"))
    mine.put_object(**named, Body=b"new")
    assert mine.get_object(**named)["Body"].read() == b"new"  # twice: what was decided is not kept for ever
    set_policy(s3, statement("Deny", "s3:GetObject", f"{BUCKET}/*", Principal={"AWS": user.arn}))
    assert refusal(mine.get_object, **named) == (
        "AccessDenied",
        f'User: {user.arn} is not authorized to perform: s3:GetObject on resource: "{BUCKET}/a" '
        "with an explicit deny in a resource-based policy",
    )
    assert s3.get_object(**named)["Body"].read() == b"new"
    s3.delete_bucket_policy(Bucket=bucket)
    assert mine.get_object(**named)["Body"].read() == b"new"


def test_the_root_user_can_be_denied_but_can_mend_it(s3: Any, bucket: str) -> None:
    set_policy(s3, statement("Deny", "s3:*", [BUCKET, f"{BUCKET}/*"], **EVERYBODY))
    assert refusal(s3.get_object, Bucket=bucket, Key="a")[0] == "AccessDenied"
    assert refusal(s3.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    s3.get_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"abc"


def test_between_accounts_the_bucket_must_allow(served: Served, s3: Any, bucket: str) -> None:
    other = abroad(served)
    named = {"Bucket": bucket, "Key": "a"}
    assert refusal(other.get_object, **named)[0] == "AccessDenied"
    assert refusal(other.create_bucket, Bucket=bucket)[0] == "BucketAlreadyExists"
    set_policy(s3, statement("Allow", ["s3:GetObject", "s3:PutObject"], f"{BUCKET}/*", Principal={"AWS": OTHER}))
    assert other.get_object(**named)["Body"].read() == b"abc"
    other.put_object(Bucket=bucket, Key="theirs", Body=b"given")
    assert s3.get_object(Bucket=bucket, Key="theirs")["Body"].read() == b"given"
    assert refusal(other.delete_object, **named)[0] == "AccessDenied"
    assert refusal(other.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    assert refusal(other.put_bucket_policy, Bucket=bucket, Policy=document(READ))[0] == "AccessDenied"
    # Copies need both sides: the source's bucket lets read, their own bucket is theirs.
    other.create_bucket(Bucket="elsewhere")
    other.copy_object(Bucket="elsewhere", Key="copy", CopySource=f"{bucket}/a")
    assert other.get_object(Bucket="elsewhere", Key="copy")["Body"].read() == b"abc"
    s3.delete_bucket_policy(Bucket=bucket)
    for source in (f"{bucket}/a", f"/{bucket}/a"):
        assert refusal(other.copy_object, Bucket="elsewhere", Key="c", CopySource=source)[0] == "AccessDenied", source


def test_a_key_that_looks_like_an_arn_is_a_key(served: Served, s3: Any, bucket: str) -> None:
    user = User(served, statement("Allow", "s3:*", "arn:aws:s3:::own/*"))
    key = "arn:aws:s3:::own/x"
    assert refusal(user.client("s3").put_object, Bucket=bucket, Key=key, Body=b"")[0] == "AccessDenied"


def test_no_other_partition_leads_around_a_denial(served: Served, s3: Any, bucket: str) -> None:
    set_policy(s3, statement("Deny", "s3:GetObject", f"{BUCKET}/*", **EVERYBODY))
    user = User(served, statement("Allow", "s3:*"))
    for region in ("us-east-1", "eu-west-1", "cn-north-1", "us-gov-west-1"):
        refused = refusal(user.client("s3", region).get_object, Bucket=bucket, Key="a")
        assert refused[0] == "AccessDenied", region


def test_nobody_comes_in_but_by_a_policy(served: Served, s3: Any, bucket: str) -> None:
    assert unsigned(served, "things/a")[0] == 403
    may_be_public(s3)
    assert unsigned(served, "things/a")[0] == 403
    set_policy(s3, READ)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    assert unsigned(served, "things/a") == (200, b"abc")
    for path, method, body in (("things", "GET", None), ("things/b", "PUT", b"x"), ("things/a", "DELETE", None)):
        assert unsigned(served, path, method, body)[0] == 403, (path, method)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert unsigned(served, "things/a")[0] == 403
    assert refusal(abroad(served).get_object, Bucket=bucket, Key="a")[0] == "AccessDenied"
    may_be_public(s3)
    assert unsigned(served, "things/a") == (200, b"abc")


def test_public_policies_are_blocked_unless_that_is_lifted(s3: Any, bucket: str) -> None:
    every = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == dict.fromkeys(every, True)
    code, message = refusal(s3.put_bucket_policy, Bucket=bucket, Policy=document(READ))
    assert code == "AccessDenied"
    assert message.endswith("because public policies are blocked by the BlockPublicPolicy block public access setting.")
    may_be_public(s3)
    assert refusal(s3.get_public_access_block, Bucket=bucket)[0] == "NoSuchPublicAccessBlockConfiguration"
    set_policy(s3, READ)


@pytest.mark.parametrize(
    ("more", "public"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": OTHER}}, False),
        ({"NotPrincipal": {"AWS": OTHER}}, True),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}}, True),
        ({"Principal": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, False),
        ({"Principal": "*", "Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}}, True),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:UserAgent": "x"}}}, True),
    ],
)
def test_what_public_means(more: dict[str, Any], public: bool) -> None:
    assert publicity.is_public(json.dumps({"Statement": statement("Allow", "s3:GetObject", BUCKET, **more)})) is public
    assert not publicity.is_public(json.dumps({"Statement": statement("Deny", "s3:GetObject", BUCKET, **more)}))


def test_conditions_of_the_request_count(served: Served, s3: Any, bucket: str) -> None:
    may_be_public(s3)
    set_policy(s3, {**READ, "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}})
    assert unsigned_by_address(served, "things/a") == 200
    set_policy(s3, {**READ, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}})
    assert unsigned_by_address(served, "things/a") == 403
    set_policy(s3, {**READ, "Condition": {"Bool": {"aws:SecureTransport": "true"}}})
    assert unsigned_by_address(served, "things/a") == 403


def unsigned_by_address(served: Served, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/{path}") as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_presigned_url_stands_under_its_signers_policies(served: Served, s3: Any, bucket: str) -> None:
    user = User(served, statement("Allow", "s3:*"))
    mine = boto3.client(
        "s3",
        endpoint_url=served.endpoint,
        region_name="us-east-1",
        aws_access_key_id=user.key["AccessKeyId"],
        aws_secret_access_key=user.key["SecretAccessKey"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    named = {"Bucket": bucket, "Key": "p"}
    put_url = mine.generate_presigned_url("put_object", Params=named, ExpiresIn=60)
    get_url = mine.generate_presigned_url("get_object", Params=named, ExpiresIn=60)
    asked = urllib.request.Request(put_url, method="PUT", data=b"by url")
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(get_url) as answer:
        assert answer.read() == b"by url"
    set_policy(s3, statement("Deny", "s3:GetObject", f"{BUCKET}/*", Principal={"AWS": user.arn}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(get_url)
    assert refused.value.code == 403


def test_the_aws_cli_copies_and_syncs(
    served: Served, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, back = tmp_path / "folder", tmp_path / "back"
    (folder / "deep").mkdir(parents=True)
    for name in ("one", "deep/two"):
        (folder / name).write_text(name)
    for arguments in (
        ("sync", str(folder), f"s3://{bucket}/x"),
        ("sync", f"s3://{bucket}/x", str(back)),
        ("cp", f"s3://{bucket}/x/one", f"s3://{bucket}/three"),
        ("rm", f"s3://{bucket}/x/one"),
    ):
        done = served.cli("s3", *arguments)
        assert done.returncode == 0, done.stderr
    assert (back / "deep" / "two").read_text() == "deep/two"
    listed = served.cli("s3", "ls", "--recursive", f"s3://{bucket}").stdout.split()
    assert listed[3::4] == ["a", "three", "x/deep/two"]
    url = served.cli("s3", "presign", f"s3://{bucket}/three").stdout.strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"one"
