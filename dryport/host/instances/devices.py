"""The devices that an instance has: those that every program expects, its volumes, its GPUs; none else.

Reaching a running instance: its mount namespace is that of its init, so ``/proc/<pid>/root`` is its root and a node
that is made in ``/proc/<pid>/root/dev`` appears in its ``/dev``; ``groups.allow`` lets it be opened.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

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


class NoDevice(Exception):
    """The machine has not what an instance needs."""


def like(path: str, name: str) -> Device:
    """The device of one of the machine's nodes, to appear as ``name``. Raises OSError."""
    status = os.stat(path)
    kind = "b" if stat.S_ISBLK(status.st_mode) else "c"
    mode = stat.S_IMODE(status.st_mode)
    return Device(name, kind, os.major(status.st_rdev), os.minor(status.st_rdev), mode)


def gpus(count: int) -> list[Device]:
    """The nodes for so many of the machine's NVIDIA GPUs. Raises NoDevice where it has fewer."""
    if not count:
        return []
    cards = sorted(path for path in Path("/dev").glob("nvidia[0-9]*"))
    if len(cards) < count:
        raise NoDevice(f"the machine has {len(cards)} GPUs, {count} are needed")
    shared = [path for path in Path("/dev").glob("nvidia*") if path not in cards and not path.is_dir()]
    return [like(str(path), path.name) for path in (*cards[:count], *sorted(shared))]


def appear(pid: int, device: Device) -> None:
    """Make a device's node in a running instance. Doing it again changes nothing. Raises OSError."""
    node = f"/proc/{pid}/root/dev/{device.name}"
    kind = stat.S_IFBLK if device.kind == "b" else stat.S_IFCHR
    with contextlib.suppress(FileNotFoundError):
        if os.stat(node).st_rdev == os.makedev(device.major, device.minor):
            return
        os.unlink(node)
    os.mknod(node, kind | device.mode, os.makedev(device.major, device.minor))


def vanish(pid: int, name: str) -> None:
    """Remove a device's node from a running instance; nothing where there is none. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"/proc/{pid}/root/dev/{name}")
