"""The devices that an instance has: those that every program expects, its volumes, its GPUs; none else.

Reaching a running instance: its mount namespace is that of its init, so a node that is made in ``/dev`` there appears
in it, and ``groups.allow`` lets it be opened. Never by ``/proc/<pid>/root``: links that the instance made lead astray.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from dryport.host import mount_namespaces

# Rules of devices cgroups: nodes may be made of anything, but only these be opened. 1:* are null, zero, full, random,
# urandom; 5:* tty, console, ptmx; 136:* terminals; 10:200 tun; 10:229 fuse.
ALLOWED = (
    "c *:* m",
    "b *:* m",
    *(f"c 1:{minor} rwm" for minor in (3, 5, 7, 8, 9)),
    *(f"c 5:{minor} rwm" for minor in (0, 1, 2)),
    "c 136:* rwm",
    "c 10:200 rwm",
    "c 10:229 rwm",
)


_DISK = re.compile(r"(sd|xvd|hd)([a-z]{1,2}[0-9]{0,2})")


class Device(NamedTuple):
    """A device node: its path below ``/dev``, ``b`` or ``c``, its numbers, its permissions."""

    name: str
    kind: str
    major: int
    minor: int
    mode: int = 0o660

    @property
    def rule(self) -> str:
        """The rule of a devices cgroup that lets it be used."""
        return f"{self.kind} {self.major}:{self.minor} rwm"


class DiskName(NamedTuple):
    """What an attached volume is called below ``/dev``: the node's name, and a link's, "" where there is none."""

    node: str
    link: str


class NoDevice(Exception):
    """The machine has not what an instance needs."""


def like(path: str, name: str) -> Device:
    """The device of one of the machine's nodes, to appear as ``name``. Raises OSError."""
    status = os.stat(path)
    kind = "b" if stat.S_ISBLK(status.st_mode) else "c"
    mode = stat.S_IMODE(status.st_mode)
    return Device(name, kind, os.major(status.st_rdev), os.minor(status.st_rdev), mode)


def gpus(count: int, taken: Collection[str] = (), directory: Path = Path("/dev")) -> list[Device]:
    """The nodes for so many of the machine's NVIDIA GPUs, first those of the GPUs themselves (``nvidia0``).

    ``taken`` are the names of those that other instances have. Raises NoDevice where there are fewer.
    """
    if not count:
        return []
    cards = sorted(directory.glob("nvidia[0-9]*"), key=lambda path: (len(path.name), path.name))
    free = [path for path in cards if path.name not in taken]
    if len(free) < count:
        raise NoDevice(f"the machine has {len(cards)} GPUs, {len(free)} of them free; {count} are needed")
    shared = [path for path in directory.glob("nvidia*") if path not in cards and not path.is_dir()]
    return [like(str(path), path.name) for path in (*free[:count], *sorted(shared))]


def disk_name(asked: str) -> DiskName:
    """The names of a volume that is attached as ``/dev/sdf``: Linux calls it ``/dev/xvdf``. Raises ValueError.

    As on AWS's Xen instances ("Device names for volumes", EC2 user guide), with the asked name as a link.
    """
    found = _DISK.fullmatch(asked.removeprefix("/dev/"))
    if found is None:
        raise ValueError(f"{asked!r} is no name of a volume's device")
    node = f"xvd{found[2]}"
    return DiskName(node, "" if found[1] == "xvd" else f"{found[1]}{found[2]}")


def appear(pid: int, device: Device, link: str = "") -> None:
    """Make a device's node in a running instance, and a link to it. Doing it again changes nothing. Raises OSError."""

    def make() -> None:
        node, number = f"/dev/{device.name}", os.makedev(device.major, device.minor)
        kind = stat.S_IFBLK if device.kind == "b" else stat.S_IFCHR
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(node).st_rdev != number:
                os.unlink(node)
        with contextlib.suppress(FileExistsError):
            os.mknod(node, kind | device.mode, number)
            os.chmod(node, device.mode)
        if link:
            with contextlib.suppress(FileExistsError):
                os.symlink(device.name, f"/dev/{link}")

    mount_namespaces.run_in(pid, make)


def vanish(pid: int, name: DiskName) -> None:
    """Remove a volume's node and link from a running instance; nothing where there are none. Raises OSError."""

    def remove() -> None:
        for path in (f"/dev/{name.node}", f"/dev/{name.link}"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                os.unlink(path)

    mount_namespaces.run_in(pid, remove)
