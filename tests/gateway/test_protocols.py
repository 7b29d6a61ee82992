"""Real clients of each protocol against the running server, errors and streams included."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.aws.errors import ServiceError
from dryport.gateway.file_parts import FilePart
from dryport.gateway.service import Call, Service
from dryport.store.sealing import Sealer
from dryport.sts import api as sts
from tests.gateway.conftest import Running, Start, in_thread, room


def ec2() -> Service:
    service = Service("ec2")

    @service.operation("DescribeVpcs")
    def describe_vpcs(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("VpcIds") == ["vpc-0"]:
            raise ServiceError("InvalidVpcID.NotFound", "The vpc ID 'vpc-0' does not exist")
        tags = [{"Key": f["Name"], "Value": ",".join(f["Values"])} for f in request.get("Filters", [])]
        return {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True, "Tags": tags}]}

    @service.operation("DeleteVpc")
    def delete_vpc(call: Call, request: dict[str, Any]) -> None:
        return None

    return service


def cloudwatch() -> Service:
    service = Service("cloudwatch")

    @service.operation("GetMetricStatistics")
    def get(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Label": request["MetricName"], "Datapoints": [{"Timestamp": request["StartTime"], "Sum": 1.5}]}

    @service.operation("DeleteAlarms")
    def delete(call: Call, request: dict[str, Any]) -> None:
        raise ServiceError("ResourceNotFound", "no such alarm", 404)

    return service


def s3(directory: Path) -> Service:
    service = Service("s3")

    @service.operation("PutObject")
    async def put(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        digest = hashlib.md5()
        with (directory / "object").open("wb") as file:
            async for part in request["Body"].chunks():
                digest.update(part)
                file.write(part)
        (directory / "metadata").write_text(json.dumps(request.get("Metadata", {})))
        return {"ETag": f'"{digest.hexdigest()}"'}

    @service.operation("GetObject")
    async def get(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if request["Key"] == "absent":
            raise ServiceError("NoSuchKey", "The specified key does not exist.", 404, Key=request["Key"])
        path = directory / "object"
        if request.get("Range"):
            start, end = request["Range"].removeprefix("bytes=").split("-")
            return {"Body": FilePart(path, int(start), int(end) + 1)}
        metadata = json.loads((directory / "metadata").read_text())
        return {"Body": FilePart(path), "Metadata": metadata, "ContentType": "text/x", "LastModified": 1.7e9}

    @service.operation("HeadObject")
    async def head(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if request["Key"] == "absent":
            raise ServiceError("404", "Not Found", 404)
        return {"ContentLength": (directory / "object").stat().st_size, "ETag": '"x"'}

    @service.operation("ListObjectsV2")
    def listed(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Name": request["Bucket"], "Contents": [{"Key": "a&<b>", "Size": 3}], "KeyCount": 1}

    @service.operation("DeleteObjects")
    def delete(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"Deleted": [{"Key": o["Key"]} for o in request["Delete"]["Objects"]]}

    return service


def refusal(work: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        work(**parameters)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


async def test_query(start: Start, tmp_path: Path) -> None:
    running: Running = await start(room(sts.service(Sealer(tmp_path / "sealing.key", SystemRandom()))))
    client = running.client("sts")
    answer = await in_thread(client.get_caller_identity)
    assert answer["Arn"] == "arn:aws:iam::000000000000:root"
    assert answer["Account"] == answer["UserId"] == "000000000000"
    assert answer["ResponseMetadata"]["RequestId"]
    assert await in_thread(refusal, client.get_delegated_access_token, TradeInToken="a") == ("NotImplemented", 501)


async def test_presigned_query(start: Start, tmp_path: Path) -> None:
    running: Running = await start(room(sts.service(Sealer(tmp_path / "sealing.key", SystemRandom()))))
    url = running.client("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    status, body = await in_thread(fetch, url)
    assert status == 200 and b"<Account>000000000000</Account>" in body, (url, body)
    status, body = await in_thread(fetch, url.replace("eu-west-3", "eu-west-1"))
    assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in body


async def test_ec2(start: Start) -> None:
    running: Running = await start(room(ec2()))
    client = running.client("ec2")
    answer = await in_thread(client.describe_vpcs, Filters=[{"Name": "a", "Values": ["b", "c&d"]}])
    assert answer["Vpcs"] == [{"VpcId": "vpc-1", "IsDefault": True, "Tags": [{"Key": "a", "Value": "b,c&d"}]}]
    assert await in_thread(refusal, client.describe_vpcs, VpcIds=["vpc-0"]) == ("InvalidVpcID.NotFound", 400)
    assert await in_thread(refusal, client.delete_vpc) == ("MissingParameter", 400)
    assert await in_thread(refusal, client.describe_hosts) == ("NotImplemented", 501)
    await in_thread(client.delete_vpc, VpcId="vpc-1")


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
async def test_one_service_in_several_protocols(start: Start, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore import model

    running: Running = await start(room(cloudwatch()))
    monkeypatch.setattr(model.ServiceModel, "resolved_protocol", protocol)
    client = running.client("cloudwatch")
    answer = await in_thread(
        client.get_metric_statistics,
        Namespace="n", MetricName="m", StartTime=1700000000, EndTime=1700000060, Period=60,
    )  # fmt: skip
    assert answer["Label"] == "m"
    assert answer["Datapoints"][0]["Timestamp"].timestamp() == 1700000000
    assert answer["Datapoints"][0]["Sum"] == 1.5
    code, status = await in_thread(refusal, client.delete_alarms, AlarmNames=["a"])
    assert (code.removesuffix("Exception"), status) == ("ResourceNotFound", 404)


def fetch(url: str, method: str = "GET", body: bytes | None = None, headers: Any = None) -> tuple[int, bytes]:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, body, headers or {}, method=method), timeout=10) as response:
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("key", ["k", "a/b c/ü+%2F"])
async def test_s3(start: Start, tmp_path: Path, key: str) -> None:
    running: Running = await start(room(s3(tmp_path)))
    client = running.client("s3")
    content = bytes(range(256)) * 4096
    put = await in_thread(client.put_object, Bucket="bucket", Key=key, Body=content, Metadata={"a": "b"})
    assert put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    got = await in_thread(client.get_object, Bucket="bucket", Key=key)
    assert await in_thread(got["Body"].read) == content
    assert (got["Metadata"], got["ContentType"]) == ({"a": "b"}, "text/x")
    part = await in_thread(client.get_object, Bucket="bucket", Key=key, Range="bytes=10-19")
    assert await in_thread(part["Body"].read) == content[10:20]
    head = await in_thread(client.head_object, Bucket="bucket", Key=key)
    assert head["ContentLength"] == len(content)
    listed = await in_thread(client.list_objects_v2, Bucket="bucket")
    assert listed["Contents"][0]["Key"] == "a&<b>"
    deleted = await in_thread(client.delete_objects, Bucket="bucket", Delete={"Objects": [{"Key": "x<"}]})
    assert deleted["Deleted"] == [{"Key": "x<"}]
    assert await in_thread(refusal, client.get_object, Bucket="bucket", Key="absent") == ("NoSuchKey", 404)
    assert await in_thread(refusal, client.head_object, Bucket="bucket", Key="absent") == ("404", 404)
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60)
    assert await in_thread(fetch, url) == (200, content)


@pytest.mark.parametrize(
    "style",
    [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ],
)
@pytest.mark.parametrize("damage", [None, "content", "signature", "cut"])
async def test_chunked_bodies(start: Start, tmp_path: Path, style: str, damage: str | None) -> None:
    import time

    from dryport.aws import sigv4

    running: Running = await start(room(s3(tmp_path)))
    content = b"0123456789" * 7000
    key = running.key
    headers = {
        "host": f"127.0.0.1:{running.port}",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(content)),
    }
    trailing = style.endswith("TRAILER")
    if trailing:
        headers["x-amz-trailer"] = "x-amz-checksum-sha256"
    headers |= sigv4.sign(
        "PUT",
        "/b/k",
        "",
        headers,
        style,
        access_key_id=key.access_key_id,
        secret=key.secret_access_key,
        token=None,
        region="eu-west-3",
        service="s3",
        now=time.time(),
    )
    stated = sigv4.from_header(headers["authorization"], headers["x-amz-date"], None)
    signer = sigv4.ChunkSigner(stated, key.secret_access_key) if "HMAC" in style else None
    body = chunked(content, signer, trailing)
    if damage == "content":
        body = body.replace(b"0123456789", b"0123456780", 1)
    elif damage == "signature" and signer is not None:
        body = body.replace(b"chunk-signature=", b"chunk-signature=0", 1).replace(b"=0", b"=", 0)
    elif damage == "cut":
        body = body[: len(body) // 2]
    status, answer = await in_thread(fetch, f"{running.endpoint}/b/k", "PUT", body, headers)
    good = damage is None or (damage == "signature" and signer is None)
    assert status == (200 if good else status) and (good or status in (400, 403)), answer
    if good:
        assert (tmp_path / "object").read_bytes() == content


def chunked(content: bytes, signer: Any, trailing: bool) -> bytes:
    import base64

    out = b""
    for part in (content[:65536], content[65536:], b""):
        mark = f";chunk-signature={signer.chunk(hashlib.sha256(part).hexdigest())}" if signer else ""
        out += f"{len(part):x}{mark}\r\n".encode() + part + (b"\r\n" if part else b"")
    if trailing:
        line = "x-amz-checksum-sha256:" + base64.b64encode(hashlib.sha256(content).digest()).decode()
        out += line.encode() + b"\r\n"
        if signer:
            signature = signer.trailer(hashlib.sha256(line.encode() + b"\n").hexdigest())
            out += b"x-amz-trailer-signature:" + signature.encode() + b"\r\n"
    return out + b"\r\n"
