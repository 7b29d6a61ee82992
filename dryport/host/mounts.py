"""mount(2) and umount(2) for containers' and instances' roots."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1, 2, 4, 8, 1024
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE, MS_SHARED = 0x20, 0x1000, 0x4000, 0x80000, 0x100000
_MNT_DETACH = 2


def mount(source: str, target: Path, kind: str, options: str = "", flags: int = 0) -> None:
    """Mount a file system. Raises OSError."""
    done = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} ({kind}, {options})", str(target))


def bind(source: Path, target: Path, *, recursive: bool = False) -> None:
    """Have a directory or file appear in a second place, what is mounted in it too if ``recursive``. Raises OSError."""
    mount(str(source), target, "none", "", MS_BIND | (MS_REC if recursive else 0))


def change(target: Path | str, flags: int) -> None:
    """Change how a mount propagates, or with MS_REMOUNT what may be done there (mount(2)). Raises OSError."""
    mount("none", Path(target), "none", "", flags)


def share(directory: Path) -> None:
    """Make a directory a mount of its own whose mounts appear wherever it was bound before. Raises OSError."""
    if not is_mounted_on(directory):
        bind(directory, directory)
    change(directory, MS_SHARED)


def is_mounted_on(directory: Path) -> bool:
    """Whether a mount begins at a directory, be it of the same file system. Reads the process's list of mounts."""
    wanted = os.path.realpath(directory)
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split(" ")[4].encode().decode("unicode_escape") == wanted for line in lines)


def unmount_top(target: str) -> None:
    """Unmount what lies on top of a place, and what is mounted in it. Raises OSError."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


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
