"""Traffic through two of Service Connect's proxies, the asking task's and the answering one's: each a real HAProxy."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from websockets.sync.client import connect
from websockets.sync.server import serve

from dryport.agent.connect import haproxy
from dryport.agent.connect.ways import TEST, Egress, Header, Ingress, Place, Reached, Ways
from tests.elb.test_grpc import Serving, Text
from tests.ports import free_port

pytestmark = pytest.mark.platform
HERE = "127.0.0.1"


@contextlib.contextmanager
def running(directory: Path, ways: Ways, reached: Reached) -> Iterator[None]:
    """A proxy, with its files in a directory of the test's."""
    directory.mkdir()
    text = haproxy.render(ways, haproxy.assign({}, reached, haproxy.services(ways)))
    (directory / haproxy.CONFIGURATION).write_text(text.replace(haproxy.DIRECTORY, str(directory)))
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(directory / haproxy.CONFIGURATION)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        for way in (*ways.ingress, *ways.egress):
            _wait(lambda port=way.listener: _answers(port))  # type: ignore[misc]
        yield
    finally:
        process.kill()
        process.wait()


def _wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HERE, port), 1):
        return True
    return False


@contextlib.contextmanager
def between(directory: Path, protocol: str, *ports: int, **members: Any) -> Iterator[int]:
    """The port of an alias, behind which applications at these ports answer, each with a proxy of its own."""
    with contextlib.ExitStack() as stack:
        reached = []
        for number, port in enumerate(ports):
            entry = Ingress(service="s", name="web", container="main", port=port, listener=free_port(),
                            protocol=protocol, **members)  # fmt: skip
            stack.enter_context(running(directory / f"in{number}", Ways(ingress=[entry]), {}))
            reached.append(Place(HERE, entry.listener))
        alias = Egress(service="s", alias="web", address=HERE, port=80, listener=free_port(), protocol=protocol,
                       **members)  # fmt: skip
        stack.enter_context(running(directory / "out", Ways(egress=[alias]), {"s": reached}))
        yield alias.listener


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving(HERE)
    yield made
    made.stop()


async def say(port: int, what: str) -> str:
    channel = Channel(HERE, port, codec=Text())
    try:
        answer: str = await asyncio.wait_for(UnaryUnaryMethod(channel, "/a.Echo/Say", str, str)(what), 20)
        return answer
    finally:
        channel.close()


@pytest.mark.parametrize("protocol", ["grpc", "http2", "tcp"])
def test_grpc(tmp_path: Path, serving: Serving, protocol: str) -> None:
    """Calls pass, and their status, which is in the trailers."""
    with between(tmp_path, protocol, serving.port) as port:
        assert asyncio.run(say(port, "me")) == "heard me"
        serving.echo.status = Status.DATA_LOSS
        with pytest.raises(GRPCError) as error:
            asyncio.run(say(port, "me"))
        assert error.value.status is Status.DATA_LOSS


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_websockets(tmp_path: Path, protocol: str) -> None:
    def echo(connection: Any) -> None:
        for message in connection:
            connection.send(f"heard {message}")

    with serve(echo, HERE, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with (
            between(tmp_path, protocol, server.socket.getsockname()[1], idle=60, per_request=1) as port,
            connect(f"ws://{HERE}:{port}/") as client,
        ):
            client.send("me")
            assert client.recv(10) == "heard me"
            time.sleep(2)  # longer than a request may take: it is no request any more
            client.send("again")
            assert client.recv(10) == "heard again"
        server.shutdown()


class Application(http.server.ThreadingHTTPServer):
    """Answers its name, with a status that tests choose, and counts."""

    def __init__(self, name: str, status: int = 200) -> None:
        super().__init__((HERE, 0), _Handler)
        self.name, self.status, self.asked = name, status, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Application

    def do_GET(self) -> None:
        self.server.asked += 1
        body = self.server.name.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def applications() -> Iterator[list[Application]]:
    made = [Application(name) for name in "abcd"]
    yield made
    for each in made:
        each.shutdown()
        each.server_close()


def asked(port: int, count: int) -> list[int]:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "-m", "5", f"http://{HERE}:{port}/[1-{count}]"]
    return [int(each) for each in subprocess.run(command, capture_output=True, text=True).stdout.split()]


