"""An event loop whose time passes only when there is nothing to do: an hour costs what happens in it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from random import Random
from typing import Any

EPOCH = 1_800_000_000.0  # what the clock shows when a simulation begins, in seconds
_DISK_SECONDS = (0.0005, 0.01)  # that a write takes


class Stalled(Exception):
    """Nothing will ever happen again, and somebody waits."""


class _Selector(selectors.SelectSelector):
    """Waits for nothing but the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stalled
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """``random`` says how long what goes to the disk takes; there are no threads and no sockets."""

    def __init__(self, random: Random) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._random = random
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it in this thread, after a while."""
        future: asyncio.Future[Any] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                result = func(*args)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._random.uniform(*_DISK_SECONDS), run)
        return future


class VirtualClock:
    """Implements ``control.clock.Clock`` on the running loop."""

    def time(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
