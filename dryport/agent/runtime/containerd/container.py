"""One container: what is written about it in its directory, and its watch.

``record.json`` says what it is, ``started.json`` that it was started (its processes), ``ended.json`` how it ended. Each
is written whole or not at all, so that whoever reads the directory after a ``kill -9`` knows what to do next.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from dryport.agent.runtime.containerd.images import Unpacked
from dryport.agent.runtime.interface import ContainerSpec, ContainerState, Data
from dryport.agent.runtime.processes import Process

Kind = TypeVar("Kind", bound=msgspec.Struct)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is, as it was made. ``layers`` are the directories of its image's, uppermost first."""

    spec: ContainerSpec
    unpacked: Unpacked
    layers: list[str]


class Started(Data, frozen=True, kw_only=True):
    """Its first process and the conmon that stays with it. ``at`` in seconds since the epoch."""

    process: Process
    monitor: Process
    at: float


class Ended(Data, frozen=True, kw_only=True):
    """How it ended."""

    exit_code: int
    at: float
    out_of_memory: bool = False
    error: str = ""


class Container:
    """A container of this machine; ``lock`` keeps its verbs apart."""

    def __init__(self, home: Path, record: Record) -> None:
        self.home = home
        self.record = record
        self.started = _read(home / "started.json", Started)
        self.ended = _read(home / "ended.json", Ended)
        self.lock = asyncio.Lock()
        self._changed = asyncio.Event()

    @classmethod
    def make(cls, home: Path, record: Record) -> Container:
        """Write a new container down."""
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write(home / "record.json", record)
        return cls(home, record)

    @classmethod
    def load(cls, home: Path) -> Container | None:
        """A container that was written down; None where its making was cut short."""
        record = _read(home / "record.json", Record)
        return None if record is None else cls(home, record)

    @property
    def id(self) -> str:
        """The engine's name for it."""
        return self.record.spec.id

    @property
    def cgroup(self) -> str:
        """Its cgroup's path, as in the OCI specification."""
        return f"{self.record.spec.resources.cgroup_parent.rstrip('/') or '/dryport'}/{self.id}"

    @property
    def running(self) -> bool:
        """Whether it was started and has not been seen to end."""
        return self.started is not None and self.ended is None

    def set_started(self, started: Started) -> None:
        """Note that it runs."""
        write(self.home / "started.json", started)
        self.started = started

    def reset(self) -> None:
        """Be as it was before it was started. The end goes last: until then it counts as ended."""
        for name in ("started.json", "ended.json"):
            (self.home / name).unlink(missing_ok=True)
        self.started = self.ended = None

    def set_ended(self, ended: Ended) -> Ended:
        """Note how it ended, and wake whoever waits. File times are coarse: no end lies before its start."""
        if self.started is not None and ended.at < self.started.at:
            ended = msgspec.structs.replace(ended, at=self.started.at)
        write(self.home / "ended.json", ended)
        self.ended = ended
        self.wake()
        return ended

    def wake(self) -> None:
        """There is news: of its log, or of its end."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for news."""
        await self._changed.wait()

    def state(self) -> ContainerState:
        """What it is doing."""
        started, ended = self.started, self.ended
        status = "exited" if ended else "running" if started else "created"
        return ContainerState(
            id=self.id,
            status=status,
            labels=self.record.spec.labels,
            pid=started.process.pid if started and not ended else None,
            exit_code=ended.exit_code if ended else None,
            out_of_memory=ended.out_of_memory if ended else False,
            error=ended.error if ended else "",
            started_at=started.at if started else None,
            finished_at=ended.at if ended else None,
        )


def write(file: Path, value: object) -> None:
    """Write a file whole or not at all; only root reads it: environments hold secrets."""
    fresh = file.with_name(f".{file.name}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(msgspec.json.encode(value))
    fresh.rename(file)


def _read(file: Path, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
