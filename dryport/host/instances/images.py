"""Machine images on this machine: copies of root volumes, ``<state>/images/<id>.<base>.ext4``.

``base`` is the built-in image that an image goes back to, which says what its instances start: ``ecs`` Docker and the
agent, ``plain`` neither. What belongs to one instance alone (host keys, the agent's state) an instance that boots from
an image removes at its first boot. Functions block.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from dryport.host import blocks
from dryport.host.instances.places import Place
from dryport.host.storage import holders

BUILT_IN = ("ecs", "plain")
_ID = re.compile(r"ami-[0-9a-f]{8,17}")


class NoImage(LookupError):
    """A machine image is not on this machine."""


class Images:
    """The machine images of one Dryport."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, disks: Path) -> None:
        """Undo what a driver before this one left half done: a copy that it was making kept an instance frozen."""
        for unfinished in self._root.glob("*.new"):
            instance_id = unfinished.name.split(".")[2]
            for name in blocks.devices(Place(disks, instance_id).disk):
                holders.thaw(name)
            unfinished.unlink()

    def find(self, image: str) -> tuple[Path | None, str]:
        """An image's file, ``None`` for a built-in one, and its base. Raises NoImage."""
        if image in BUILT_IN:
            return None, image
        found = self._file(image)
        if found is None:
            raise NoImage(f"the machine image {image} is not on this machine")
        return found, found.name.split(".")[1]

    def save(self, place: Place, image: str) -> None:
        """Copy an instance's root volume as it is now: if it runs, its files stand still meanwhile.

        Raises LookupError where there is no such instance, ValueError for a name that is none, OSError.
        """
        if self._file(image) is not None:
            return
        if not place.disk.exists():
            raise LookupError(f"there is no instance {place.id}")
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._root / f"{image}.{place.base()}.{place.id}.new"
        unfinished.touch(0o600)  # from here on ``open`` thaws
        frozen = [held for name in blocks.devices(place.disk) for held in holders.freeze(name)]
        try:
            for name in blocks.devices(place.disk):
                blocks.flush(name)
            blocks.copy(place.disk, unfinished, place.disk.stat().st_size)
        finally:
            for held in frozen:
                held.thaw()
        with unfinished.open("rb") as made:
            os.fsync(made.fileno())
        unfinished.rename(self._root / f"{image}.{place.base()}.ext4")

    def delete(self, image: str) -> None:
        """Remove an image; nothing where there is none. Raises ValueError for a name that is none."""
        found = self._file(image)
        if found is not None:
            found.unlink()

    def _file(self, image: str) -> Path | None:
        if not _ID.fullmatch(image):
            raise ValueError(f"{image!r} is no machine image's id")
        return next(self._root.glob(f"{image}.*.ext4"), None)
