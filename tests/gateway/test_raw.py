"""What is no AWS protocol: raw routes, websockets, health, the log, the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from dryport.control.context import Room
from dryport.gateway.http import Exchange, Upgrade
from dryport.gateway.server import Gateway
from dryport.gateway.service import Call, Service
from dryport.iam import credentials
from dryport.iam.model import CREDENTIALS
from tests.gateway.conftest import Start, in_thread, listening, room
from tests.gateway.test_protocols import fetch
from tests.gateway.test_server import ecs


async def echo(exchange: Exchange) -> None:
    if exchange.path.endswith("/broken"):
        raise RuntimeError("a secret detail")
    size = 0
    async for part in exchange.chunks():
        size += len(part)
    facts = [exchange.method, exchange.path, exchange.query, size, exchange.headers["x-a"], exchange.source_ip]
    exchange.respond(201, [("content-type", "application/json")], json.dumps(facts).encode())


async def loud(upgrade: Upgrade) -> None:
    if "no" in upgrade.query:
        upgrade.reject(403, b"no")
        return
    socket = await upgrade.accept()
    while (text := await socket.receive()) is not None:
        await socket.send(text.upper())


async def test_routes_and_sockets(start: Start) -> None:
    running = await start(Room(routes={"/v2/": echo}, sockets={"/ws": loud}))
    status, body = await in_thread(fetch, f"{running.endpoint}/v2/a%20b?x=%20", "PUT", b"z" * 3_000_000, {"x-a": "1"})
    assert (status, json.loads(body)) == (201, ["PUT", "/v2/a%20b", "x=%20", 3_000_000, "1", "127.0.0.1"])
    status, body = await in_thread(fetch, f"{running.endpoint}/v2/broken")
    assert status == 500 and b"secret" not in body
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{running.endpoint}/ws") as socket:
            for text in ("a", "ü" * 100_000):
                await socket.send_str(text)
                assert await socket.receive_str() == text.upper()
        async with session.get(f"{running.endpoint}/ws?no", headers={
            "upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }) as refused:  # fmt: skip
            assert refused.status == 403


async def test_health_needs_no_signature(start: Start) -> None:
    running = await start(room(ecs()))
    status, body = await in_thread(fetch, f"{running.endpoint}/_dryport/health")
    assert (status, json.loads(body)["services"]) == (200, ["ecs"])


async def test_one_log_line_a_request_without_secrets(start: Start) -> None:
    running = await start(room(ecs()))
    await in_thread(running.client("ecs").list_clusters, nextToken="hidden")
    path = running.context.config.log_dir / "requests.jsonl"
    for _ in range(100):
        if path.exists() and path.read_text().endswith("\n"):
            break
        await asyncio.sleep(0.05)
    text = path.read_text()
    line = json.loads(text)
    assert (line["service"], line["operation"], line["status"], line["region"], line["principal"]) == (
        "ecs", "ListClusters", 200, "eu-west-3", "arn:aws:iam::000000000000:root",
    )  # fmt: skip
    assert "hidden" not in text and running.key.secret_access_key not in text
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_is_under_way_is_finished(start: Start) -> None:
    service, begun, go = Service("ecs"), asyncio.Event(), asyncio.Event()

    @service.operation("ListClusters")
    async def slow(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        await go.wait()
        return {"clusterArns": []}

    running = await start(room(service))
    answer = asyncio.create_task(in_thread(running.client("ecs").list_clusters))
    await begun.wait()
    running.task.cancel()
    await asyncio.sleep(0.1)
    go.set()
    assert (await answer)["clusterArns"] == []
    await asyncio.gather(running.task, return_exceptions=True)


async def test_the_end_frees_the_port(start: Start) -> None:
    running = await start(room(ecs()))
    await in_thread(running.client("ecs").list_clusters)
    for _ in range(2):
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", running.port)
        gateway = Gateway(running.context, [room(ecs())])
        running.task = asyncio.create_task(gateway.serve(["127.0.0.1"], running.port))
        await listening(running.port, running.task)
        await in_thread(running.client("ecs").list_clusters)
    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)


async def test_a_write_that_cannot_be_kept_is_503(start: Start) -> None:
    service = Service("ecs")

    @service.operation("CreateCluster")
    def create(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        credentials.create_root_key(call.tx, call.random, call.account)
        return {"cluster": {}}

    running = await start(room(service))
    reader = running.context.store.reader
    before = reader.count(CREDENTIALS)
    running.context.store._connection.execute("PRAGMA query_only=ON")  # as a full disk: every write fails
    with pytest.raises(ClientError) as refused:
        await in_thread(running.client("ecs").create_cluster)
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)
    assert reader.count(CREDENTIALS) == before
    running.context.store._connection.execute("PRAGMA query_only=OFF")
    await in_thread(running.client("ecs").create_cluster)
    assert reader.count(CREDENTIALS) == before + 1


async def test_a_refusal_reaches_a_client_that_still_sends(start: Start) -> None:
    running = await start(room(Service("s3"), ecs()))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"PUT /bucket/key HTTP/1.1\r\nhost: localhost\r\ncontent-length: 600000\r\n\r\n")
    for _ in range(6):
        writer.write(b"x" * 100_000)
        await writer.drain()
        await asyncio.sleep(0.01)
    status = await reader.readline()
    assert b" 403 " in status or b" 501 " in status
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
