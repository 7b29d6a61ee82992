"""Volumes of tasks that run on this machine itself (Fargate's): mounted in ``<state>/mounts/<id>``. Functions block."""

from __future__ import annotations

import errno
from pathlib import Path

from dryport.host import blocks, mounts
from dryport.host.storage.volumes import Volumes

_MAKE = {"ext3": ("-q", "-F"), "ext4": ("-q", "-F"), "xfs": ("-q", "-f")}  # arguments of mkfs.TYPE


class Mounted:
    """The mounted volumes of one Dryport; the kernel knows which there are."""

    def __init__(self, state_dir: Path, volumes: Volumes) -> None:
        self._root = state_dir / "mounts"
        self._volumes = volumes

    def mount(self, volume_id: str, file_system: str, *, make: bool) -> None:
        """Mount a volume, where it is not; formatted first if ``make``.

        Raises LookupError where it is not there, ValueError for a file system that there is not, OSError where this
        machine cannot make it or what is on the volume is something else.
        """
        if file_system not in _MAKE:
            raise ValueError(f"{file_system!r} is no file system of volumes")
        self._volumes.device(volume_id)
        place = self._root / volume_id
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        if mounts.is_mounted_on(place):
            return
        device = self._volumes.names(volume_id)[0]
        if make:
            try:
                blocks.run([f"mkfs.{file_system}", *_MAKE[file_system], device])
            except FileNotFoundError:
                raise OSError(errno.ENOPKG, f"this machine has no mkfs.{file_system}") from None
        # A volume that was made of another's snapshot has its identity, which XFS would not have twice.
        mounts.mount(device, place, file_system, "nouuid" if file_system == "xfs" else "", mounts.MS_NODEV)

    def unmount(self, volume_id: str) -> None:
        """Unmount a volume and free its device. Raises InUse while a container still has it, OSError."""
        self._volumes.file(volume_id)  # a name that is none leads nowhere
        place = self._root / volume_id
        if place.exists():
            mounts.unmount(place)
            place.rmdir()
        self._volumes.release(volume_id)

    def close(self) -> None:
        """Unmount all of them; their containers have ended."""
        for place in self._root.glob("vol-*"):
            mounts.unmount(place)
            place.rmdir()
