"""Mount namespaces other than one's own: which there are, and work inside one.

Paths are only safe to use inside: seen from outside (``/proc/<pid>/root/…``), links that lie there lead astray.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from dryport.host import namespaces

R = TypeVar("R")
_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_libc = ctypes.CDLL(None, use_errno=True)


def each() -> list[int]:
    """A process in each mount namespace of the machine, the caller's own first."""
    found = {os.stat("/proc/self/ns/mnt").st_ino: os.getpid()}
    # The eldest, which is least likely to have a root of its own that hides mounts.
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with suppress(OSError):  # it has ended
            found.setdefault(os.stat(f"/proc/{pid}/ns/mnt").st_ino, pid)
    return list(found.values())


def mounted(pid: int, number: int) -> list[str]:
    """Where a process's mount namespace has a block device mounted, by its device number; the last mount first."""
    device, found = f"{os.major(number)}:{os.minor(number)}", []
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        fields, _, described = line.partition(" - ")
        place, source = fields.split(" "), described.split(" ")[1]
        # btrfs has a number of its own in the third field, and names the device.
        if place[2] == device or (source.startswith("/dev/") and _is(pid, source, number)):
            found.append(_plain(place[4]))
    return found[::-1]


def _is(pid: int, path: str, number: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}/root{path}").st_rdev == number
    except OSError:
        return False


def _plain(path: str) -> str:
    """A path of /proc/PID/mountinfo, which has spaces and the like as octal escapes (proc(5))."""
    for character in " \t\n\\":
        path = path.replace(f"\\{ord(character):03o}", character)
    return path


def run_in(pid: int, work: Callable[[], R]) -> R:
    """Run ``work`` in a process's mount namespace, in a thread of its own, whose root and directory are that one's.

    Blocks. ``work`` must not import. Raises OSError where the process has ended, and what ``work`` raises.
    """
    descriptor = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def enter() -> R:
        if _libc.unshare(_CLONE_FS) != 0 or _libc.setns(descriptor, _CLONE_NEWNS) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}")
        return work()

    try:
        return namespaces.in_thread(enter)
    finally:
        os.close(descriptor)
