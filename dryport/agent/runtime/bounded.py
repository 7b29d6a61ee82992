"""Directories that hold so many bytes and no more: an ext4 file system in a sparse file, on a loop device.

The file system is made once a size; every directory gets a copy of it, which is some 300 KiB beside the holes and takes
a few milliseconds, device and mount included. The kernel frees the device with its last mount (loop(4), Linux 5.8).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from dryport.agent.runtime import mounts
from dryport.agent.runtime.interface import RuntimeFailure

_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_AUTOCLEAR = 4
_MAJOR = 7
_ATTEMPTS = 100
# Without a journal: after a crash of the machine the container is gone anyway.
_MKFS = ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard")
_making = threading.Lock()


def mount(file: Path, target: Path, size: int, templates: Path) -> None:
    """Mount a new file system of ``size`` bytes, which is to lie in ``file``; nothing where one is mounted already.

    Blocks. Raises RuntimeFailure and OSError.
    """
    if mounts.is_mounted(target):
        return
    _copy(_template(size, templates), file, size)
    device, name = _attach(file)
    try:
        mounts.mount(name, target, "ext4", "noinit_itable", mounts.MS_NOATIME)
    finally:
        os.close(device)


def _template(size: int, directory: Path) -> Path:
    """An empty file system of this size, made where there is none yet."""
    made = directory / f"{size}.ext4"
    with _making:
        if not made.exists():
            directory.mkdir(mode=0o700, exist_ok=True)
            fresh = made.with_suffix(".new")
            with fresh.open("wb") as file:
                file.truncate(size)
            done = subprocess.run([*_MKFS, str(fresh)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeFailure("CannotCreateContainerError", f"mkfs.ext4 failed: {done.stderr.strip()}")
            fresh.rename(made)
    return made


def _copy(template: Path, file: Path, size: int) -> None:
    """Copy what is written of a sparse file."""
    with template.open("rb") as source, file.open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
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


def _attach(file: Path) -> tuple[int, str]:
    """A free loop device with the file in it, open, and its name."""
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            name = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            device = _open(name)
            try:
                # struct loop_config of linux/loop.h: fd, block_size, loop_info64 (lo_flags at its byte 52), reserved.
                fcntl.ioctl(device, _CONFIGURE, struct.pack("=II52xI176x64x", backing, 0, _AUTOCLEAR))
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
