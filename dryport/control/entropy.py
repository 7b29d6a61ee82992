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
        end = self._place + count
        if end > len(self._page):
            self._page, self._place, end = os.urandom(max(_PAGE, count)), 0, count
        taken = self._page[self._place : end]
        self._place = end
        return int.from_bytes(taken) >> (count * 8 - k)

    def random(self) -> float:
        """A float in [0, 1)."""
        return self.getrandbits(53) * 2.0**-53
