"""mount(2) and umount(2) for containers' and instances' roots."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 2, 4, 8, 1024
_MNT_DETACH = 2


def mount(source: str, target: Path, kind: str, options: str = "", flags: int = 0) -> None:
    """Mount a file system. Raises OSError."""
    done = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} ({kind}, {options})", str(target))


def unmount(target: Path) -> None:
    """Unmount whatever is on ``target``, all of it, at once even if it is in use; nothing there is no error."""
    while _libc.umount2(os.fsencode(target), _MNT_DETACH) == 0:
        pass
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOENT):
        raise OSError(number, os.strerror(number), str(target))


def is_mounted(target: Path) -> bool:
    """Whether something is mounted on a directory."""
    try:
        return target.stat().st_dev != target.parent.stat().st_dev
    except FileNotFoundError:
        return False


def overlay(layers: list[str], upper: Path, work: Path, target: Path) -> None:
    """Mount an overlay of ``layers`` (uppermost first) under a writable ``upper``.

    mount(2) takes one page of options, and an image may have 127 layers: so they are named relative to an open
    directory that they have in common.
    """
    common = os.path.commonpath([*layers, str(upper), str(work)])
    handle = os.open(common, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        here = f"/proc/self/fd/{handle}"
        below = os.path.commonpath(layers) if len(layers) > 1 else ""
        inner = os.open(below, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if below else handle
        base, start = (f"/proc/self/fd/{inner}", below) if below else (here, common)
        lower = ":".join(f"{base}/{os.path.relpath(layer, start)}" for layer in layers)
        options = f"lowerdir={lower},upperdir={here}/{os.path.relpath(upper, common)}"
        options += f",workdir={here}/{os.path.relpath(work, common)}"
        mount("overlay", target, "overlay", options)
        if inner != handle:
            os.close(inner)
    finally:
        os.close(handle)
