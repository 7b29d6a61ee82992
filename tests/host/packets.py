"""Real packets between namespaces, from the tests' own process."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dryport.host import namespaces

_PATIENCE = 1.5  # seconds until what does not answer counts as dropped; nothing here is farther than this machine


@contextmanager
def listening(namespace: str, port: int, address: str = "0.0.0.0") -> Iterator[list[str]]:
    """A server that says hello; the addresses that it was called from."""
    callers: list[str] = []

    def make() -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen()
        return made

    server = namespaces.run_in(namespace, make)

    def serve() -> None:
        while True:
            try:
                connection, (caller, _) = server.accept()
            except OSError:
                return
            callers.append(caller)
            connection.sendall(b"hello")
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield callers
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def reaches(namespace: str, address: str, port: int, source: str | None = None) -> bool:
    """Whether a TCP connection from a namespace is answered with hello."""

    def call() -> bool:
        with socket.socket() as client:
            client.settimeout(_PATIENCE)
            if source is not None:
                client.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
                client.bind((source, 0))
            try:
                client.connect((address, port))
                return client.recv(5) == b"hello"
            except TimeoutError:
                return False
            except OSError as error:
                if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED):
                    return False
                raise

    return namespaces.run_in(namespace, call)


def refused(namespace: str, address: str, port: int) -> bool:
    """Whether a connection is answered with a reset: the packet arrived where nobody listens."""

    def call() -> bool:
        with socket.socket() as client:
            client.settimeout(_PATIENCE)
            return client.connect_ex((address, port)) == errno.ECONNREFUSED

    return namespaces.run_in(namespace, call)


def asks_udp(namespace: str, data: bytes, address: str, port: int) -> bytes | None:
    """A datagram's answer."""

    def call() -> bytes | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(_PATIENCE)
            client.sendto(data, (address, port))
            try:
                return client.recv(65535)
            except (TimeoutError, OSError):
                return None

    return namespaces.run_in(namespace, call)
