"""Instances in the order in which strategies want them, equal ones together. Pure.

A ``Cell`` has those of one domain (or of a combination of domains, where strategies spread over several fields), by a
key: what strategies compare of the instances themselves. ``Cells`` has all the cells, by rank: the front's key, and how
many tasks the cell's domains have. One of several equal instances is taken out of a list at random, and one of several
equal cells with the odds of its instances, so that nothing is sorted but different keys and different ranks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from random import Random

from dryport.ecs.placement.groups import Domain, Domains

Counts = dict[Domain, int]


class Cell:
    """Slots by key. ``counted`` is what the tasks of its domains add to its rank."""

    __slots__ = ("_buckets", "_keys", "bucket", "counted", "domains", "key")

    def __init__(self, domains: tuple[Domain, ...], buckets: dict[int, list[int]]) -> None:
        self.domains = domains
        self.counted = 0
        self._buckets = buckets
        self._keys = list(buckets)
        heapify(self._keys)
        self.key = self._keys[0]  # the lowest
        self.bucket = buckets[self.key]  # the slots that have it; empty if there is none left

    def drop(self, at: int) -> None:
        """Take the slot at a place of the bucket out."""
        bucket = self.bucket
        bucket[at] = bucket[-1]
        bucket.pop()
        if not bucket and len(self._keys) > 1:
            del self._buckets[heappop(self._keys)]
            self.key = self._keys[0]
            self.bucket = self._buckets[self.key]

    def move(self, at: int, key: int) -> None:
        """Give the slot at a place of the bucket another key."""
        bucket, buckets = self.bucket, self._buckets
        if key < self.key and len(bucket) == 1:
            # It takes its bucket along, to the front still.
            buckets[key] = buckets.pop(self.key)
            self._keys[0] = self.key = key
            return
        slot, there = bucket[at], buckets.get(key)
        if there is None:
            buckets[key] = [slot]
            heappush(self._keys, key)
        else:
            there.append(slot)
        if key > self.key:
            self.drop(at)
            return
        bucket[at] = bucket[-1]
        bucket.pop()
        self.key, self.bucket = key, buckets[key]


class Cells:
    """``spreads`` are the counts of tasks by domain, each with the digits by which it counts in a rank."""

    def __init__(self, cells: Sequence[Cell], spreads: Sequence[tuple[int, Counts]], random: Random) -> None:
        self._spreads = spreads
        self._shared = len(spreads) > 1  # two cells may have a domain in common
        self._random = random.random
        self._levels: dict[int, list[Cell]] = {}  # by rank, which may be too low where cells share domains
        self._ranks: list[int] = []  # a heap of them
        self._rank = 0  # the lowest
        self._tied: list[Cell] = []  # those that have it
        self._most = 0  # slots that one of them has at its front
        for cell in cells:
            self._count(cell)
            self._put(cell)

    def __bool__(self) -> bool:
        return bool(self._tied or self._ranks)

    def first(self) -> tuple[int, Cell]:
        """A cell of the lowest rank, each with the odds of the slots at its front, and its place for ``update``."""
        random = self._random
        while True:
            if not self._tied:
                self._gather()
            tied = self._tied
            if len(tied) == 1 and not self._shared:
                return 0, tied[0]
            at = int(random() * len(tied))
            cell = tied[at]
            if self._shared and self._stale(cell):
                self._put(self._remove(at))  # another cell with a domain of this one has had a task meanwhile
            elif random() * self._most < len(cell.bucket):
                return at, cell

    def update(self, at: int, cell: Cell, tasks: int) -> None:
        """Count tasks of a cell's domains, and see where it is now."""
        if tasks:
            for (digits, counts), domain in zip(self._spreads, cell.domains, strict=True):
                counts[domain] += tasks
                cell.counted += tasks << digits
        if not cell.bucket:
            self._remove(at)
        elif cell.key + cell.counted != self._rank and self._put(self._remove(at)) < self._rank:
            while self._tied:
                self._put(self._tied.pop())

    def _remove(self, at: int) -> Cell:
        tied = self._tied
        cell, last = tied[at], tied.pop()
        if at < len(tied):
            tied[at] = last
        return cell

    def _put(self, cell: Cell) -> int:
        rank = cell.key + cell.counted
        there = self._levels.get(rank)
        if there is None:
            self._levels[rank] = [cell]
            heappush(self._ranks, rank)
        else:
            there.append(cell)
        return rank

    def _gather(self) -> None:
        self._rank = heappop(self._ranks)
        self._tied = self._levels.pop(self._rank)
        self._most = max([len(cell.bucket) for cell in self._tied])

    def _stale(self, cell: Cell) -> bool:
        """Count a cell's tasks anew; whether there were others."""
        old = cell.counted
        self._count(cell)
        return cell.counted != old

    def _count(self, cell: Cell) -> None:
        counted = zip(self._spreads, cell.domains, strict=True)
        cell.counted = sum([counts[domain] << digits for (digits, counts), domain in counted])


def by_domains(slots: int, fields: Sequence[Domains]) -> list[tuple[tuple[Domain, ...], int]]:
    """A set of slots by what they have of several fields."""
    parts: list[tuple[tuple[Domain, ...], int]] = [((), slots)] if slots else []
    for domains in fields:
        parts = [((*its, domain), those) for its, part in parts for domain, those in domains.divided(part)]
    return parts


def by_key(slots: list[int], keys: Sequence[int] | None) -> dict[int, list[int]]:
    """Slots by their keys; without keys all have the same."""
    if keys is None:
        return {0: slots}
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    for key, slot in zip(keys, slots, strict=True):
        buckets[key].append(slot)
    return dict(buckets)
