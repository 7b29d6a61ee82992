"""The HTTP server, met by plain sockets: what is owed to a good client, and to a bad one."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dryport.control.context import Room
from dryport.gateway.file_parts import FilePart
from dryport.gateway.http import Exchange, Upgrade
from dryport.gateway.http1 import limits
from tests.gateway.conftest import Running, Start

SIZE = 40_000_000


@pytest.fixture
async def running(start: Start, tmp_path: Path) -> AsyncIterator[Running]:
    """``/v2/echo`` answers the body's length, ``/v2/file`` a file, ``/v2/deaf`` without reading; ``/ws`` refuses."""
    file = tmp_path / "file"
    with file.open("wb") as made:
        made.truncate(SIZE)

    async def handle(exchange: Exchange) -> None:
        if exchange.path == "/v2/file":
            start, _, end = exchange.query.partition("-")
            exchange.respond_file(200, [], FilePart(file, int(start or 0), int(end) if end else None))
            return
        if exchange.path == "/v2/deaf":
            exchange.respond(403, [("x-a", "b\r\nx-evil: 1")], b"no")
            return
        size = 0
        async for part in exchange.chunks():
            size += len(part)
        exchange.respond(200, [], f"{exchange.method} {exchange.path} {size}".encode())

    async def refuse(upgrade: Upgrade) -> None:
        upgrade.reject(400, b'{"InactiveInstanceException": "gone"}')

    yield await start(Room(routes={"/v2/": handle}, sockets={"/ws": refuse}))


async def connect(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", running.port)


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One answer with a length."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    line, *fields = head.strip().split("\r\n")
    headers = dict(field.lower().split(": ", 1) for field in fields)
    return int(line.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


def request(path: str, body: bytes = b"", method: str = "POST", extra: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode() + body


async def test_pipelined_requests_are_answered_in_order_on_one_connection(running: Running) -> None:
    reader, writer = await connect(running)
    count = 3 * limits.QUEUED_REQUESTS
    writer.write(b"".join(request(f"/v2/{number}", b"x" * number) for number in range(count)))
    for number in range(count):
        assert (await answer(reader))[2] == f"POST /v2/{number} {number}".encode()
    writer.close()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(0, 400), max_size=6), lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4))
async def test_it_does_not_matter_how_bytes_arrive(running: Running, cuts: list[int], lengths: list[int]) -> None:
    reader, writer = await connect(running)
    data = b""
    for number, length in enumerate(lengths):
        if number % 2:
            piece = f"{length:x}\r\n".encode() + b"y" * length + b"\r\n" if length else b""
            data += b"PUT /v2/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + piece + b"0\r\n\r\n"
        else:
            data += request("/v2/a", b"y" * length, "PUT")
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in pairwise(places):
        writer.write(data[start:end])
        await writer.drain()
        await asyncio.sleep(0)
    for length in lengths:
        assert (await answer(reader))[2] == f"PUT /v2/a {length}".encode()
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v2/a HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/a HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd",
        b"POST /v2/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /v2/a HTTP/1.1\r\nhost: x\r\nbad header: 1\r\n\r\n",
        b"POST /v2/a HTTP/1.1\r\nhost : x\r\n\r\n",
        b"POST /v2/a HTTP/1.1\r\nx: a\0b\r\n\r\n",
        b"\r\n\r\nnonsense\r\n\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(running: Running, head: bytes) -> None:
    reader, writer = await connect(running)
    writer.write(head + request("/v2/smuggled"))
    status, headers, body = await answer(reader)
    assert status == 400 and headers["connection"] == "close" and b"smuggled" not in body
    assert b"smuggled" not in await reader.read()
    writer.close()


