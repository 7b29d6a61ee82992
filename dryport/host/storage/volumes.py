"""Volumes and their snapshots: sparse files in ``<state>/volumes`` and ``<state>/snapshots``, named after their ids.

A volume that is attached is in a loop device, which stays until it is told to go: it is found again by its file. That
of a root volume goes with its instance. What has another ending (``.new``, ``.gone``) is unfinished or deleted;
``open`` removes what a killed driver left of that. Functions block; one volume is worked on by one of them at a time.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dryport.host import blocks
from dryport.host.instances import disks
from dryport.host.storage import holders

GIB = 1 << 30
_VOLUME = re.compile(r"vol-[0-9a-f]{8,17}")
_SNAPSHOT = re.compile(r"snap-[0-9a-f]{8,17}")
_PATIENCE = 2.0  # seconds until a device that nobody uses any more is free


class InUse(Exception):
    """A volume cannot be taken away: somebody has it mounted or open."""


class Volumes:
    """The volumes of one Dryport."""

    def __init__(self, state_dir: Path) -> None:
        self._volumes = state_dir / "volumes"
        self._snapshots = state_dir / "snapshots"
        self._templates = state_dir / "instances" / "templates"
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def open(self) -> None:
        """Undo what a driver before this one left half done. A copy that it was making kept a file system frozen."""
        for unfinished in self._snapshots.glob("*.new"):
            volume_id = unfinished.name.split(".")[1]
            for name in blocks.devices(self._volume(volume_id)):
                holders.thaw(name)
            unfinished.unlink()
        for directory in (self._volumes, self._snapshots):
            for left in (*directory.glob("*.new"), *directory.glob("*.gone")):
                left.unlink()

    def close(self) -> None:
        """Free every loop device. Raises InUse where one stays in use."""
        for file in self._volumes.glob("vol-*"):
            self.release(file.name)

    def ensure(self, volume_id: str, gib: int, snapshot_id: str = "", *, system: bool = False) -> None:
        """Make a volume, of a snapshot where one is named or with this machine's ``system``, or let it grow.

        Raises LookupError for an unknown snapshot, ValueError for a smaller size than it has, OSError.
        """
        file, size = self._volume(volume_id), gib * GIB
        with self._locks[volume_id]:
            if file.exists():
                _grow(file, size)
                return
            self._volumes.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = file.with_suffix(".new")
            if snapshot_id:
                source = self._snapshot(snapshot_id)
                if not source.exists():
                    raise LookupError(f"the snapshot {snapshot_id} is not on this machine")
                if source.stat().st_size > size:
                    raise ValueError(f"{gib} GiB are less than the {source.stat().st_size // GIB} of {snapshot_id}")
                blocks.copy(source, unfinished, size)
                _grow(unfinished, size)
            elif system:
                disks.make(unfinished, gib, self._templates)
            else:
                with unfinished.open("wb") as made:
                    os.fchmod(made.fileno(), 0o600)
                    made.truncate(size)
            unfinished.rename(file)

    def delete(self, volume_id: str) -> None:
        """Remove a volume. Raises InUse while it is attached and in use."""
        file = self._volume(volume_id)
        with self._locks[volume_id]:
            self._release(file)
            _remove(file)

    def save(self, volume_id: str, snapshot_id: str) -> None:
        """Copy a volume as it is now: file systems on it are written out and stand still meanwhile.

        Raises LookupError where there is no such volume, OSError.
        """
        source, target = self._volume(volume_id), self._snapshot(snapshot_id)
        with self._locks[volume_id]:
            if target.exists():
                return
            if not source.exists():
                raise LookupError(f"the volume {volume_id} is not on this machine")
            self._snapshots.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = target.with_name(f"{snapshot_id}.{volume_id}.new")
            unfinished.touch(0o600)  # from here on ``open`` thaws
            with _standing_still(source):
                blocks.copy(source, unfinished, source.stat().st_size)
            with unfinished.open("rb") as made:
                os.fsync(made.fileno())
            unfinished.rename(target)

    def copy_snapshot(self, source_id: str, snapshot_id: str) -> None:
        """Have another snapshot that holds the same: what is in one never changes, so that both are one file.

        Raises LookupError where there is no such snapshot, OSError.
        """
        try:
            with suppress(FileExistsError):
                os.link(self._snapshot(source_id), self._snapshot(snapshot_id))
        except FileNotFoundError:
            raise LookupError(f"the snapshot {source_id} is not on this machine") from None

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot."""
        _remove(self._snapshot(snapshot_id))

    def device(self, volume_id: str) -> tuple[int, int]:
        """The numbers of the block device that a volume is in, from now on. Raises LookupError, OSError."""
        file = self._volume(volume_id)
        with self._locks[volume_id]:
            if not file.exists():
                raise LookupError(f"the volume {volume_id} is not on this machine")
            names = blocks.devices(file, leaving=False)
            if not names:
                descriptor, name = blocks.attach(file, autoclear=False)
                os.close(descriptor)
                names = [name]
            status = os.stat(names[0])
            return os.major(status.st_rdev), os.minor(status.st_rdev)

    def names(self, volume_id: str) -> list[str]:
        """The loop devices that a volume is in, by name."""
        return blocks.devices(self._volume(volume_id))

    def file(self, volume_id: str) -> Path:
        """A volume's file, whether it is there or not. Raises ValueError for what is no volume's name."""
        return self._volume(volume_id)

    def release(self, volume_id: str, *, forced: bool = False) -> None:
        """Free a volume's loop device. Raises InUse where it stays mounted or open, unless ``forced``."""
        with self._locks[volume_id]:
            self._release(self._volume(volume_id), forced=forced)

    @staticmethod
    def _release(file: Path, *, forced: bool = False) -> None:
        deadline = time.monotonic() + _PATIENCE
        while names := blocks.devices(file):
            claimed = any(blocks.is_claimed(name) for name in names)
            for name in names if forced or not claimed else ():
                blocks.clear(name)
            if forced:
                return
            if time.monotonic() > deadline:
                raise InUse(f"{file.name} is {'mounted' if claimed else 'open in a program'}")
            time.sleep(0.005)

    def _volume(self, volume_id: str) -> Path:
        return _in(self._volumes, _VOLUME, volume_id)

    def _snapshot(self, snapshot_id: str) -> Path:
        return _in(self._snapshots, _SNAPSHOT, snapshot_id)


def _in(directory: Path, pattern: re.Pattern[str], name: str) -> Path:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a volume or snapshot")
    return directory / name


def _grow(file: Path, size: int) -> None:
    had = file.stat().st_size
    if size < had:
        raise ValueError(f"{file.name} has {had // GIB} GiB and cannot shrink to {size // GIB}")
    if size > had:
        os.truncate(file, size)
    for name in blocks.devices(file):
        with suppress(FileNotFoundError):
            blocks.resize(name)


def _remove(file: Path) -> None:
    with suppress(FileNotFoundError):
        gone = file.with_suffix(".gone")
        file.rename(gone)
        gone.unlink()


@contextmanager
def _standing_still(file: Path) -> Iterator[None]:
    names = blocks.devices(file)
    frozen = [held for name in names for held in holders.freeze(name)]
    try:
        for name in names:
            blocks.flush(name)
        yield
    finally:
        for held in frozen:
            held.thaw()
