"""gRPC behind a real HAProxy: calls pass, and health checks see the status of a call."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from dryport.elb.dataplane.plan import HealthCheck, Listener, Target
from tests.elb.carried import ADDRESS, PORT, Running, balancer, carried, group, until
from tests.elb.test_haproxy import TO_A, certificate

pytestmark = pytest.mark.platform


class Text(CodecBase):
    """Messages that are text, in the place of protobuf's: what a codec of grpclib's takes."""

    @property
    def __content_subtype__(self) -> str:
        return "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return str(message).encode()

    def decode(self, data: bytes, message_type: Any) -> str:
        return data.decode()


class Echo:
    """A service: ``/a.Echo/Say`` answers what it is told, or the status that it is told to fail with."""

    def __init__(self) -> None:
        self.status = Status.OK

    async def say(self, stream: Any) -> None:
        told = await stream.recv_message()
        if self.status is not Status.OK:
            raise GRPCError(self.status, "as told")
        await stream.send_message(f"heard {told}")

    def __mapping__(self) -> dict[str, Handler]:
        return {"/a.Echo/Say": Handler(self.say, Cardinality.UNARY_UNARY, str, str)}


class Serving:
    """An event loop in a thread of its own, with a gRPC server."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address
        self.echo = Echo()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = self.run(self._start())

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _start(self) -> int:
        self._server = Server([self.echo], codec=Text())
        await self._server.start(self._address, 0)
        port: int = self._server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return port

    async def _stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def stop(self) -> None:
        self.run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.stop()


async def _ask(directory: Path, what: str) -> str:
    context = ssl.create_default_context(cafile=str(directory / "chain"))
    context.set_alpn_protocols(["h2"])
    context.check_hostname = False
    channel = Channel(ADDRESS, PORT, ssl=context, codec=Text())
    try:
        answer: str = await asyncio.wait_for(UnaryUnaryMethod(channel, "/a.Echo/Say", str, str)(what), 20)
        return answer
    finally:
        channel.close()


def test_calls_pass_and_their_status_too(tmp_path: Path, serving: Serving) -> None:
    certificate(tmp_path)
    front = Listener(arn="l", protocol="HTTPS", port=PORT, default=TO_A, certificates=("c",))
    check = HealthCheck(path="/AWS.ALB/healthcheck", interval=1, timeout=20, codes="12")
    made = group("a", Target(address=ADDRESS, port=serving.port), version="GRPC", health_check=check)
    with carried(balancer([front], [made]), tmp_path):
        assert asyncio.run(_ask(tmp_path, "me")) == "heard me"
        serving.echo.status = Status.DATA_LOSS
        with pytest.raises(GRPCError) as error:
            asyncio.run(_ask(tmp_path, "me"))
        assert error.value.status is Status.DATA_LOSS


def _is(running: Running, status: str) -> bool:
    return _last(running.tell("show stat")) == status


def _last(stat: str) -> str:
    rows = [line.split(",") for line in stat.removeprefix("# ").splitlines()]
    place = {name: number for number, name in enumerate(rows[0])}
    return next(row[place["check_status"]] for row in rows[1:] if row[1] == "s1").removeprefix("* ")


def test_health_checks_see_the_status(tmp_path: Path, serving: Serving) -> None:
    target = Target(address=ADDRESS, port=serving.port)
    long = "/" + "x" * 1000
    for path, codes, status, wanted in (
        ("/AWS.ALB/healthcheck", "12", Status.OK, "L7OK"),  # there is no such method
        (long, "12", Status.OK, "L7OK"),
        ("/a.Echo/Say", "0", Status.OK, "L7OK"),
        ("/a.Echo/Say", "1-99", Status.OK, "L7STS"),
        ("/a.Echo/Say", "0-14,16", Status.DATA_LOSS, "L7STS"),
        ("/a.Echo/Say", "15", Status.DATA_LOSS, "L7OK"),
    ):
        serving.echo.status = status
        check = HealthCheck(path=path, interval=1, timeout=20, unhealthy=2, codes=codes)
        made = group("a", target, version="GRPC", health_check=check)
        front = Listener(arn="l", protocol="HTTP", port=PORT, default=TO_A)
        directory = tmp_path / f"{status.value}-{codes}-{len(path)}"
        directory.mkdir()
        with carried(balancer([front], [made]), directory) as running:
            until(partial(_is, running, wanted))
