"""What an instance has on disk, in ``<state>/instances/<id>/``, and what is remembered of its run.

``console.log`` is its console, ``instance.json`` what it was asked to be (with its user data: 0600), ``run.json`` which
process it is, ``status`` what its init says of itself, ``filesystems/`` the directory that appears inside as
``/run/dryport/filesystems``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeVar

import msgspec

from dryport.host.messages import Instance

S = TypeVar("S", bound=msgspec.Struct)
_ID = re.compile(r"i-[0-9a-f]{8,17}")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an instance: its init's process id and start time (clock ticks), and the machine's boot it was in.

    ``ended_by`` is "" while nothing is known of an end; ``gpus`` are the names of those that it has to itself.
    """

    boot: int
    pid: int
    started: int
    machine_boot: str
    ended_by: str = ""
    gpus: list[str] = []


class Place:
    """One instance's directory."""

    def __init__(self, root: Path, instance_id: str) -> None:
        if not _ID.fullmatch(instance_id):
            raise ValueError(f"{instance_id!r} is no instance id")
        self.id = instance_id
        self.directory = root / instance_id
        self.console = self.directory / "console.log"
        self.status = self.directory / "status"
        self.filesystems = self.directory / "filesystems"
        self._instance = self.directory / "instance.json"
        self._run = self.directory / "run.json"

    def prepare(self) -> None:
        """Make the directory."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.filesystems.mkdir(mode=0o755, exist_ok=True)

    def instance(self) -> Instance | None:
        """What it was last asked to be."""
        return _read(self._instance, Instance)

    def run(self) -> Run | None:
        """Its last run, of this boot of the machine; ``None`` where nothing is known of one."""
        run = _read(self._run, Run)
        return run if run is not None and run.machine_boot == machine_boot() else None

    def remember(self, instance: Instance) -> None:
        """Keep what it is to be."""
        _write(self._instance, instance)

    def note(self, run: Run) -> None:
        """Keep what is known of its run."""
        _write(self._run, run)

    def forget_run(self) -> None:
        """Have no run known: it may then be booted with the same number again."""
        self._run.unlink(missing_ok=True)

    def said(self) -> str:
        """What its init last said of itself: ``starting``, ``ready``, ``shutdown``, ``reboot`` or ""."""
        try:
            return self.status.read_text().strip()
        except OSError:
            return ""


def places(root: Path) -> list[Place]:
    """Every instance that has a directory."""
    if not root.is_dir():
        return []
    return [Place(root, name) for name in sorted(os.listdir(root)) if _ID.fullmatch(name)]


def machine_boot() -> str:
    """What sets this boot of the machine apart from others (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read(path: Path, kind: type[S]) -> S | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(path: Path, value: msgspec.Struct) -> None:
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(value))
    unfinished.replace(path)
