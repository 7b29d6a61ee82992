"""Randomness from the kernel, read a page at a time: a request needs some, and a system call each would be felt."""

from __future__ import annotations

import os
from random import SystemRandom

_PAGE = 4096  # bytes


class Entropy(SystemRandom):
    """A ``SystemRandom`` that keeps what it read ahead. Not to be used on both sides of a fork."""

    def __init__(self) -> None:
        super().__init__()
        self._page = b""
        self._place = 0

    def getrandbits(self, k: int, /) -> int:
        """An integer of ``k`` random bits. Raises ValueError for a negative ``k``."""
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        count = (k + 7) // 8
        return int.from_bytes(self.randbytes(count)) >> (count * 8 - k)

    def randbytes(self, n: int) -> bytes:
        """``n`` random bytes."""
        end = self._place + n
        if end > len(self._page):
            self._page, self._place, end = os.urandom(max(_PAGE, n)), 0, n
        taken = self._page[self._place : end]
        self._place = end
        return taken

    def random(self) -> float:
        """A float in [0, 1)."""
        return self.getrandbits(53) * 2.0**-53
