"""How often one address may be refused: so that nobody tries codes by the thousand."""

from __future__ import annotations

from dryport.control.clock import Clock

MOST = 10  # refusals
SECONDS = 60.0  # within which
_MOST_ADDRESSES = 10_000


class Attempts:
    """Counts refusals by address. In memory: a restart forgives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[str, list[float]] = {}  # times of the refusals, oldest first

    def wait(self, address: str) -> float:
        """Seconds until the address may ask again; 0 where it may now."""
        times = self._refused.get(address)
        if times is None or len(times) < MOST:
            return 0.0
        return max(0.0, times[-MOST] + SECONDS - self._clock.monotonic())

    def failed(self, address: str) -> None:
        """One more was refused."""
        times = self._refused.pop(address, [])
        self._refused[address] = [*times[1 - MOST :], self._clock.monotonic()]
        if len(self._refused) > _MOST_ADDRESSES:
            del self._refused[next(iter(self._refused))]