async def test_heads_are_bounded(running: Running) -> None:
    long = "x-a: " + "b" * limits.HEAD_BYTES + "\r\n"
    many = "".join(f"x-{number}: 1\r\n" for number in range(limits.HEADERS + 1))
    for extra in (long, many):
        reader, writer = await connect(running)
        writer.write(request("/v2/a", extra=extra))
        assert (await answer(reader))[0] == 431
        writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on_where_the_body_is_read(running: Running) -> None:
    reader, writer = await connect(running)
    writer.write(b"PUT /v2/a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await answer(reader))[2] == b"PUT /v2/a 3"
    writer.write(b"PUT /v2/deaf HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n")
    status, headers, body = await answer(reader)
    assert (status, headers["connection"], body) == (403, "close", b"no") and "x-evil" not in headers
    assert await reader.read() == b""
    writer.close()


async def test_answers_to_head_and_of_older_clients(running: Running) -> None:
    reader, writer = await connect(running)
    writer.write(request("/v2/file", method="HEAD") + request("/v2/file?5-9", method="GET"))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert f"content-length: {SIZE}".encode() in head
    assert (await answer(reader))[2] == b"\0" * 4
    writer.write(b"GET /v2/a HTTP/1.0\r\n\r\n")
    status, headers, _ = await answer(reader)
    assert (status, headers["connection"]) == (200, "close")
    assert await reader.read() == b""


async def test_large_files_and_bodies_take_no_memory(running: Running) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{running.endpoint}/v2/file") as found:
            size = 0
            async for part in found.content.iter_chunked(1 << 16):
                size += len(part)
            assert size == SIZE

        async def body() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield bytes(1_000_000)

        async with session.put(f"{running.endpoint}/v2/a", data=body()) as stored:
            assert await stored.text() == f"PUT /v2/a {SIZE}"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB


async def test_a_client_that_takes_nothing_or_goes_away_holds_no_descriptor(running: Running) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(5):
        reader, writer = await connect(running)
        writer.write(request("/v2/file", method="GET"))
        await reader.readexactly(1000)
        writer.transport.abort()
    reader, writer = await connect(running)
    writer.write(b"PUT /v2/a HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
    await asyncio.sleep(0.01)
    writer.transport.abort()
    for _ in range(200):
        if descriptors() <= before:
            break
        await asyncio.sleep(0.02)
    assert descriptors() <= before


async def test_slow_heads_idle_connections_and_stalled_bodies_end(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEAD_SECONDS", "IDLE_SECONDS", "STALL_SECONDS"):
        monkeypatch.setattr(limits, name, 0.1)
    reader, writer = await connect(running)
    writer.write(b"GET /v2/a HTTP/1.1\r\nhost:")
    assert (await answer(reader))[0] == 408
    reader, writer = await connect(running)
    writer.write(request("/v2/a"))
    await answer(reader)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    reader, writer = await connect(running)
    writer.write(b"PUT /v2/a HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
    assert (await answer(reader))[0] == 400


async def test_a_refused_handshake_has_a_body(running: Running) -> None:
    headers = {
        "upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{running.endpoint}/ws", headers=headers) as refused:
            assert (refused.status, await refused.json()) == (400, {"InactiveInstanceException": "gone"})
        async with session.get(f"{running.endpoint}/ws", headers=headers | {"sec-websocket-key": "x"}) as refused:
            assert refused.status == 400
        async with session.get(f"{running.endpoint}/elsewhere", headers=headers) as refused:
            assert refused.status == 404


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET /v2/a\r\n\r\n", (400, 505)),
        (b"GET /v2/a HTTP/2.0\r\nhost: x\r\n\r\n", (400, 505)),
        (b"DESCRIBE /v2/a RTSP/1.0\r\nhost: x\r\n\r\n", (400, 501)),
        (b"CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\n", (501,)),
        (b"GET /v2/a HTTP/1.1\r\n\r\n", (400,)),
        (b"GET /v2/a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n", (400,)),
        (b"POST /v2/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (501,)),
        (b"POST /v2/a HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
        (b"POST /v2/a HTTP/1.1\r\nhost: x\r\nexpect: tea\r\ncontent-length: 1\r\n\r\nx", (417,)),
    ],
)
async def test_what_is_no_request_of_ours_is_not_served(
    running: Running, data: bytes, expected: tuple[int, ...]
) -> None:
    reader, writer = await connect(running)
    writer.write(data)
    status, _, body = await answer(reader)
    assert status in expected and b"/v2/" not in body
    writer.close()


async def test_trailers_are_bounded(running: Running) -> None:
    reader, writer = await connect(running)
    writer.write(b"PUT /v2/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-a: ")
    for _ in range(64):
        writer.write(b"b" * 16_384)
        await asyncio.sleep(0)
    assert (await answer(reader))[0] == 400
    writer.close()
    reader, writer = await connect(running)
    trailed = b"PUT /v2/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-a: b\r\n\r\n"
    writer.write(trailed + request("/v2/b"))
    assert [(await answer(reader))[2] for _ in range(2)] == [b"PUT /v2/a 1", b"POST /v2/b 0"]
    writer.close()


async def test_an_offer_of_another_protocol_is_passed_over(running: Running) -> None:
    reader, writer = await connect(running)
    offer = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    writer.write(request("/v2/a", extra=offer, method="GET") + request("/v2/b"))
    assert (await answer(reader))[2] == b"GET /v2/a 0"
    assert (await answer(reader))[2] == b"POST /v2/b 0"
    writer.write(request("/v2/c", b"abc", extra=offer) + request("/v2/d"))
    assert (await answer(reader))[2] == b"POST /v2/c 3"
    assert (await answer(reader))[2] == b"POST /v2/d 0"
    chunked = offer + "transfer-encoding: chunked\r\n"
    head = f"PUT /v2/e HTTP/1.1\r\nhost: x\r\n{chunked}\r\n".encode()
    writer.write(head + b"2\r\nab")
    await asyncio.sleep(0.01)
    writer.write(b"\r\n0\r\n\r\n" + request("/v2/f"))
    assert (await answer(reader))[2] == b"PUT /v2/e 2"
    assert (await answer(reader))[2] == b"POST /v2/f 0"
    writer.close()
