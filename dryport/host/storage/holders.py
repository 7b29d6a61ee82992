"""What is mounted of a block device, in whatever mount namespace: to freeze it for a copy, or to put it out of use."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from dryport.host import blocks, mount_namespaces, mounts

# linux/fs.h; ioctl_fsfreeze(2). Shutting down: XFS_IOC_GOINGDOWN, EXT4_IOC_SHUTDOWN.
_FREEZE, _THAW, _SHUT_DOWN = 0xC0045877, 0xC0045878, 0x8004587D
_FLUSH_LOG = 1
_PATIENCE = 10.0  # seconds until a file system that is being unmounted has written out what it held
log = logging.getLogger("dryport.host")


class Frozen:
    """A file system that stands still until ``thaw``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def thaw(self) -> None:
        """Let it go on."""
        with suppress(OSError):  # its user thawed it
            fcntl.ioctl(self._descriptor, _THAW, 0)
        os.close(self._descriptor)


def freeze(device: str) -> list[Frozen]:
    """Have the file systems on a block device write out what they hold and stand still.

    Nothing where none is mounted, or its kind cannot be frozen, or its user has frozen it already. One that is just
    being unmounted (its last mount namespace ends) is nowhere to be found and still writes: it is waited for. Blocks.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        for descriptor in _opened(device):
            try:
                fcntl.ioctl(descriptor, _FREEZE, 0)
                return [Frozen(descriptor)]
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY:
                    log.warning("the file system on %s cannot be frozen: %s", device, error.strerror)
                return []
        if _is_part(device) or not blocks.is_claimed(device):
            return []
        if time.monotonic() > deadline:
            log.warning("who holds %s was not found: it is copied as it is", device)
            return []
        time.sleep(0.005)


def thaw(device: str) -> None:
    """Let the file systems on a block device go on that a killed driver has frozen."""
    for descriptor in _opened(device):
        Frozen(descriptor).thaw()


def put_out(device: str) -> bool:
    """Unmount a block device everywhere and have nothing more written to it by who still has files open there.

    False where it is mounted nowhere, or that is not certain: some kinds of file systems cannot be shut down. Blocks.
    """
    down = [_shut_down(descriptor) for descriptor in _opened(device)]
    for pid, places in _mounted(device):
        with suppress(OSError):
            mount_namespaces.run_in(pid, partial(_unmount, places))
    return bool(down) and all(down) and not list(_mounted(device))


def _is_part(device: str) -> bool:
    """Whether another block device (LVM's, a RAID) is made of it, which then holds it."""
    number = os.stat(device).st_rdev
    return any(Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/holders").iterdir())


def _mounted(device: str) -> Iterator[tuple[int, list[str]]]:
    """A process of each mount namespace that has a device mounted, with where; the last mount first."""
    number = os.stat(device).st_rdev
    for pid in mount_namespaces.each():
        places = mount_namespaces.mounted(pid, number)
        if places:
            yield pid, places


def _opened(device: str) -> Iterator[int]:
    """An open directory of what is mounted of a device, for each mount namespace that has it; the taker closes it."""
    number = os.stat(device).st_rdev
    for pid, places in _mounted(device):
        with suppress(OSError):
            yield mount_namespaces.run_in(pid, partial(_open, places, number))


def _open(places: list[str], number: int) -> int:
    for place in places:
        with suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
            if os.fstat(descriptor).st_dev == number:  # and not what the instance has put there meanwhile
                return descriptor
            os.close(descriptor)
    raise FileNotFoundError


def _unmount(places: list[str]) -> None:
    for place in places:
        with suppress(OSError):
            mounts.unmount_top(place)


def _shut_down(descriptor: int) -> bool:
    try:
        fcntl.ioctl(descriptor, _SHUT_DOWN, struct.pack("=I", _FLUSH_LOG))
        return True
    except OSError as error:
        return error.errno == errno.EIO  # it is down
    finally:
        os.close(descriptor)
