"""Where the endpoint listens."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network

from dryport.control.config import Config


def endpoint_address(config: Config) -> str:
    """The machine's side of the VPCs' uplinks: tasks reach the endpoint at it, translated from 169.254.171.1."""
    return str(IPv4Network(config.public_network)[1])


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def listen_addresses(config: Config) -> list[str]:
    """Loopback, never every interface; and the address that only the VPCs reach."""
    loopback = ["127.0.0.1", "::1"] if _has_ipv6_loopback() else ["127.0.0.1"]
    return [*loopback, endpoint_address(config)]
