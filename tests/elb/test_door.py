"""Balancers' names on loopback: a real HAProxy tells them apart."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dryport.elb.dataplane import door
from dryport.elb.dataplane.door import Entry
from dryport.host.balancers.process import Process
from dryport.host.messages import Carrier
from tests.elb.carried import ADDRESS, refused
from tests.elb.test_haproxy import certificate
from tests.ports import free_port

pytestmark = pytest.mark.platform

OTHER = ADDRESS.replace("127.", "127.1", 1)  # a second address that is this process's alone
ONE, TWO = "one-1.us-east-1.elb.localhost", "Two-2.us-east-1.elb.localhost"


@contextmanager
def serving(address: str, port: int, context: ssl.SSLContext | None = None) -> Iterator[None]:
    """A server that says where it is."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = address.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def opened(entries: list[Entry], directory: Path) -> Iterator[None]:
    config = door.render(entries)
    assert not refused(config, directory)
    process = Process(directory)
    asyncio.run(process.ensure(Carrier(id="door", namespace="", config=config, ports=door.ports(entries))))
    try:
        yield
    finally:
        asyncio.run(process.end())


def ask(port: int, host: str, context: ssl.SSLContext | None = None) -> str:
    connection = HTTPConnection(host, port, timeout=10)
    connection.sock = socket.create_connection(("127.0.0.1", port), 10)
    if context is not None:
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    connection.request("GET", "/")
    body = connection.getresponse().read().decode()
    connection.close()
    return body


def test_balancers_of_one_port_are_told_apart_by_the_host_that_a_request_names(tmp_path: Path) -> None:
    port = free_port()
    entries = [Entry(ONE, "HTTP", port, [ADDRESS]), Entry(TWO, "HTTP", port, [OTHER])]
    with ExitStack() as stack:
        for address in (ADDRESS, OTHER):
            stack.enter_context(serving(address, port))
        stack.enter_context(opened(entries, tmp_path))
        assert [ask(port, each) for each in (ONE, TWO, TWO.lower(), "127.0.0.1")] == [ADDRESS, OTHER, OTHER, ADDRESS]


def test_those_that_speak_tls_by_the_server_name(tmp_path: Path) -> None:
    certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "c.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    port = free_port()
    entries = [Entry(ONE, "TLS", port, [ADDRESS]), Entry(TWO, "HTTPS", port, [OTHER])]
    with ExitStack() as stack:
        for address in (ADDRESS, OTHER):
            stack.enter_context(serving(address, port, server))
        stack.enter_context(opened(entries, tmp_path))
        assert [ask(port, each, client) for each in (ONE, TWO.lower(), "else.localhost")] == [ADDRESS, OTHER, ADDRESS]


def test_one_that_speaks_tcp_gets_what_names_nobody(tmp_path: Path) -> None:
    port = free_port()
    entries = [Entry(ONE, "HTTP", port, [ADDRESS]), Entry(TWO, "TCP", port, [OTHER])]
    with ExitStack() as stack:
        for address in (ADDRESS, OTHER):
            stack.enter_context(serving(address, port))
        stack.enter_context(opened(entries, tmp_path))
        assert [ask(port, each) for each in (ONE, "else.localhost")] == [ADDRESS, OTHER]
