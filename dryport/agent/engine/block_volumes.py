"""EBS volumes of tasks on a container instance: formatted where they are empty, mounted as AWS's agent mounts them.

A volume is on the instance before the agent is told of it, and is mounted before the task is handed over. What is on
it is its own: a file system that is there is never made anew. Functions block.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dryport.agent.engine.errors import RESOURCE, TaskFailure
from dryport.agent.payload import Attachment, Task
from dryport.host import blocks, mounts

TYPE = "amazonebs"
ROOT = Path("/mnt/ecs/ebs")  # where AWS's agent has them
_MAKE = {"ext3": ("-q", "-F"), "ext4": ("-q", "-F"), "xfs": ("-q", "-f")}  # arguments of mkfs.TYPE
_NAME = re.compile(r"[0-9A-Za-z_.-]+")
_AGAIN = 0.05
_NOTHING_FOUND = 2  # blkid(8)


class BlockVolume(NamedTuple):
    """A volume: its device, the file system that is wanted on it, and where it is mounted."""

    name: str
    device: str
    file_system: str
    place: Path


def volumes(task: Task) -> dict[str, BlockVolume]:
    """A task's EBS volumes by name. Raises ValueError."""
    found = [volume_of(each) for each in task.attachments or () if each.attachment_type == TYPE]
    return {each.name: each for each in found}


def volume_of(attachment: Attachment) -> BlockVolume:
    """What an attachment's properties say. Raises ValueError."""
    properties = {each.name: each.value for each in attachment.attachment_properties}
    missing = [each for each in ("deviceName", "sourceVolumeHostPath", "volumeName") if not properties.get(each)]
    if missing:
        raise ValueError(f"an attachment without {', '.join(missing)}")
    place, file_system = properties["sourceVolumeHostPath"], properties.get("fileSystem") or "xfs"
    if not _NAME.fullmatch(place) or place.startswith("."):
        raise ValueError(f"{place!r} is no directory of a volume")
    if file_system not in _MAKE:
        raise ValueError(f"{file_system!r} is no file system of volumes")
    return BlockVolume(properties["volumeName"], properties["deviceName"], file_system, ROOT / place)


def mount(volume: BlockVolume, timeout: float) -> None:
    """Mount a volume, where it is not; its device must come within ``timeout`` seconds. Raises TaskFailure."""
    if mounts.is_mounted_on(volume.place):
        return
    try:
        _await_device(volume.device, timeout)
        there = _file_system(volume.device)
        if not there:
            _make(volume)
        elif there != volume.file_system:
            raise OSError(errno.EINVAL, f"the volume has a file system of type {there}, not {volume.file_system}")
        volume.place.mkdir(mode=0o755, parents=True, exist_ok=True)
        # A volume that was made of another's snapshot has its identity, which XFS would not have twice.
        options = "nouuid" if volume.file_system == "xfs" else ""
        mounts.mount(volume.device, volume.place, volume.file_system, options, mounts.MS_NODEV)
    except OSError as error:
        raise TaskFailure(
            f"{RESOURCE}: failed to mount EBS volume {volume.name} from {volume.device}: {error.strerror or error}"
        ) from error


def release(task_id: str) -> None:
    """Unmount what a task had; its containers no longer run."""
    for place in ROOT.glob(f"{task_id}_*"):
        _unmount(place)


def sweep(known: set[str]) -> None:
    """Unmount what tasks have left that nobody knows any more. Those that are yet to come have it mounted again."""
    for place in ROOT.glob("*_*"):
        if place.name.partition("_")[0] not in known:
            _unmount(place)


def _unmount(place: Path) -> None:
    mounts.unmount(place)
    with suppress(OSError):  # whoever has put something there keeps it
        place.rmdir()


def _await_device(device: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        with suppress(FileNotFoundError):
            if stat.S_ISBLK(os.stat(device).st_mode):
                return
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "the device does not come")
        time.sleep(_AGAIN)


def _file_system(device: str) -> str:
    """The type of what is on a device, "" where it is empty. Raises OSError."""
    command = ["blkid", "--probe", "--match-tag", "TYPE", "--output", "value", device]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if done.returncode not in (0, _NOTHING_FOUND):
        raise OSError(errno.EIO, f"blkid failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _make(volume: BlockVolume) -> None:
    try:
        blocks.run([f"mkfs.{volume.file_system}", *_MAKE[volume.file_system], volume.device])
    except FileNotFoundError:
        raise OSError(errno.ENOPKG, f"this instance has no mkfs.{volume.file_system}") from None
