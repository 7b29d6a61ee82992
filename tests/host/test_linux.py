"""Namespaces, links, sockets and cgroups, on this machine's kernel."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from pyroute2 import IPRoute

from dryport.host import cgroups, links, namespaces, sockets
from dryport.host.vpc import far_name, interface_id, near_name

pytestmark = pytest.mark.platform
PREFIX = f"dptest{os.getpid()}"


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"{PREFIX}-a"
    namespaces.create(name)
    yield name
    namespaces.delete(name)


def inode() -> int:
    return os.stat(f"/proc/self/task/{threading.get_native_id()}/ns/net").st_ino


def test_a_namespace_is_made_found_and_deleted() -> None:
    name = f"{PREFIX}-b"
    assert not namespaces.exists(name)
    path = namespaces.create(name)
    assert path == f"/run/netns/{name}" and namespaces.exists(name) and namespaces.exists(path)
    before = os.stat(path).st_ino
    namespaces.create(name)
    assert os.stat(path).st_ino == before
    assert namespaces.names(PREFIX) == [name]
    namespaces.delete(name)
    namespaces.delete(name)
    assert not namespaces.exists(name) and namespaces.names(PREFIX) == []
    assert not os.path.exists(path)


def test_the_remains_of_a_process_that_died_half_way_are_no_namespace() -> None:
    name = f"{PREFIX}-c"
    with open(f"/run/netns/{name}", "w"):
        pass
    assert not namespaces.exists(name) and namespaces.names(PREFIX) == []
    namespaces.create(name)
    assert namespaces.exists(name)
    namespaces.delete(name)


def test_work_inside_leaves_the_callers_thread_where_it_is(namespace: str) -> None:
    outside = inode()
    assert namespaces.run_in(namespace, inode) == os.stat(namespaces.path(namespace)).st_ino
    assert inode() == outside
    with pytest.raises(ZeroDivisionError):
        namespaces.run_in(namespace, lambda: 1 // 0)
    with pytest.raises(FileNotFoundError):
        namespaces.run_in(f"{PREFIX}-none", inode)
    with pytest.raises(RuntimeError):
        namespaces.enter_forever(namespace)
    assert inode() == outside


def make_pair(namespace: str, mac: str) -> None:
    """A veth whose near end is here."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)

    def make() -> None:
        with IPRoute() as ip:
            peer = {"ifname": f"n{os.getpid()}", "address": mac, "net_ns_fd": here}
            ip.link("add", kind="veth", ifname="far", peer=peer)

    try:
        namespaces.run_in(namespace, make)
    finally:
        os.close(here)


async def test_a_link_is_awaited_and_adopted(namespace: str) -> None:
    mac = "02:00:5e:00:53:01"
    waiting = asyncio.create_task(links.wait_for_mac(mac.upper(), 20))
    await asyncio.sleep(0)
    assert links.find_by_mac(mac) is None
    await asyncio.to_thread(make_pair, namespace, mac)
    found = await waiting
    assert (found.name, found.mac) == (f"n{os.getpid()}", mac)
    assert await links.wait_for_mac(mac, 20) == found
    task = f"{PREFIX}-d"
    namespaces.create(task)
    try:
        for _ in range(2):
            links.adopt(mac, task, address_cidr="10.9.0.7/24", gateway="10.9.0.1")
        assert links.find_by_mac(mac) is None
        shown = subprocess.check_output(["ip", "-n", task, "-br", "address"], text=True)
        assert "10.9.0.7/24" in shown and "169.254.170.2/32" in shown and "eth0" in shown
        assert "default via 10.9.0.1 dev eth0" in subprocess.check_output(["ip", "-n", task, "route"], text=True)
        listener = sockets.listen_in(task, links.TASK_ENDPOINT, 0)
        port = listener.getsockname()[1]
        with pytest.raises(OSError):
            sockets.listen_in(task, links.TASK_ENDPOINT, port)
        with listener, pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1).close()
        with pytest.raises(LookupError):
            links.adopt("02:00:5e:00:53:02", task, address_cidr="10.9.0.8/24", gateway="10.9.0.1")
    finally:
        namespaces.delete(task)


async def test_a_link_that_never_comes_is_not_awaited_for_ever() -> None:
    with pytest.raises(TimeoutError):
        await links.wait_for_mac("02:00:5e:00:53:03", 0.05)


@pytest.fixture
def cgroup() -> Iterator[str]:
    name = f"{PREFIX}/task"
    yield name
    cgroups.delete(PREFIX)


def enter(cgroup: str) -> None:
    for directory in cgroups.directories(cgroup):
        (directory / "cgroup.procs").write_text(str(os.getpid()))


def test_a_cgroup_goes_from_every_hierarchy(cgroup: str) -> None:
    """OCI runtimes make what is above a container's cgroup in hierarchies that Dryport itself does not use."""
    hierarchies = [each for each in cgroups.ROOT.iterdir() if each.is_dir() and not each.is_symlink()]
    others = [each / cgroup for each in hierarchies] if cgroups.version() == 1 else [cgroups.ROOT / cgroup]
    for directory in others:
        directory.mkdir(parents=True, exist_ok=True)
    cgroups.delete(cgroup)
    assert not any(directory.exists() for directory in others)


def test_limits_are_set_changed_and_gone(cgroup: str) -> None:
    cgroups.create(cgroup, cpu_quota=0.25, cpu_shares=256, memory=64 << 20, pids=20)
    cgroups.create(cgroup, memory=128 << 20)
    cgroups.create(cgroup, memory=32 << 20)
    stats = cgroups.stats(cgroup)
    assert stats is not None and stats.memory_limit == 32 << 20 and stats.pids == 0
    with subprocess.Popen(["sleep", "60"], preexec_fn=lambda: enter(cgroup)) as process:
        assert cgroups.processes(PREFIX) == {process.pid}
        cgroups.delete(PREFIX)
        assert process.wait() == -9
    assert cgroups.stats(cgroup) is None
    cgroups.delete(PREFIX)


def test_a_process_that_takes_too_much_is_killed_and_counted(cgroup: str) -> None:
    cgroups.create(cgroup, memory=16 << 20)
    assert cgroups.oom_kills(PREFIX) == 0
    eat = "x = bytearray(64 << 20); print(len(x))"
    done = subprocess.run(
        [sys.executable, "-c", eat], preexec_fn=lambda: enter(cgroup), capture_output=True, timeout=60
    )
    assert done.returncode == -9 and done.stdout == b""
    assert cgroups.oom_kills(PREFIX) == 1


@pytest.mark.parametrize("id", ["eni-0123456789abcdef0", "eni-0ffffffffffffffff", "eni-00000000000000000"])
def test_a_far_ends_name_holds_the_whole_id(id: str) -> None:
    assert len(far_name(id)) == 15
    assert interface_id(far_name(id)) == id
    assert interface_id("eth0") is None and interface_id("uplink") is None


def test_a_near_end_is_never_taken_for_an_uplink() -> None:
    names = {near_name("dp0a1b2c-vpc-0", f"eni-0{number:016x}") for number in range(2000)}
    assert len(names) == 2000
    assert all(len(name) == 15 and name.startswith("dp0a1b2ce") for name in names)
