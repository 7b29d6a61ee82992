"""Multipart uploads with boto3."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zlib
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.served import Served, refusal

MIB = 1 << 20


def start(s3: Any, bucket: str, **request: Any) -> dict[str, Any]:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", **request)["UploadId"]
    return {"Bucket": bucket, "Key": "big", "UploadId": upload}


def send(s3: Any, named: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
    part = s3.upload_part(**named, PartNumber=number, Body=body)
    kept = {name: value for name, value in part.items() if name == "ETag" or name.startswith("Checksum")}
    return {"PartNumber": number, **kept}


def test_an_upload(served: Served, s3: Any, bucket: str) -> None:
    bodies = [os.urandom(5 * MIB), os.urandom(5 * MIB), b"the end"]
    named = start(s3, bucket, ContentType="text/plain", Metadata={"a": "b"})
    parts = [send(s3, named, number, body) for number, body in ((1, bodies[0]), (3, bodies[2]), (2, b"replaced"))]
    parts[2] = send(s3, named, 2, bodies[1])
    listed = s3.list_parts(**named)
    assert [(one["PartNumber"], one["Size"]) for one in listed["Parts"]] == [(1, 5 * MIB), (2, 5 * MIB), (3, 7)]
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [named["UploadId"]]
    assert refusal(s3.get_object, Bucket=bucket, Key="big")[0] == "NoSuchKey"
    parts.sort(key=lambda part: part["PartNumber"])
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    found = s3.get_object(Bucket=bucket, Key="big")
    assert found["Body"].read() == b"".join(bodies)
    assert (found["ContentType"], found["Metadata"]) == ("text/plain", {"a": "b"})
    second = s3.get_object(Bucket=bucket, Key="big", PartNumber=2)
    assert second["Body"].read() == bodies[1]
    assert (second["PartsCount"], second["ContentRange"]) == (3, f"bytes {5 * MIB}-{10 * MIB - 1}/{10 * MIB + 7}")
    assert refusal(s3.list_parts, **named)[0] == "NoSuchUpload"
    sweeper, _ = served.rooms[0].loops
    for _ in range(3):
        served.run(sweeper.sweep())  # type: ignore[attr-defined]
    files = [path for path in (served.state_dir / "s3").rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in files] == [10 * MIB + 7]


def test_composite_checksums(s3: Any, bucket: str) -> None:
    named = start(s3, bucket, ChecksumAlgorithm="CRC32")
    parts = [send(s3, named, 1, b"only")]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    of_part = zlib.crc32(b"only").to_bytes(4, "big")
    expected = base64.b64encode(zlib.crc32(of_part).to_bytes(4, "big")).decode() + "-1"
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (expected, "COMPOSITE")


def test_refused_completions(s3: Any, bucket: str) -> None:
    named = start(s3, bucket)
    first, second = send(s3, named, 1, b"small"), send(s3, named, 2, b"last")

    def refused(*parts: dict[str, Any]) -> str:
        return refusal(s3.complete_multipart_upload, **named, MultipartUpload={"Parts": list(parts)})[0]

    assert refused(second, first) == "InvalidPartOrder"
    assert refused({**first, "ETag": '"x"'}) == "InvalidPart"
    assert refused(first, {**second, "PartNumber": 3}) == "InvalidPart"
    assert refused(first, second) == "EntityTooSmall"
    assert refusal(s3.upload_part, **named, PartNumber=10_001, Body=b"")[0] == "InvalidArgument"
    s3.abort_multipart_upload(**named)
    assert refused(first) == "NoSuchUpload"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_copied(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    named = start(s3, bucket)
    copied = s3.upload_part_copy(
        **named, PartNumber=1, CopySource={"Bucket": bucket, "Key": "source"}, CopySourceRange="bytes=2-5"
    )["CopyPartResult"]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": copied["ETag"]}]})
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == b"2345"


@pytest.mark.parametrize("mode", ["when_supported", "when_required"])
def test_boto3_transfers(served: Served, bucket: str, mode: str) -> None:
    s3 = served.client("s3", s3={"addressing_style": "path"}, request_checksum_calculation=mode)
    body = os.urandom(12 * MIB)
    s3.upload_fileobj(
        io.BytesIO(body), bucket, "big", Config=TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB)
    )
    into = io.BytesIO()
    s3.download_fileobj(
        bucket, "big", into, Config=TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB)
    )
    assert into.getvalue() == body
