"""Sockets in other network namespaces: made there, used from anywhere in the process."""

from __future__ import annotations

import socket

from dryport.host import namespaces


def listen_in(namespace: str, address: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A non-blocking listening TCP socket on an IPv4 address of a namespace; port 0 picks a free one.

    The address need not be there yet (IP_FREEBIND). Raises FileNotFoundError where the namespace is gone, OSError
    where the port is taken.
    """
    listener = _bound(namespace, socket.SOCK_STREAM, address, port)
    listener.listen(backlog)
    return listener


def udp_in(namespace: str, address: str, port: int) -> socket.socket:
    """A non-blocking UDP socket bound to an IPv4 address of a namespace. Raises as ``listen_in`` does."""
    return _bound(namespace, socket.SOCK_DGRAM, address, port)


def _bound(namespace: str, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    def make() -> socket.socket:
        made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_FREEBIND", 15), 1)
            made.bind((address, port))
        except OSError:
            made.close()
            raise
        return made

    return namespaces.run_in(namespace, make)
