"""Images that nothing uses go after a while, as ECS's agent cleans up.

The source of the numbers: "Automated task and image cleanup", Amazon ECS Developer Guide
(ECS_IMAGE_CLEANUP_INTERVAL, ECS_IMAGE_MINIMUM_CLEANUP_AGE, ECS_NUM_IMAGES_DELETE_PER_CYCLE).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from dryport.agent.runtime.interface import RuntimeFailure

_PRECISION = 30.0  # seconds

_log = logging.getLogger(__name__)


class Cleanup(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how images are removed: every ``interval`` at most so many that were last used so long ago (s).

    ``untracked``: also what others than the agent brought: images made ``untracked_age`` ago or earlier but for those
    of the ``excluded`` names, and before them containers that ended ``container_age`` ago.
    """

    enabled: bool = True
    interval: float = 30 * 60.0
    minimum_age: float = 60 * 60.0
    per_cycle: int = 5
    untracked: bool = False
    untracked_age: float = 60 * 60.0
    excluded: tuple[str, ...] = ()
    container_age: float = 3 * 60 * 60.0


class Untracked(Protocol):
    """What is in a runtime's daemon and is not the agent's."""

    async def images(self) -> dict[str, float]:
        """Images by id, with the time when they were made; excluded ones are left out. Raises RuntimeFailure."""
        ...

    async def remove_containers(self, before: float) -> None:
        """Remove those that ended before a time. Raises RuntimeFailure."""
        ...


def unused(last_used: Mapping[str, float], in_use: set[str], now: float, cleanup: Cleanup) -> list[str]:
    """The images to delete now: those longest unused first."""
    old = sorted((at, id) for id, at in last_used.items() if id not in in_use and now - at >= cleanup.minimum_age)
    return [id for _, id in old[: cleanup.per_cycle]]


class Collector:
    """Remembers in ``file`` when each image was last used, and at ``cleanup``'s interval deletes what ``unused`` names.

    Only images that this runtime pulled or ran are known to it; the machine's others stay, unless the ``untracked``
    ones are to go too.
    """

    def __init__(
        self,
        file: Path,
        present: Callable[[], Awaitable[list[str]]],
        delete: Callable[[str], Awaitable[None]],
        in_use: Callable[[], Awaitable[set[str]]],
        cleanup: Cleanup,
        untracked: Untracked | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._present = present
        self._delete = delete
        self._in_use = in_use
        self._cleanup = cleanup
        self._untracked = untracked if cleanup.untracked else None
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self._last_used: dict[str, float] = {}
        with suppress(FileNotFoundError, msgspec.DecodeError):
            self._last_used = msgspec.json.decode(file.read_bytes(), type=dict[str, float])

    def used(self, id: str) -> None:
        """An image was pulled, or a container was made of it."""
        now = self._now()
        if now - self._last_used.get(id, 0.0) >= _PRECISION:  # so that not every launch writes
            self._last_used[id] = now
            self._save()

    def begin(self) -> None:
        """Collect from now on (idempotent)."""
        if self._task is None and self._cleanup.enabled:
            self._task = asyncio.create_task(self._forever())

    async def collect(self) -> list[str]:
        """One cycle; what was deleted."""
        if self._untracked is not None:
            await self._untracked.remove_containers(self._now() - self._cleanup.container_age)
        in_use, there, now = await self._in_use(), set(await self._present()), self._now()
        self._last_used = {id: now if id in in_use else at for id, at in self._last_used.items() if id in there}
        gone = unused(self._last_used, in_use, now, self._cleanup)
        if self._untracked is not None:
            others = {id: at for id, at in (await self._untracked.images()).items() if id not in self._last_used}
            rest = msgspec.structs.replace(
                self._cleanup, minimum_age=self._cleanup.untracked_age, per_cycle=self._cleanup.per_cycle - len(gone)
            )
            gone += unused(others, in_use, now, rest)
        for id in gone:
            await self._delete(id)
            self._last_used.pop(id, None)
        self._save()
        return gone

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(self._cleanup.interval)
            try:
                await self.collect()
            except RuntimeFailure as error:
                _log.warning("images could not be collected: %s", error)

    def _save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._last_used))
        fresh.rename(self._file)
