"""Ports of loopback for the servers of tests."""

from __future__ import annotations

import random
import socket

# Below those that Linux gives clients (ip_local_port_range, ip(7)): no connection takes one before its server does.
_PORTS = range(12_000, 32_000)
_random = random.SystemRandom()  # Hypothesis seeds the other one
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has now, and that this process was not given before."""
    while True:
        port = _random.choice(_PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