def test_an_outlier_is_kept_out(tmp_path: Path, applications: list[Application]) -> None:
    bad = applications[0]
    bad.status = 500
    with between(tmp_path, "http", *(each.server_port for each in applications)) as port:
        assert asked(port, 40).count(500) == 5
        assert set(asked(port, 40)) == {200} and bad.asked == 5
        assert all(each.asked > 10 for each in applications[1:])


def test_an_outlier_returns(tmp_path: Path, applications: list[Application], monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, even if it fails again; and stays, if it does not."""
    monkeypatch.setattr(haproxy, "_EJECTION", 1)
    bad = applications[0]
    bad.status = 500
    with between(tmp_path, "http", *(each.server_port for each in applications)) as port:
        assert asked(port, 40).count(500) == 5
        _wait(lambda: asked(port, 4).count(500) > 0)
        bad.status = 200
        before = bad.asked
        _wait(lambda: bool(asked(port, 4)) and bad.asked > before + 10)
        assert set(asked(port, 40)) == {200}


def test_no_more_than_half_are_kept_out(tmp_path: Path, applications: list[Application]) -> None:
    """Where three of four fail, or all, everybody is asked: nobody is told that there is no server."""
    for each in applications[:2]:
        each.status = 500
    with between(tmp_path, "http", *(each.server_port for each in applications)) as port:
        asked(port, 60)
        assert set(asked(port, 40)) == {200}, "half of them are out"
        applications[2].status = 500
        asked(port, 60)
        assert sorted(set(asked(port, 40))) == [200, 500]
        applications[3].status = 500
        assert set(asked(port, 60)) == {500}
        for each in applications:
            each.status = 200
        assert set(asked(port, 40)) == {200}


def test_half_of_what_connects_at_all(tmp_path: Path) -> None:
    """TCP: a server that takes no connection is left out, the only one is asked all the same."""

    def echo(connection: Any) -> None:
        connection.send("hello")

    with serve(echo, HERE, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with between(tmp_path, "tcp", server.socket.getsockname()[1]) as port:
            for _ in range(10):
                with connect(f"ws://{HERE}:{port}/") as client:
                    assert client.recv(10) == "hello"
        server.shutdown()


@pytest.mark.parametrize("value", [None, 'a "b" c'])
def test_weights_and_test_traffic(tmp_path: Path, applications: list[Application], value: str | None) -> None:
    """As deployments shift it: some get more than others, and who marks his requests is led to whom is tested."""
    old, new, *_ = applications
    header = Header(name="x-test", value=value)
    way = Egress(service="s", alias="web", address=HERE, port=80, listener=free_port(), protocol="http", test=header)
    reached: Reached = {"s": [Place(HERE, old.server_port, 256), Place(HERE, new.server_port, 64)]}
    reached[f"s{TEST}"] = [Place(HERE, new.server_port)]

    def ask(count: int, *headers: str) -> None:
        given = [part for each in headers for part in ("-H", each)]
        url = f"http://{HERE}:{way.listener}/[1-{count}]"
        subprocess.run(["curl", "-s", "-o", "/dev/null", "-m", "5", *given, url], check=True)

    with running(tmp_path / "weighed", Ways(egress=[way]), reached):
        ask(100)
        assert (old.asked, new.asked) == (80, 20)
        ask(10, f"X-Test: {value or 'anything'}")
        assert (old.asked, new.asked) == (80, 30)
        ask(10, f"X-Test: {value}s" if value else "X-Tests: y")
        assert old.asked > 80
    del reached[f"s{TEST}"]
    with running(tmp_path / "nobody", Ways(egress=[way]), reached):
        ask(10, f"X-Test: {value or 'anything'}")  # nobody is tested
        assert old.asked > 90


class Hanging:
    """Takes connections and closes them without an answer, or never answers; counts the requests that came."""

    def __init__(self, *, closes: bool) -> None:
        self.closes, self.asked = closes, 0
        self._socket = socket.create_server((HERE, 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._hear, args=[connection], daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if not connection.recv(65536):
                return
            self.asked += 1
            if self.closes:
                connection.close()
            else:
                self._open.append(connection)

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self._open:
            each.close()


@pytest.fixture
def silent() -> Iterator[Hanging]:
    made = Hanging(closes=False)
    yield made
    made.stop()


@pytest.fixture
def closing() -> Iterator[Hanging]:
    made = Hanging(closes=True)
    yield made
    made.stop()


def status(port: int, *options: str) -> str:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "30", *options, f"http://{HERE}:{port}/"]
    return subprocess.run(command, capture_output=True, text=True).stdout


@contextlib.contextmanager
def alias(directory: Path, *ports: int, protocol: str = "http", **members: Any) -> Iterator[int]:
    """The port of an alias that leads to these ports, with no proxy in between."""
    way = Egress(service="s", alias="web", address=HERE, port=80, listener=free_port(), protocol=protocol, **members)
    with running(directory / "alias", Ways(egress=[way]), {"s": [Place(HERE, each) for each in ports]}):
        yield way.listener


def test_what_is_safe_is_asked_again_elsewhere(
    tmp_path: Path, applications: list[Application], closing: Hanging
) -> None:
    """A task that ends connections without an answer: nobody notices who asks what may be asked twice."""
    with alias(tmp_path, closing.port, applications[0].server_port) as port:
        assert [status(port) for _ in range(4)] == ["200"] * 4
        assert closing.asked, "it had its turn"


def test_what_is_not_safe_is_asked_once(tmp_path: Path, closing: Hanging) -> None:
    with alias(tmp_path, closing.port) as port:
        assert status(port, "-d", "x") == "502"
        assert closing.asked == 1
        assert status(port) == "502"
        assert closing.asked == 1 + 3, "once, and two retries"


def test_what_does_not_connect_is_tried_elsewhere(tmp_path: Path, applications: list[Application]) -> None:
    """Nothing was asked where no connection came about, so that any method is tried again."""
    gone, stays, *_ = applications
    with alias(tmp_path, gone.server_port, stays.server_port) as port:
        asked(port, 4)
        assert gone.asked and stays.asked
        gone.shutdown()
        gone.server_close()  # nobody has checked it since
        assert [status(port, "-d", "x") for _ in range(4)] == ["501"] * 4, "an application's own: it knows no POST"


def test_a_request_that_takes_too_long_is_ended(tmp_path: Path, silent: Hanging) -> None:
    with between(tmp_path, "http", silent.port, idle=60, per_request=1) as port:
        assert status(port) == "504"
    assert silent.asked == 1, "it is not asked again"


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_idle_connections_are_ended(tmp_path: Path, silent: Hanging, protocol: str) -> None:
    with (
        between(tmp_path, protocol, silent.port, idle=1, per_request=0) as port,
        socket.create_connection((HERE, port), 30) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        heard = client.recv(65536)
        assert heard.startswith(b"HTTP/1.1 504") if protocol == "http" else heard == b""


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_without_timeouts_nothing_is_ended(tmp_path: Path, silent: Hanging, protocol: str) -> None:
    """0 is none: neither the request nor the connection ends, though nothing comes."""
    with (
        between(tmp_path, protocol, silent.port, idle=0, per_request=0) as port,
        socket.create_connection((HERE, port), 30) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        client.settimeout(3)
        with pytest.raises(TimeoutError):
            client.recv(1)
