"""Where the endpoint listens."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network

from dryport.control.clock import Clock
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


def loopback_addresses() -> list[str]:
    """Where people's clients reach the endpoint: loopback, never every interface."""
    return ["127.0.0.1", "::1"] if _has_ipv6_loopback() else ["127.0.0.1"]


def _is_there(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


async def until_there(address: str, clock: Clock) -> None:
    """Wait until the machine has an address: the host driver makes the VPCs' one while the control plane starts."""
    while not _is_there(address):
        await clock.sleep(0.02)
