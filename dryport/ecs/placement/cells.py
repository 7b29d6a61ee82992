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
        slot = self.bucket[at]
        there = self._buckets.get(key)
        if there is not None:
            there.append(slot)
        else:
            self._buckets[key] = [slot]
            if key < self.key and len(self.bucket) == 1:
                # It was the last of a bucket that is not the first any more.
                del self._buckets[self.key]
                self._keys[0] = key
            else:
                heappush(self._keys, key)
        if key > self.key:
            self.drop(at)
        else:
            self.bucket[at] = self.bucket[-1]
            self.bucket.pop()
            self.key, self.bucket = key, self._buckets[key]


class Cells:
    """``spreads`` are the counts of tasks by domain, each with the digits by which it counts in a rank."""

    def __init__(self, cells: Sequence[Cell], spreads: Sequence[tuple[int, Counts]], random: Random) -> None:
        self._spreads = spreads
        self._shared = len(spreads) > 1  # two cells may have a domain in common
        self._random = random.random
        self._number = len(cells)  # no two in the heap have the same
        self._heap: list[tuple[int, int, Cell]] = []
        for number, cell in enumerate(cells):
            self._count(cell)
            self._heap.append((cell.key + cell.counted, number, cell))
        heapify(self._heap)
        self._rank = 0  # the lowest
        self._tied: list[Cell] = []  # those that have it
        self._most = 0  # slots that one of them has at its front

    def __bool__(self) -> bool:
        return bool(self._tied or self._heap)

    def first(self) -> tuple[int, Cell]:
        """A cell of the lowest rank, each with the odds of the slots at its front, and its place for ``update``."""
        tied, random = self._tied, self._random
        while True:
            if not tied:
                self._gather()
            if len(tied) == 1 and not self._shared:
                return 0, tied[0]
            at = int(random() * len(tied))
            cell = tied[at]
            if self._shared and self._stale(cell):
                self._put_back(at)  # another cell with a domain of this one has had a task meanwhile
            elif random() * self._most < len(cell.bucket):
                return at, cell

    def update(self, at: int, cell: Cell, tasks: int) -> None:
        """Count tasks of a cell's domains, and see where it is now."""
        for (digits, counts), domain in zip(self._spreads, cell.domains, strict=True):
            counts[domain] += tasks
            cell.counted += tasks << digits
        if not cell.bucket:
            self._remove(at)
        elif cell.key + cell.counted != self._rank and self._put_back(at) < self._rank:
            while self._tied:
                self._put_back(len(self._tied) - 1)

    def _remove(self, at: int) -> None:
        last = self._tied.pop()
        if at < len(self._tied):
            self._tied[at] = last

    def _put_back(self, at: int) -> int:
        cell = self._tied[at]
        self._remove(at)
        rank = cell.key + cell.counted
        self._number += 1
        heappush(self._heap, (rank, self._number, cell))
        return rank

    def _gather(self) -> None:
        """Take the cells of the lowest rank out of the heap; ranks there may be too low, never too high."""
        heap, tied = self._heap, self._tied
        while heap and (not tied or heap[0][0] <= self._rank):
            rank, number, cell = heappop(heap)
            if self._shared and self._stale(cell):
                heappush(heap, (cell.key + cell.counted, number, cell))
            else:
                self._rank = rank
                tied.append(cell)
        self._most = max([len(cell.bucket) for cell in tied]) if len(tied) > 1 else len(tied[0].bucket)

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
