"""``dryport doctor``: what this machine lacks, with the command that mends it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import click

from dryport.cli import options
from dryport.control.config import DEFAULT_PORT

_FREE_BYTES = 2 << 30


class Lack(Exception):
    """Something is missing. ``mend`` is the command or the deed that helps; ``fatal``: nothing works without."""

    def __init__(self, what: str, mend: str, *, fatal: bool = True) -> None:
        super().__init__(what)
        self.mend = mend
        self.fatal = fatal


def _linux() -> str:
    if sys.platform != "linux":
        raise Lack(
            f"this is {sys.platform}, and containers need Linux", "run Dryport on Linux, or in a virtual machine"
        )
    return f"Linux {os.uname().release}"


def _root() -> str:
    if os.geteuid() != 0:
        raise Lack("namespaces, firewalls and mounts need root", f"sudo {sys.argv[0]} …")
    return "root"


def _program(name: str, package: str, *, fatal: bool = True) -> Callable[[], str]:
    def check() -> str:
        found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if found is None:
            raise Lack(f"{name} is not installed", f"apt-get install -y {package}", fatal=fatal)
        return f"{name} at {found}"

    return check


def _overlay() -> str:
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise Lack("the kernel has no overlay file system", "modprobe overlay")
    return "overlay file system"


def _cgroups() -> str:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "cgroup v2"
    if Path("/sys/fs/cgroup/memory").exists():
        return "cgroup v1"
    raise Lack("no control groups are mounted, so limits cannot bind", "mount -t cgroup2 none /sys/fs/cgroup")


def _names() -> str:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo("registry.localhost", None)}
    except OSError:
        addresses = set()
    if not addresses or not all(str(address).startswith(("127.", "::1")) for address in addresses):
        raise Lack(
            "names under .localhost do not resolve to this machine, which docker login and push need",
            "apt-get install -y libnss-myhostname   # then restart dockerd",
            fatal=False,
        )
    return "*.localhost resolves to loopback"


def _docker() -> str:
    if not Path("/var/run/docker.sock").exists():
        raise Lack("no Docker daemon runs (docker push needs one; Fargate does not)", "dockerd &", fatal=False)
    return "Docker daemon"


def _disk() -> str:
    free = shutil.disk_usage("/var/lib").free
    if free < _FREE_BYTES:
        raise Lack(f"only {free >> 20} MiB are free under /var/lib", "make room: images need it", fatal=False)
    return f"{free >> 30} GiB free under /var/lib"


CHECKS: tuple[Callable[[], str], ...] = (
    _linux,
    _root,
    _overlay,
    _cgroups,
    _program("nft", "nftables"),
    _program("containerd", "containerd"),
    _program("runc", "runc"),
    _program("docker", "docker.io", fatal=False),
    _docker,
    _names,
    _disk,
)


def require() -> None:
    """Raise what stands in the way of ``dryport up``, with its remedy."""
    for check in CHECKS:
        try:
            check()
        except Lack as lack:
            if lack.fatal:
                raise options.Failure(
                    f"{lack}\n  mend it with: {lack.mend}\n  `dryport doctor` shows the whole list"
                ) from None


def require_root() -> None:
    """Raise unless this is root."""
    _require(_root)


def require_docker() -> None:
    """Raise unless a Docker daemon runs."""
    _require(_docker)


def _require(check: Callable[[], str]) -> None:
    try:
        check()
    except Lack as lack:
        raise options.Failure(f"{lack}\n  mend it with: {lack.mend}") from None


def port_taken(port: int, address: str = "127.0.0.1") -> bool:
    """Whether another program listens on this port of an address of the machine's."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
def doctor(port: int) -> None:
    """Say what this machine lacks, and the command that mends it. Exit status 1 if something essential is missing."""
    fatal = False
    for check in CHECKS:
        try:
            click.echo(f"ok      {check()}")
        except Lack as lack:
            fatal |= lack.fatal
            click.echo(f"{'MISSING' if lack.fatal else 'advice '} {lack}\n        {lack.mend}")
    if port_taken(port):
        click.echo(f"advice  port {port} is taken (by a running Dryport?)\n        dryport up --port …")
    if fatal:
        raise SystemExit(1)
