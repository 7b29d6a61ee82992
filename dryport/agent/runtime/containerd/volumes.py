"""What Docker does with volumes: the image's own (``VOLUME``) get directories, and empty ones the image's files.

Source: "Populate a volume using a container", Docker's documentation; "Bind mounts", Amazon ECS developer guide, for
owner and mode.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

from dryport.agent.runtime.interface import Mount, RuntimeFailure

_filling = threading.Lock()  # several containers of a task may come to a volume at once


def prepare(home: Path, root: Path, mounts: list[Mount], declared: list[str]) -> list[Mount]:
    """All of the container's mounts, with those of the volumes that its image declares. Blocks; idempotent.

    Those lie in the container's writable layer, so its bound holds for them too. Raises RuntimeFailure, OSError.
    """
    taken = {mount.target.rstrip("/") for mount in mounts}
    own = []
    for number, target in enumerate(declared):
        if target.rstrip("/") not in taken:
            directory = home / "writable" / "volumes" / str(number)
            directory.mkdir(parents=True, exist_ok=True)
            own.append(Mount(target=target, source=str(directory), fill=True))
    for mount in (*mounts, *own):
        if mount.fill:
            with _filling:
                _fill(Path(mount.source), inside(root, mount.target))
    return [*mounts, *own]


def inside(root: Path, target: str) -> Path | None:
    """A directory of an image that is not mounted yet; ``None`` where there is none, or a link is on the way there."""
    path = root
    for part in target.split("/"):
        if part in ("", "."):
            continue
        path = path / part
        if part == ".." or path.is_symlink() or not path.is_dir():
            return None
    return path


def _fill(directory: Path, source: Path | None) -> None:
    if source is None or any(directory.iterdir()):
        return
    status = source.stat()
    os.chown(directory, status.st_uid, status.st_gid)
    shutil.copymode(source, directory)
    if any(source.iterdir()):
        copied = subprocess.run(
            ["cp", "-a", f"{source}/.", str(directory)], capture_output=True, text=True, check=False
        )
        if copied.returncode:
            said = copied.stderr.strip()
            raise RuntimeFailure("CannotCreateContainerError", f"failed to populate volume: {said}")
