"""Directories that hold so many bytes and no more: an ext4 file system in a sparse file, on a loop device.

The file system is made once a size; every directory gets a copy of it, which is some 300 KiB beside the holes and takes
a few milliseconds, device and mount included.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from dryport.host import blocks, mounts

# Without a journal: after a crash of the machine the container is gone anyway.
_MKFS = ("-m", "0", "-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard")
_OPTIONS = "noinit_itable"


def mount(file: Path, target: Path, size: int, templates: Path) -> None:
    """Mount a new file system of ``size`` bytes, which is to lie in ``file``; nothing where one is mounted already.

    Blocks. Raises OSError.
    """
    if mounts.is_mounted(target):
        return
    template = templates / f"{size}.ext4"
    blocks.ext4(template, size, *_MKFS)
    blocks.copy(template, file, size)
    device, name = blocks.attach(file)
    try:
        _mount(name, target)
    finally:
        os.close(device)


def _mount(device: str, target: Path) -> None:
    try:
        # Else the kernel reads all bitmaps at once, which holds up a processor for up to 20 ms.
        mounts.mount(device, target, "ext4", f"{_OPTIONS},no_prefetch_block_bitmaps", mounts.MS_NOATIME)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mounts.mount(device, target, "ext4", _OPTIONS, mounts.MS_NOATIME)  # Linux before 5.13, which does not
