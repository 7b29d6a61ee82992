"""A whole number for each slot (what is left of a resource), kept so that sets of slots are found by it. Pure.

``Numbers`` is a bit-sliced index (O'Neil and Quass, "Improved query performance with variant indexes"): for each binary
digit the set of slots whose number has a 0 there. The least numbers among any set of slots are found in as many steps
as there are digits in use, whatever the numbers are. It is repaired when it is asked: a number that changes ten times
between two questions costs once. ``Levels`` is for numbers of which few differ (counts of tasks).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping

from dryport.ecs.placement.bits import joined

_MAX_THRESHOLDS = 128
_MOST_STALE = 1 / 8  # of the slots


class Numbers:
    """Numbers that may fall below 0 (what is left of an instance that shrank), but are found as 0 there."""

    def __init__(self) -> None:
        self.of: dict[int, int] = {}
        self._slots = 0
        # The slots whose number has changed since the sets were brought up to date, with what these say of them.
        self._stale_digits: dict[int, int] | None = {}  # None: of so many that all are made anew
        self._stale_thresholds: dict[int, int] = {}
        self._digits: list[int] = []  # the digits in use, by value (8, 4, 1): digits that are 0 everywhere have no set
        self._zeros: list[int] = []  # of each digit in use: the slots that have a 0 there
        # For what was asked for: the slots with at least so much.
        self._thresholds: list[int] = []
        self._at_least: dict[int, int] = {}

    def set(self, slot: int, number: int | None) -> None:
        """Give a slot a number, or (``None``) take it out."""
        self._repair_digits()
        self._repair_thresholds()
        bit = 1 << slot
        known = self.of.get(slot)
        if known is None and number is not None:
            self._slots |= bit
            self._zeros = [zeros | bit for zeros in self._zeros]
        self._change_digits(bit, known or 0, number or 0)
        self._cross(bit, known or 0, number or 0)
        if number is None and known is not None:
            del self.of[slot]
            self._slots ^= bit
            self._zeros = [zeros ^ bit for zeros in self._zeros]
        elif number is not None:
            self.of[slot] = number

    def add(self, slot: int, amount: int) -> None:
        """Change the number of a slot that has one."""
        self.take({slot: 1}, -amount)

    def take(self, counts: Mapping[int, int], amount: int) -> None:
        """Take an amount from slots, so many times by slot."""
        of, thresholds = self.of, self._stale_thresholds
        if self._stale_digits is not None and len(self._stale_digits) + len(counts) > _MOST_STALE * len(of) + 1:
            self._stale_digits = None
        digits = self._stale_digits
        top = self._thresholds[-1] if self._thresholds else 0
        for slot, count in counts.items():
            old = of[slot]
            new = of[slot] = old - amount * count
            # Most have more than anybody asks for, before and after.
            if (new < top or old < top) and slot not in thresholds:
                thresholds[slot] = old
            if digits is not None and slot not in digits:
                digits[slot] = old

    def _repair_digits(self) -> None:
        if self._stale_digits is None:
            self._stale_digits = dict.fromkeys(self.of, 0)
            self._digits, self._zeros = [], []
        for (old, new), slots in self._moved(self._stale_digits).items():
            self._change_digits(joined(slots), old, new)

    def _repair_thresholds(self) -> None:
        for (old, new), slots in self._moved(self._stale_thresholds).items():
            self._cross(joined(slots), old, new)

    def _moved(self, stale: dict[int, int]) -> dict[tuple[int, int], list[int]]:
        """The slots by what their number was and is; empties ``stale``."""
        alike: dict[tuple[int, int], list[int]] = {}
        for slot, old in stale.items():
            step = old, self.of[slot]
            if step in alike:
                alike[step].append(slot)
            else:
                alike[step] = [slot]
        stale.clear()
        return alike

    def _change_digits(self, slots: int, old: int, new: int) -> None:
        """Move slots that all had one number to another."""
        changed = max(old, 0) ^ max(new, 0)
        if not changed:
            return
        for index, digit in enumerate(self._digits):
            if changed & digit:
                self._zeros[index] ^= slots
                changed ^= digit
                if not changed:
                    return
        self._use(changed, slots)

    def _cross(self, slots: int, old: int, new: int) -> None:
        """Move slots over the thresholds between two numbers."""
        thresholds = self._thresholds
        low, high = (old, new) if old < new else (new, old)
        for threshold in thresholds[bisect_right(thresholds, low) : bisect_right(thresholds, high)]:
            self._at_least[threshold] ^= slots

    def _use(self, digits: int, slots: int) -> None:
        """Keep sets of digits that had been 0 everywhere; ``slots`` now have a 1 there."""
        while digits:
            digit = digits & -digits
            digits ^= digit
            at = next((index for index, each in enumerate(self._digits) if each < digit), len(self._digits))
            self._digits.insert(at, digit)
            self._zeros.insert(at, self._slots ^ slots)

    def least(self, among: int) -> int:
        """The slots with the least number of a set of slots."""
        self._repair_digits()
        for zeros in self._zeros:
            lower = among & zeros
            if lower:
                among = lower
        return among

    def greatest(self, among: int) -> int:
        """The slots with the greatest number of a set of slots."""
        self._repair_digits()
        for zeros in self._zeros:
            higher = among ^ (among & zeros)
            if higher:
                among = higher
        return among

    def at_least(self, number: int) -> int:
        """The slots whose number is this or greater; ``number`` is greater than 0."""
        self._repair_thresholds()
        found = self._at_least.get(number)
        if found is None:
            if len(self._thresholds) >= _MAX_THRESHOLDS:
                self._thresholds.clear()
                self._at_least.clear()
            found = self._at_least[number] = self._count_off(number)
            insort(self._thresholds, number)
        return found

    def _count_off(self, number: int) -> int:
        """``at_least`` by the digits, highest first: greater are those that have the first 1 more than ``number``."""
        self._repair_digits()
        greater, equal = 0, self._slots
        digits = dict(zip(self._digits, self._zeros, strict=True))
        for position in reversed(range(max(number, *self._digits, 1).bit_length())):
            digit = 1 << position
            zeros = digits.get(digit, self._slots)
            if number & digit:
                equal ^= equal & zeros
            else:
                greater |= equal ^ (equal & zeros)
                equal &= zeros
        return greater | equal


class Levels:
    """Sets of slots by their number, which is 0 or more and mostly small."""

    def __init__(self) -> None:
        self.sets: dict[int, int] = {}
        self._order: list[int] = []

    def move(self, slots: int, old: int | None, new: int | None) -> None:
        """Bring slots that were all at one number (``None``: nowhere) to another."""
        sets = self.sets
        if old is not None:
            left = sets[old] ^ slots
            if left:
                sets[old] = left
            else:
                del sets[old]
                self._order.remove(old)
        if new is not None:
            there = sets.get(new)
            if there is None:
                insort(self._order, new)
                sets[new] = slots
            else:
                sets[new] = there | slots

    def least(self, among: int) -> int:
        """The slots with the least number of a set of slots."""
        for number in self._order:
            found = among & self.sets[number]
            if found:
                return found
        return 0

    def greatest(self, among: int) -> int:
        """The slots with the greatest number of a set of slots."""
        for number in reversed(self._order):
            found = among & self.sets[number]
            if found:
                return found
        return 0
