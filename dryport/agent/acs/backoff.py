"""How long to wait before a websocket is opened again: a pure decision.

Source: the agent protocol: at once after 1000, 1001, 1006 and 1011; 250 ms to 2 minutes after anything else; an hour
where the instance is inactive.
"""

from __future__ import annotations

from collections.abc import Callable

_AT_ONCE = (1000, 1001, 1006, 1011)
_FIRST, _LAST = 0.25, 120.0  # seconds
_INACTIVE = 3600.0


class Backoff:
    """Waits between connections. ``jitter()`` gives 0 to 1."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._delay = _FIRST

    def after_close(self, code: int) -> float:
        """Seconds to wait after a connection that had been open was closed with this code."""
        if code in _AT_ONCE:
            self._delay = _FIRST
            return 0.0
        return self.after_failure()

    def after_failure(self) -> float:
        """Seconds to wait after a connection that could not be opened."""
        delay = self._delay * (1 + 0.2 * self._jitter())
        self._delay = min(_LAST, self._delay * 1.5)
        return min(_LAST, delay)

    @staticmethod
    def after_inactive() -> float:
        """Seconds to wait after the control plane said that the instance is inactive."""
        return _INACTIVE
