"""Hostile and broken requests: AWS's errors, never a 500, and the server goes on."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dryport.aws import sigv4
from dryport.aws.errors import ServiceError
from dryport.gateway import protocols
from dryport.gateway.cbor_rpc import decode
from dryport.gateway.models import Models
from dryport.gateway.router import parse_form
from dryport.gateway.wire import Message
from tests.gateway.conftest import Running, Start, in_thread, room
from tests.gateway.test_protocols import cloudwatch, ec2, fetch
from tests.gateway.test_server import ecs

NO_HEADERS: dict[str, str] = {}
TARGET = "AmazonEC2ContainerServiceV20141113"


def signed(running: Running, body: bytes, headers: dict[str, str], service: str = "ecs", path: str = "/") -> Any:
    headers = {"host": f"127.0.0.1:{running.port}"} | headers
    key = running.key
    added = sigv4.sign("POST", path, "", headers, body, access_key_id=key.access_key_id, secret=key.secret_access_key,
                       token=None, region="eu-west-3", service=service, now=time.time())  # fmt: skip
    return fetch(running.endpoint + path, "POST", body, headers | added)


def json_headers(operation: str) -> dict[str, str]:
    return {"x-amz-target": f"{TARGET}.{operation}", "content-type": "application/x-amz-json-1.1"}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[1", b"\xff\xfe", b'{"a":1}x', b"[" * 100_000, b'{"nextToken":5}', b'{"nextToken":{}}', b"[]", b'"x"',
     b"5", b'{"nextToken":[]}', b'{"a":' * 5000 + b"1" + b"}" * 5000],
)  # fmt: skip
async def test_json(start: Start, body: bytes) -> None:
    running = await start(room(ecs()))
    status, answer = await in_thread(signed, running, body, json_headers("ListClusters"))
    assert (status, json.loads(answer)["__type"]) == (400, "SerializationException")


async def test_errors_of_no_operation(start: Start) -> None:
    running = await start(room(ecs(), ec2(), cloudwatch()))
    cases = [
        (b"{}", json_headers("Nothing"), "ecs", "/", 400, "UnknownOperationException"),
        (b"{}", {"x-amz-target": "DynamoDB_20120810.ListTables"}, "dynamodb", "/", 501, "NotImplemented"),
        (b"{}", {"x-amz-target": "x"}, "dynamodb", "/", 501, "NotImplemented"),
        (b"", {}, "lambda", "/2015-03-31/functions/", 501, "NotImplemented"),
        (b"Action=Nothing&Version=2016-11-15", {"content-type": "application/x-www-form-urlencoded"}, "ec2", "/", 400,
         "InvalidAction"),
        (b"\xff\xff", {"smithy-protocol": "rpc-v2-cbor"}, "monitoring",
         "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics", 400, "SerializationException"),
        (b"", {"smithy-protocol": "rpc-v2-cbor"}, "monitoring", "/service/x", 404, "UnknownOperationException"),
        (b"", {}, "ecs", "/nowhere", 403, "UnknownOperationException"),
        (b"Action=DescribeVpcs&Version=2016-11-15&VpcId.x.y=1&Filter.99999999999999.Name=a&Filter..Name=b",
         {"content-type": "application/x-www-form-urlencoded"}, "ec2", "/", 200, "vpc-1"),
        (b"Action=DescribeVpcs&Version=2016-11-15&MaxResults=zzz",
         {"content-type": "application/x-www-form-urlencoded"}, "ec2", "/", 400, "InvalidParameterValue"),
        (b"Action=DescribeVpcs&Version=2016-11-15&" + b"a." * 5000 + b"=1",
         {"content-type": "application/x-www-form-urlencoded"}, "ec2", "/", 400, "MalformedQueryString"),
    ]  # fmt: skip
    for body, headers, service, path, expected, code in cases:
        status, answer = await in_thread(signed, running, body, headers, service, path)
        assert (status, code.encode() in answer) == (expected, True), (path, headers, status, answer)


async def raw(running: Running, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if pieces[-1] == b"":
            writer.write_eof()
        return await asyncio.wait_for(reader.read(4096), 10)
    except OSError:
        return b""  # refused by closing
    finally:
        writer.close()


async def test_unsigned_and_forged(start: Start) -> None:
    running = await start(room(ecs(), ec2()))
    status, answer = await in_thread(fetch, running.endpoint, "POST", b"{}", json_headers("ListClusters"))
    assert (status, json.loads(answer)) == (
        400, {"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"},
    )  # fmt: skip
    status, answer = await in_thread(fetch, running.endpoint, "GET")
    assert status in (400, 403)
    forged = json_headers("ListClusters") | {
        "authorization": "AWS4-HMAC-SHA256 Credential=AKI/20200101/r/ecs/aws4_request, SignedHeaders=host, Signature=0",
        "x-amz-date": "20200101T000000Z",
    }
    status, answer = await in_thread(fetch, running.endpoint, "POST", b"{}", forged)
    assert (status, json.loads(answer)["__type"]) == (400, "UnrecognizedClientException")


async def test_replays_out_of_the_window(start: Start) -> None:
    running = await start(room(ecs()))
    headers = {"host": f"127.0.0.1:{running.port}"} | json_headers("ListClusters")
    key = running.key
    added = sigv4.sign("POST", "/", "", headers, b"{}", access_key_id=key.access_key_id, secret=key.secret_access_key,
                       token=None, region="eu-west-3", service="ecs", now=time.time() - 301)  # fmt: skip
    status, answer = await in_thread(fetch, running.endpoint, "POST", b"{}", headers | added)
    found = json.loads(answer)
    assert (status, found["__type"]) == (400, "InvalidSignatureException")
    assert found["message"].startswith("Signature expired: ") and " is now earlier than " in found["message"]


async def test_limits_of_http(start: Start) -> None:
    running = await start(room(ecs()))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: " + TARGET.encode() + b".ListClusters\r\n"
    for request in (
        head + b"X-Long: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 99999999999\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x00\xff" * 20,
        b"GET / HTTP/9.9\r\n\r\n",
        head + b"Content-Length: 50\r\n\r\n{}",
    ):
        answer = await raw(running, request, b"")
        assert b" 500 " not in answer[:40] and b" 200 " not in answer[:40], (request[:60], answer)
    client = running.client("ecs")
    assert (await in_thread(client.list_clusters))["clusterArns"]


async def test_bodies_are_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dryport.gateway.dispatch.MAX_BODY_BYTES", 1000)
    running = await start(room(ecs()))
    status, answer = await in_thread(signed, running, b" " * 1001, json_headers("ListClusters"))
    assert (status, json.loads(answer)["__type"]) == (413, "RequestEntityTooLargeException")
    pieces = b"3e8\r\n" + b" " * 1000 + b"\r\n"
    head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {TARGET}.ListClusters\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 413 " in (await raw(running, head.encode() + pieces * 3 + b"0\r\n\r\n"))[:40]


MODELS = Models(["ecs", "ec2", "sts", "s3", "cloudwatch", "efs"])
CODECS = [
    ("ecs", "json-1.1", "RegisterTaskDefinition"),
    ("ec2", "ec2", "RunInstances"),
    ("sts", "query", "AssumeRole"),
    ("s3", "rest-xml", "PutBucketLifecycleConfiguration"),
    ("cloudwatch", "smithy-rpc-v2-cbor", "PutMetricData"),
    ("efs", "rest-json", "CreateFileSystem"),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(
        st.sampled_from(["family", "containerDefinitions", "name", "memory", "environment", "MetricData", "Timestamp",
                         "Values", "Tags", "Key", "x"]), below, max_size=4),
    max_leaves=12,
)  # fmt: skip
words = st.sampled_from(["Tag", "member", "1", "2", "Key", "BlockDeviceMapping", "Ebs", "", "00", "MaxCount", "x", "٣"])
forms = st.dictionaries(st.lists(words, max_size=5).map(".".join), st.text(max_size=6), max_size=6)
xml = st.recursive(
    st.text("ab<&>1 ", max_size=4),
    lambda below: st.tuples(st.sampled_from(["Rule", "ID", "Filter", "Days", "Expiration", "And", "Tag"]), below).map(
        lambda pair: f"<{pair[0]}>{pair[1]}</{pair[0]}>"),
)  # fmt: skip


@pytest.mark.parametrize(("service", "protocol", "operation"), CODECS)
@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_readers_meet_anything(service: str, protocol: str, operation: str, data: st.DataObject) -> None:
    model = MODELS.service(service)
    found = model.operation(operation)
    assert found is not None
    codec = protocols.make(protocol, model).codec(found)
    kind = data.draw(st.sampled_from(["bytes", "shaped"]))
    form: dict[str, str] = {}
    if kind == "bytes":
        body = data.draw(st.binary(max_size=60))
    elif "json" in protocol:
        body = json.dumps(data.draw(json_values)).encode()
    elif protocol == "rest-xml":
        body = f"<LifecycleConfiguration>{data.draw(xml)}</LifecycleConfiguration>".encode()
    elif "cbor" in protocol:
        body = cbor2.dumps(data.draw(json_values))
    else:
        body, form = b"", data.draw(forms)
    try:
        assert isinstance(codec.read(Message("POST", "", NO_HEADERS.get, dict, body, {"Bucket": "b"}, form)), dict)
    except ServiceError as error:
        assert error.status == 400


@pytest.mark.parametrize("body", [
    b'<!DOCTYPE x [<!ENTITY a "b">]><LifecycleConfiguration>&a;</LifecycleConfiguration>',
    b"<a>" * 200 + b"</a>" * 200, b"", b"<", b"<a></b>", b"\x00",
])  # fmt: skip
def test_hostile_xml(body: bytes) -> None:
    model = MODELS.service("s3")
    found = model.operation("PutBucketTagging")
    assert found is not None
    codec = protocols.make("rest-xml", model).codec(found)
    if not body:
        assert codec.read(Message("PUT", "", NO_HEADERS.get, dict, body, {"Bucket": "b"})) == {"Bucket": "b"}
        return
    with pytest.raises(ServiceError) as refusal:
        codec.read(Message("PUT", "", NO_HEADERS.get, dict, body, {"Bucket": "b"}))
    assert refusal.value.code == "MalformedXML"


@given(st.binary(max_size=200))
def test_cbor_bytes(body: bytes) -> None:
    try:
        decode(body)
    except ServiceError as error:
        assert error.code == "SerializationException"


@given(st.binary(max_size=100))
def test_form_bytes(body: bytes) -> None:
    try:
        parse_form(body)
    except ServiceError as error:
        assert error.code == "MalformedQueryString"
