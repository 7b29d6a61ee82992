"""Block devices out of sparse files: loop devices, and ext4 file systems that are made once and copied.

A copy costs what is written of the file, not its size. The kernel frees a device with its last user (loop(4),
Linux 5.8): whoever mounts it keeps it, so nothing has to be undone where a process is killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_GET_FREE, _CONFIGURE, _CLEAR, _SET_CAPACITY = 0x4C82, 0x4C0A, 0x4C01, 0x4C07
_CLONE = 0x40049409  # ioctl_ficlone(2)
_AUTOCLEAR, _READ_ONLY = 4, 1
_MAJOR = 7
_ATTEMPTS = 100
_making = threading.Lock()


def ext4(file: Path, size: int, *arguments: str) -> None:
    """Make a file with an ext4 file system of ``size`` bytes, where there is none yet.

    ``arguments`` go to mkfs.ext4(8). Blocks for some 10 ms. Raises OSError.
    """
    with _making:
        if file.exists():
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as made:
            os.fchmod(made.fileno(), 0o600)
            made.truncate(size)
        run(["mkfs.ext4", "-q", "-F", *arguments, str(fresh)])
        fresh.rename(file)


def run(command: Sequence[str], done: tuple[int, ...] = (0,)) -> None:
    """Run a program of e2fsprogs that ends with one of ``done``. Raises OSError with what it said where it fails."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if ended.returncode not in done:
        raise OSError(errno.EIO, f"{command[0]} failed: {ended.stdout.strip()} {ended.stderr.strip()}")


def copy(template: Path, file: Path, size: int) -> None:
    """Make ``file`` a copy of what is written of a sparse file, with mode 0600; it is ``size`` bytes large.

    Where the file system can share blocks between files (btrfs, XFS), it does and nothing is written.
    """
    with template.open("rb") as source, file.open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
        with suppress(OSError):
            fcntl.ioctl(target.fileno(), _CLONE, source.fileno())
            target.truncate(size)
            return
        target.truncate(size)
        begin = 0
        with suppress(OSError):  # ENXIO: nothing more is written
            while True:
                begin = os.lseek(source.fileno(), begin, os.SEEK_DATA)
                end = os.lseek(source.fileno(), begin, os.SEEK_HOLE)
                begin = _copy_range(source.fileno(), target.fileno(), begin, end)


def _copy_range(source: int, target: int, begin: int, end: int) -> int:
    while begin < end:
        data = os.pread(source, min(1 << 20, end - begin), begin)
        begin += os.pwrite(target, data, begin)
    return end


def attach(file: Path, *, read_only: bool = False, autoclear: bool = True) -> tuple[int, str]:
    """A free loop device with the file in it, open, and its name (``/dev/loop7``).

    With ``autoclear`` it is free again once nobody has it open or mounted. Raises OSError.
    """
    backing = os.open(file, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    flags = (_AUTOCLEAR if autoclear else 0) | (_READ_ONLY if read_only else 0)
    try:
        for _ in range(_ATTEMPTS):
            name = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            device = _open(name)
            try:
                # struct loop_config of linux/loop.h: fd, block_size, loop_info64 (lo_flags at its byte 52), reserved.
                fcntl.ioctl(device, _CONFIGURE, struct.pack("=II52xI176x64x", backing, 0, flags))
                return device, name
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # somebody else was quicker
                    raise
        raise OSError(errno.EBUSY, "no loop device is free")
    finally:
        os.close(control)
        os.close(backing)


def _open(name: str) -> int:
    with suppress(FileExistsError):  # the kernel makes it appear, but not in every container
        os.mknod(name, stat.S_IFBLK | 0o600, os.makedev(_MAJOR, int(name.removeprefix("/dev/loop"))))
    return os.open(name, os.O_RDWR | os.O_CLOEXEC)


def clear(name: str) -> None:
    """Take the file out of a loop device, at once or with its last user. Raises OSError."""
    with suppress(FileNotFoundError):
        device = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, _CLEAR)
        except OSError as error:
            if error.errno != errno.ENXIO:  # somebody else did
                raise
        finally:
            os.close(device)


def resize(name: str) -> None:
    """Have a loop device be as large as its file has become. Raises OSError."""
    device = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _SET_CAPACITY)
    finally:
        os.close(device)


def flush(name: str) -> None:
    """Have what was written to a block device reach what is below it. Blocks. Raises OSError."""
    device = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(device)
    finally:
        os.close(device)


def is_claimed(name: str) -> bool:
    """Whether a block device is mounted, in whatever namespace, or otherwise held for one user alone."""
    try:
        os.close(os.open(name, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise
    return False


def devices(file: Path, *, leaving: bool = True) -> list[str]:
    """The names of the loop devices that a file is in; without ``leaving`` those that end with their last user not."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            if backing.read_text().rstrip("\n") != str(file.resolve()):
                continue
            if leaving or backing.with_name("autoclear").read_text().strip() == "0":
                found.append(f"/dev/{backing.parts[3]}")
    return found
