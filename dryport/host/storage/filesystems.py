"""EFS file systems: a directory each, ``<state>/filesystems/<id>``, that is bound into instances while they run.

An instance sees what is mounted in its ``filesystems`` directory on the machine (``instances.places``), as its own
mount of that is a slave of the machine's. Functions block.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dryport.host import mounts

_ID = re.compile(r"fs-[0-9a-f]{8,17}")
_FRESH = 60.0  # seconds for which a size is taken as it was
_RARELY = 50  # times as long as measuring took, it is not measured again
_BLOCK = 512  # bytes: the unit of st_blocks (stat(2))


class Size(NamedTuple):
    """A size in bytes and until when, by the monotonic clock, it will do."""

    bytes: int
    until: float


class FileSystems:
    """The file systems of one Dryport."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "filesystems"
        self._sizes: dict[str, Size] = {}

    def open(self) -> None:
        """Remove what a driver before this one had begun to delete."""
        for gone in self._root.glob("*.gone"):
            shutil.rmtree(gone)

    def path(self, file_system_id: str) -> Path:
        """Where a file system lies. Raises ValueError for what is no id."""
        if not _ID.fullmatch(file_system_id):
            raise ValueError(f"{file_system_id!r} is no file system id")
        return self._root / file_system_id

    def ensure(self, file_system_id: str) -> None:
        """Make a file system: an empty directory of root's, which all may enter, as EFS's are. Raises OSError."""
        path = self.path(file_system_id)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o755)

    def delete(self, file_system_id: str, elsewhere: list[Path]) -> None:
        """Remove a file system with all that is in it, also from the directories that it may appear in."""
        path = self.path(file_system_id)
        for directory in elsewhere:
            self.vanish(file_system_id, directory)
        gone = path.with_suffix(".gone")
        with suppress(FileNotFoundError):
            path.rename(gone)
        with suppress(FileNotFoundError):
            shutil.rmtree(gone)
        self._sizes.pop(file_system_id, None)

    def appear(self, file_system_id: str, directory: Path) -> None:
        """Mount a file system in a directory, by its id. Raises LookupError where it is unknown, OSError."""
        path, target = self.path(file_system_id), directory / file_system_id
        if not path.is_dir():
            raise LookupError(f"the file system {file_system_id} is not on this machine")
        target.mkdir(mode=0o755, exist_ok=True)
        if not mounts.is_mounted_on(target):
            mounts.bind(path, target)

    def vanish(self, file_system_id: str, directory: Path) -> None:
        """Undo ``appear``, whoever still uses it; nothing where it is not there. Raises OSError."""
        target = directory / self.path(file_system_id).name
        mounts.unmount(target)
        with suppress(FileNotFoundError):
            target.rmdir()

    def measure(self, file_system_id: str) -> int:
        """The bytes that a file system holds, as of a minute ago at most, or longer where measuring takes long."""
        known = self._sizes.get(file_system_id)
        began = time.monotonic()
        if known is not None and began < known.until:
            return known.bytes
        measured = _measure(self.path(file_system_id))
        ended = time.monotonic()
        self._sizes[file_system_id] = Size(measured, ended + max(_FRESH, _RARELY * (ended - began)))
        return measured


def _measure(directory: Path) -> int:
    """The blocks of every file and directory below and of the directory itself; a file of many names counts once."""
    total, linked, waiting = 0, set[int](), [str(directory)]
    while waiting:
        current = waiting.pop()
        with suppress(OSError), os.scandir(current) as entries:  # deleted meanwhile
            total += os.stat(current).st_blocks * _BLOCK
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(entry.path)
                    elif status.st_nlink == 1:
                        total += status.st_blocks * _BLOCK
                    elif status.st_ino not in linked:
                        linked.add(status.st_ino)
                        total += status.st_blocks * _BLOCK
    return total
