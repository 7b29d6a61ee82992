"""An upstream of the tests' own: keeps what it was sent, answers what it is told to."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dryport.aws import sigv4


@dataclass
class Received:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def is_signed_with(self, secret: str) -> bool:
        """Whether its signature is right for a key."""
        header = self.headers
        stated = sigv4.from_header(header["authorization"], header["x-amz-date"], header.get("x-amz-security-token"))
        hashed = hashlib.sha256(self.body).hexdigest()
        made = sigv4.calculate(stated, secret, self.method, self.path, self.query, header.get, hashed)
        return made == stated.signature


@dataclass
class Upstream:
    """``parts`` are the answer's body (``None``: the connection breaks); ``length`` is announced where it is given."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    parts: list[bytes | None] = field(default_factory=lambda: [b"{}"])
    length: int | None = None


@contextmanager
def upstream() -> Iterator[Upstream]:
    known = Upstream()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            known.received.append(Received(self.command, path, query, headers, body))
            self.send_response(known.status)
            for name, value in known.headers:
                self.send_header(name, value)
            if known.length is not None:
                self.send_header("content-length", str(known.length))
            else:
                self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for part in known.parts:
                if part is None:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(part if known.length is not None else b"%x\r\n%b\r\n" % (len(part), part))
            if known.length is None:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
