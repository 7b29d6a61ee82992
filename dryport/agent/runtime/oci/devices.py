"""Devices of the host inside a container, from ECS's ``Device`` shape."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from dryport.agent.runtime.interface import Data, RuntimeFailure

_LETTERS = {"read": "r", "write": "w", "mknod": "m"}


class Device(Data, frozen=True, kw_only=True):
    """A device node: its path inside, type (b, c), numbers, and what may be done with it (of ``rwm``)."""

    path: str
    kind: str
    major: int
    minor: int
    access: str = "rwm"

    def node(self) -> dict[str, Any]:
        """An entry of ``linux.devices``."""
        return {"path": self.path, "type": self.kind, "major": self.major, "minor": self.minor, "fileMode": 0o666}

    def rule(self) -> dict[str, Any]:
        """An entry of ``linux.resources.devices``."""
        return {"allow": True, "type": self.kind, "major": self.major, "minor": self.minor, "access": self.access}


def of_spec(shapes: list[dict[str, object]]) -> list[Device]:
    """ECS's ``linuxParameters.devices``; a directory gives the devices below it. Raises RuntimeFailure."""
    found: list[Device] = []
    for shape in shapes:
        source = Path(str(shape["hostPath"]))
        target = str(shape.get("containerPath") or source)
        permissions = shape.get("permissions") or list(_LETTERS)
        assert isinstance(permissions, list)
        access = "".join(letter for name, letter in _LETTERS.items() if name in permissions)
        if source.is_dir():
            below = [(file, f"{target}/{file.relative_to(source)}") for file in sorted(source.rglob("*"))]
        else:
            below = [(source, target)]
        devices = [device for file, path in below if (device := _device(file, path, access))]
        if not devices:
            raise RuntimeFailure(
                "CannotStartContainerError",
                f'error gathering device information while adding custom device "{source}": no such file or directory',
            )
        found += devices
    return found


def of_host() -> list[Device]:
    """Every device of the host, for a privileged container; terminals are the container's own."""
    own = {"/dev/console", "/dev/ptmx", "/dev/tty"}
    found = []
    for directory, below, files in os.walk("/dev"):
        below[:] = [
            name for name in below if name not in {"pts", "shm", "fd", "mqueue", ".udev", ".lxc", ".lxd-mounts"}
        ]
        for name in files:
            path = f"{directory}/{name}"
            if path not in own and (device := _device(Path(path), path, "rwm")):
                found.append(device)
    return found


def _device(file: Path, path: str, access: str) -> Device | None:
    try:
        info = file.stat() if not file.is_symlink() else None
    except OSError:
        return None
    if info is None or not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
        return None
    kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
    return Device(path=path, kind=kind, major=os.major(info.st_rdev), minor=os.minor(info.st_rdev), access=access)
