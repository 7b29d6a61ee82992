"""Web servers and their clients inside network namespaces, for tests of balancers."""

from __future__ import annotations

import http.client
import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dryport.host import namespaces


@contextmanager
def web(namespace: str, port: int, name: str) -> Iterator[dict[str, int]]:
    """A server that says its name; ``status`` in what it gives is what it answers ``/health``."""
    state = {"status": 200}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = name.encode()
            self.send_response(state["status"] if self.path == "/health" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = namespaces.run_in(namespace, lambda: Server(("0.0.0.0", port), Handler))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(namespace: str, address: str, port: int = 80, path: str = "/") -> tuple[int, str]:
    """The answer's status and body. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    connection.sock = namespaces.run_in(namespace, lambda: socket.create_connection((address, port), 3))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@contextmanager
def steady_load(namespace: str, address: str) -> Iterator[None]:
    """Requests without a pause, each on a connection of its own, all of which must be answered with 200."""
    failed: list[object] = []
    served = itertools.count()
    end = threading.Event()

    def load() -> None:
        while not end.is_set():
            try:
                status, _ = get(namespace, address)
                next(served)
                if status != 200:
                    failed.append(status)
            except (OSError, http.client.HTTPException) as error:
                failed.append(repr(error))

    loads = [threading.Thread(target=load) for _ in range(2)]
    for each in loads:
        each.start()
    try:
        yield
    finally:
        end.set()
        for each in loads:
            each.join()
    assert not failed, failed[:5]
    assert next(served) > 20
