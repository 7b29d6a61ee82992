"""A container's root: an overlay of the image's layers under a directory of its own.

Where the engine bounds the writable layer (``root_size``), that directory lies in a file system of that size
(``runtime.bounded``): writes beyond it fail with "No space left on device".
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from dryport.agent.runtime import bounded
from dryport.agent.runtime.interface import RuntimeFailure
from dryport.agent.runtime.oci import defaults
from dryport.host import mounts

SHM = "shm"
_MOUNTS = ("root", "writable", SHM)


async def prepare(home: Path, layers: list[str], size: int | None) -> Path:
    """Mount the root of the container in ``home`` (idempotent); the root's path."""
    root = home / "root"
    if not mounts.is_mounted(root):
        await asyncio.to_thread(_mount, home, root, layers, size)
    return root


def _mount(home: Path, root: Path, layers: list[str], size: int | None) -> None:
    writable = home / "writable"
    for directory in (root, writable):
        directory.mkdir(exist_ok=True)
    if size is not None:
        bounded.mount(home / "writable.ext4", writable, size, home.parent.parent / "blank")
    for name in ("upper", "work"):
        (writable / name).mkdir(exist_ok=True)
    # The root directory of the container is the overlay's: what made it decides who may enter.
    shutil.copystat(layers[0], writable / "upper", follow_symlinks=False)
    mounts.overlay(layers, writable / "upper", writable / "work", root)


def shared_memory(home: Path, size: int | None) -> str:
    """The container's /dev/shm (bytes; Docker's default without ``size``), outside it so that others may join it."""
    shm = home / SHM
    shm.mkdir(exist_ok=True)
    if not mounts.is_mounted(shm):
        options = f"mode=1777,size={size or defaults.SHM_SIZE}"
        mounts.mount("shm", shm, "tmpfs", options, mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC)
    return str(shm)


async def remove(home: Path) -> None:
    """Unmount and delete everything of a container (idempotent)."""
    for name in _MOUNTS:
        if (home / name).exists():
            await asyncio.to_thread(mounts.unmount, home / name)
    await asyncio.to_thread(_delete, home)


def _delete(home: Path) -> None:
    for name in _MOUNTS:
        if mounts.is_mounted(home / name):
            raise RuntimeFailure("CannotRemoveContainerError", f"{home / name} is still mounted")
    shutil.rmtree(home, ignore_errors=True)
