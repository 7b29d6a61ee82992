"""Objects are encrypted with keys of S3's own, in answers and on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dryport.s3 import enciphering
from tests.served import Served, refusal

SECRET = b"the very words " * 100
AES = {"SSEAlgorithm": "AES256"}


def files(served: Served) -> list[Path]:
    return [path for path in (served.state_dir / "s3").rglob("*") if path.is_file()]


def test_every_answer_says_so(s3: Any, bucket: str) -> None:
    at = {"Bucket": bucket, "Key": "a"}
    answers = [s3.put_object(**at, Body=SECRET), s3.get_object(**at), s3.head_object(**at)]
    answers.append(s3.copy_object(Bucket=bucket, Key="b", CopySource=f"{bucket}/a", ServerSideEncryption="AES256"))
    started = s3.create_multipart_upload(Bucket=bucket, Key="m", ServerSideEncryption="AES256")
    of_part = {"Bucket": bucket, "Key": "m", "UploadId": started["UploadId"], "PartNumber": 1}
    part = s3.upload_part(**of_part, Body=b"x")
    copied = s3.upload_part_copy(**of_part, CopySource=f"{bucket}/a")
    made = s3.complete_multipart_upload(
        Bucket=bucket,
        Key="m",
        UploadId=started["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]},
    )
    answers += [started, part, copied, made]
    assert [each["ServerSideEncryption"] for each in answers] == ["AES256"] * 8
    assert s3.get_object(Bucket=bucket, Key="m")["Body"].read() == SECRET


def test_the_disk_holds_no_word_of_it(served: Served, s3: Any, bucket: str) -> None:
    for key in ("one", "two"):
        s3.put_object(Bucket=bucket, Key=key, Body=SECRET)
    first, second = (path.read_bytes() for path in files(served))
    assert len(first) == len(second) == len(SECRET)
    assert b"very words" not in first + second
    assert first != second, "alike objects do not look alike"
    assert (served.state_dir / "sealing.key").stat().st_mode & 0o777 == 0o600
    served.restart()
    again = served.client("s3", s3={"addressing_style": "path"})
    assert again.get_object(Bucket=bucket, Key="one")["Body"].read() == SECRET


@pytest.mark.parametrize("start", [0, 1, 15, 16, 17, 262_143, 262_144, 1_000_003])
def test_any_range_is_deciphered(s3: Any, bucket: str, start: int) -> None:
    """Over blocks of the cipher, and pieces that are sent."""
    body = os.urandom(1_500_000)
    s3.put_object(Bucket=bucket, Key="r", Body=body)
    for end in (start, start + 30, len(body) - 1):
        got = s3.get_object(Bucket=bucket, Key="r", Range=f"bytes={start}-{end}")["Body"].read()
        assert got == body[start : end + 1]


def test_what_an_older_dryport_wrote_is_read_as_it_is(served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="old", Body=SECRET)
    [path] = files(served)
    plain = path.with_suffix("")
    plain.write_bytes(SECRET)
    assert enciphering.algorithm(plain.name) == "" and enciphering.algorithm(path.name) == "AES256"

    async def rename() -> None:
        from msgspec.structs import replace

        from dryport.s3.model import OBJECTS

        def work(tx: Any) -> None:
            tx.put(OBJECTS, replace(tx.get(OBJECTS, f"{bucket}/old"), file=plain.name))

        await served.context.store.transact(work)

    served.run(rename())
    found = s3.get_object(Bucket=bucket, Key="old", Range="bytes=4-13")
    assert found["Body"].read() == SECRET[4:14] and "ServerSideEncryption" not in found
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/old"}
    assert "ServerSideEncryption" not in s3.copy_object(**copy)  # it shares the file
    assert refusal(s3.copy_object, **copy, ServerSideEncryption="AES256")[0] == "NotImplemented"


def test_the_default_of_a_bucket(s3: Any, bucket: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": AES, "BucketKeyEnabled": False}

    def shown() -> Any:
        return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]

    assert shown() == [rule]
    s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": AES}]}
    )
    assert shown() == [rule]
    s3.delete_bucket_encryption(Bucket=bucket)
    assert shown() == [rule]
    assert refusal(s3.get_bucket_encryption, Bucket="nowhere")[0] == "NoSuchBucket"


@pytest.mark.parametrize("rule", [{}, {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}])
def test_other_defaults_are_refused(s3: Any, bucket: str, rule: dict[str, Any]) -> None:
    code, message = refusal(
        s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )
    assert (code, "aws:kms" in message) == (("NotImplemented", True) if rule else ("MalformedXML", False))


def test_keys_of_others_are_refused_by_name(s3: Any, bucket: str) -> None:
    for asked in ({"ServerSideEncryption": "aws:kms"}, {"SSEKMSKeyId": "alias/mine"}, {"BucketKeyEnabled": True}):
        code, message = refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"", **asked)
        assert code == "NotImplemented" and next(iter(asked)) in message
