"""What is to be done when: many keys, one timer."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from dryport.control.clock import Clock

_SLACK = 64


class Agenda:
    """Calls ``due(key)`` once a key's time has come. A key has one time: the latest that was set."""

    def __init__(self, clock: Clock, due: Callable[[str], None]) -> None:
        self._clock = clock
        self._due = due
        self._times: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # with entries that no longer hold
        self._earlier = asyncio.Event()

    def __len__(self) -> int:
        return len(self._times)

    def set(self, key: str, seconds: float) -> None:
        """Have the key's time come in so many seconds."""
        at = self._times[key] = self._clock.monotonic() + seconds
        if not self._heap or at < self._heap[0][0]:
            self._earlier.set()
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._times) + _SLACK:
            self._heap = [(when, each) for each, when in self._times.items()]
            heapq.heapify(self._heap)

    def drop(self, key: str) -> None:
        """Forget the key's time, if it has one."""
        self._times.pop(key, None)

    async def run(self) -> None:
        """Keep time until cancelled."""
        while True:
            self._earlier.clear()
            self._ring()
            await self._wait(self._heap[0][0] - self._clock.monotonic() if self._heap else None)

    def _ring(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._times.get(key) == at:
                del self._times[key]
                self._due(key)

    async def _wait(self, seconds: float | None) -> None:
        """Until an earlier time was set, or so many seconds are over."""
        if seconds is None:
            await self._earlier.wait()
            return
        waits = {asyncio.ensure_future(self._earlier.wait()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
