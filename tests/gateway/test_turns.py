"""Requests that are served by stages, a turn of the loop at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Service
from dryport.iam import credentials
from dryport.iam.model import CREDENTIALS
from tests.gateway.conftest import Running, Start, room

COUNT = 40  # more than are served in one turn


def service() -> Service:
    made = Service("ecs")

    @made.operation("CreateCluster")
    def create(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["clusterName"]
        credentials.create_root_key(call.tx, call.random, call.account)
        if name.startswith("refused"):
            raise ServiceError("ClientException", f"not {name}")
        if name.startswith("broken"):
            raise RuntimeError(name)
        return {"cluster": {"clusterName": name}}

    @made.operation("ListClusters")
    def listed(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"clusterArns": []}

    return made


def signed(running: Running, operation: str, body: dict[str, Any], secret: str | None = None) -> bytes:
    """A request as bytes."""
    text = json.dumps(body)
    headers = {
        "X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Host": "here",
    }
    request = AWSRequest("POST", "http://here/", data=text, headers=headers)
    key = Credentials(running.key.access_key_id, secret or running.key.secret_access_key)
    SigV4Auth(key, "ecs", "us-east-1").add_auth(request)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST / HTTP/1.1\r\n{head}content-length: {len(text)}\r\n\r\n{text}".encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line[15:]) for line in head.splitlines() if line.startswith("content-length:"))
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def connect(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", running.port)


NAMES = [("broken", "refused", "kept", "kept")[number % 4] + f"-{number}" for number in range(COUNT)]


def check(name: str, status: int, body: dict[str, Any]) -> None:
    if name.startswith("kept"):
        assert (status, body["cluster"]["clusterName"]) == (200, name)
    elif name.startswith("refused"):
        assert (status, body["message"]) == (400, f"not {name}")
    else:
        assert (status, body["__type"]) == (500, "InternalFailure")


@pytest.mark.parametrize("pipelined", [True, False])
async def test_each_gets_its_own_answer_and_what_failed_leaves_nothing(start: Start, pipelined: bool) -> None:
    running = await start(room(service()))
    store = running.context.store
    before = store.reader.count(CREDENTIALS)
    requests = [signed(running, "CreateCluster", {"clusterName": name}) for name in NAMES]
    streams = [await connect(running) for _ in range(1 if pipelined else COUNT)]
    for number, request in enumerate(requests):
        streams[number % len(streams)][1].write(request)
    for number, name in enumerate(NAMES):
        check(name, *await answer(streams[number % len(streams)][0]))
    assert store.reader.count(CREDENTIALS) == before + sum(name.startswith("kept") for name in NAMES)
    for _, writer in streams:
        writer.close()


async def test_no_answer_tells_of_what_cannot_be_kept(start: Start) -> None:
    running = await start(room(service()))
    store = running.context.store
    before = store.reader.count(CREDENTIALS)
    store._connection.execute("PRAGMA query_only=ON")  # as a full disk: every write fails
    streams = [await connect(running) for _ in range(COUNT)]
    for (_, writer), name in zip(streams, NAMES, strict=True):
        writer.write(signed(running, "CreateCluster", {"clusterName": name}))
    statuses = {(await answer(reader))[0] for reader, _ in streams}
    # A refusal that saw only what is on the disk may stand.
    assert 503 in statuses and statuses <= {503, 400, 500}
    assert store.reader.count(CREDENTIALS) == before
    store._connection.execute("PRAGMA query_only=OFF")
    reader, writer = streams[0]
    writer.write(signed(running, "CreateCluster", {"clusterName": "kept-again"}))
    assert (await answer(reader))[0] == 200
    for _, writer in streams:
        writer.close()


async def test_who_is_not_believed_stops_nobody_else(start: Start) -> None:
    running = await start(room(service()))
    streams = [await connect(running) for _ in range(COUNT)]
    for number, (_, writer) in enumerate(streams):
        writer.write(signed(running, "ListClusters", {}, "forged" if number % 3 == 0 else None))
    for number, (reader, writer) in enumerate(streams):
        status, body = await answer(reader)
        assert (status, body.get("__type")) == ((400, "InvalidSignatureException") if number % 3 == 0 else (200, None))
        writer.close()


async def test_clients_that_go_away_stop_nobody_else(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    running = await start(room(service()))
    streams = [await connect(running) for _ in range(COUNT)]
    for number, (_, writer) in enumerate(streams):
        writer.write(signed(running, "CreateCluster", {"clusterName": f"kept-{number}"}))
        if number % 2:
            writer.transport.abort()
    for reader, writer in streams[::2]:
        assert (await answer(reader))[0] == 200
        writer.close()
    assert not caplog.records


async def test_what_waits_for_the_disk_at_the_end_is_answered(start: Start) -> None:
    running = await start(room(service()))
    streams = [await connect(running) for _ in range(COUNT)]
    applied = asyncio.Event()
    apply = running.context.store.apply

    def noticed(work: Any) -> Any:
        applied.set()
        return apply(work)

    running.context.store.apply = noticed
    for number, (_, writer) in enumerate(streams[:8]):
        writer.write(signed(running, "CreateCluster", {"clusterName": f"kept-{number}"}))
    await applied.wait()
    running.task.cancel()
    assert [(await answer(reader))[0] for reader, _ in streams[:8]].count(200) == 8
    await asyncio.gather(running.task, return_exceptions=True)
    assert await streams[-1][0].read() == b""
    for _, writer in streams:
        writer.close()
