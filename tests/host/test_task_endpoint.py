"""The task endpoint's address on a host: who reaches it, and that nothing of it stays."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator

import pytest

from dryport.host import namespaces, task_endpoint

pytestmark = pytest.mark.platform
ADDRESS, PORT, LISTENER = "169.254.170.2", 80, 51679
PREFIX = f"dpte{os.getpid()}"
HOST, CONTAINER, NEIGHBOUR = (f"{PREFIX}-{name}" for name in ("host", "container", "neighbour"))


def ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def host() -> Iterator[str]:
    """A host with a container behind the link ``tasks0`` and a neighbour beyond ``outside0``."""
    for name in (HOST, CONTAINER, NEIGHBOUR):
        namespaces.create(name)
    for link, peer, network in (("tasks0", CONTAINER, "10.9.1"), ("outside0", NEIGHBOUR, "10.9.2")):
        ip("-n", HOST, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", peer)
        for namespace, device, address in ((HOST, link, f"{network}.1/24"), (peer, "eth0", f"{network}.2/24")):
            ip("-n", namespace, "address", "add", address, "dev", device)
            ip("-n", namespace, "link", "set", device, "up")
        ip("-n", peer, "route", "add", "default", "via", f"{network}.1")
    ip("-n", HOST, "link", "set", "lo", "up")
    yield HOST
    for name in (HOST, CONTAINER, NEIGHBOUR):
        namespaces.delete(name)


def reaches(namespace: str, port: int = PORT) -> bool:
    """Whether a connection to the address is taken."""
    script = f"import socket; socket.create_connection(('{ADDRESS}', {port}), 1)"
    command = ["nsenter", f"--net=/run/netns/{namespace}", "python3", "-c", script]
    return subprocess.run(command, capture_output=True).returncode == 0


def state(namespace: str) -> tuple[str, bool]:
    """The namespace's tables, and whether it has the address."""
    command = ["nsenter", f"--net=/run/netns/{namespace}", "nft", "list", "tables"]
    tables = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tables, f"{ADDRESS}/" in ip("-n", namespace, "address", "show", "lo")


def test_the_host_and_its_containers_reach_it_and_nobody_else(host: str) -> None:
    listener = namespaces.run_in(host, lambda: task_endpoint.open(ADDRESS, PORT, LISTENER, "tasks0"))
    assert reaches(host) and reaches(CONTAINER)
    assert not reaches(NEIGHBOUR) and not reaches(NEIGHBOUR, LISTENER)
    with pytest.raises(OSError) as taken:
        namespaces.run_in(host, lambda: task_endpoint.open(ADDRESS, PORT, LISTENER, "outside0"))
    assert taken.value.errno == errno.EADDRINUSE
    assert reaches(CONTAINER)
    # Another agent's end takes nothing away.
    namespaces.run_in(host, lambda: task_endpoint.close(ADDRESS, LISTENER))
    assert reaches(CONTAINER)
    listener.close()
    assert state(host)[1]
    # What a killed agent has left is taken over, and gone with the next one's end.
    namespaces.run_in(host, lambda: task_endpoint.open(ADDRESS, PORT, LISTENER, "tasks0")).close()
    for _ in range(2):
        namespaces.run_in(host, lambda: task_endpoint.close(ADDRESS, LISTENER))
    assert state(host) == ("", False)
