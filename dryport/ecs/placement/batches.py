"""Many tasks at once: each decision is the one that ``choice`` would make, at a fraction of its price. Pure.

While like tasks are placed, nothing but they changes the board: an instance that takes one gets fuller, and may drop
out; all others stay as they are. So the instances that can take such a task are brought into order once, a cell for
each domain that strategies spread over, and the board hears of the tasks when all are placed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from random import Random

from dryport.ecs.placement.bits import listed
from dryport.ecs.placement.board import Board, amounts
from dryport.ecs.placement.choice import Plan
from dryport.ecs.placement.groups import HOST, Domain
from dryport.ecs.placement.model import Request, Strategy
from dryport.ecs.placement.query import comparisons, tree

_MOST_CELLS = 16
_WORTH = 32  # the instances to be ordered for each task, at most
_DIGITS = 48  # binary, for whatever a strategy compares: MiB, CPU units, tasks
_NEVER = 1 << 10 * _DIGITS
_ENDLESS = 1 << 62
_GUESSES, _NEAR = 4, 8

Cells = list[tuple[tuple[Domain, ...], int]]  # the domains and the slots of each


def place(board: Board, wanted: Iterable[tuple[str, Request]], random: Random) -> list[str | None]:
    """Place tasks (ARN, new to the board, and request) on a board; the ARNs of their instances.

    Those of one request are placed one after the other, in their order; the requests in the order in which they first
    appear. Each decision is the one that ``choose`` would make at that moment.
    """
    numbers: dict[Request, list[int]] = {}
    arns: list[str] = []
    for number, (arn, request) in enumerate(wanted):
        arns.append(arn)
        there = numbers.get(request)
        if there is None:
            numbers[request] = [number]
        else:
            there.append(number)
    placed: list[str | None] = [None] * len(arns)
    for request, those in numbers.items():
        found = place_alike(board, request, [arns[number] for number in those], random)
        for number, instance in zip(those, found, strict=True):
            placed[number] = instance
    return placed


def place_alike(board: Board, request: Request, arns: Sequence[str], random: Random) -> list[str | None]:
    """Place tasks of one request, one after the other; the ARNs of their instances."""
    plan = Plan(board, request)
    feasible, strategies = plan.feasible(), _effective(request)
    cells = _divide(board, strategies, feasible) if _worthwhile(request, feasible, len(arns)) else None
    if cells is None:
        slots = _one_by_one(board, plan, arns, random)
    else:
        slots = _Run(board, request, strategies, cells).place(arns, random)
    return [None if slot is None else board.instances[slot].arn for slot in slots]


def _one_by_one(board: Board, plan: Plan, arns: Sequence[str], random: Random) -> list[int | None]:
    slots: list[int | None] = []
    for arn in arns:
        slot = plan.choose(random)
        slots.append(slot)
        if slot is not None:
            board.put_alike(plan.request, {slot: [arn]})
    return slots


def _worthwhile(request: Request, feasible: int, count: int) -> bool:
    if any(
        each.subject == tree.TASK_GROUP for query in request.constraints if query for each in comparisons(query.root)
    ):
        return False  # which instances it selects changes with where the tasks go
    return feasible.bit_count() <= _WORTH * count


class _Cell:
    """The instances of a domain, or of a combination of domains.

    ``buckets`` are their slots by key, the lowest first in each; the least key is ``key``, its bucket ``bucket``. Where
    a task makes its instance the best one (as binpack does), that one is in no bucket but ``open``, with ``room`` for
    more tasks.
    """

    __slots__ = ("_buckets", "_keys", "bucket", "domains", "key", "open", "room")

    def __init__(self, domains: tuple[Domain, ...], slots: list[int], keys: Iterable[int]) -> None:
        self.domains = domains
        self._buckets: dict[int, list[int]] = {}
        for slot, key in zip(slots, keys, strict=True):
            there = self._buckets.get(key)
            if there is None:
                self._buckets[key] = [slot]
            else:
                there.append(slot)
        self._keys = list(self._buckets)
        heapify(self._keys)
        self.open, self.room = -1, 0
        self.refresh()

    def refresh(self) -> None:
        """Find the least key anew. ``_NEVER`` where no slot is left."""
        keys, buckets = self._keys, self._buckets
        while keys:
            bucket = buckets[keys[0]]
            if bucket:
                self.key, self.bucket = keys[0], bucket
                return
            del buckets[heappop(keys)]
        self.key, self.bucket = _NEVER, []

    def put(self, key: int, slot: int) -> None:
        """Put a slot into a bucket."""
        bucket = self._buckets.get(key)
        if bucket is None:
            self._buckets[key] = [slot]
            heappush(self._keys, key)
        else:
            insort(bucket, slot)


class _Run:
    """Like tasks that are being placed.

    What strategies compare is one number for each instance, ``_DIGITS`` of it for each strategy, the first one's
    highest: that of its cell (the counts of spreads over attributes) plus its key (all others).
    """

    def __init__(self, board: Board, request: Request, strategies: Sequence[Strategy], cells: Cells) -> None:
        self._board = board
        self._request = request
        needs = dict(amounts(request.needs))
        self._limits = [(board.left[name].of, amount) for name, amount in needs.items()]
        self._once = bool(request.needs.ports) or None in request.constraints  # at most one on each instance
        shifts = [_DIGITS * place for place in reversed(range(len(strategies)))]
        self._spreads: list[tuple[int, dict[Domain, int]]] = []
        self._step = 0  # what a task adds to its instance's key
        parts: list[tuple[int, Callable[[int], int]]] = []
        for strategy, shift in zip(strategies, shifts, strict=True):
            if _over_attribute(strategy):
                self._spreads.append((shift, dict(board.spread(request.group, strategy.field).counts)))
                continue
            self._step += (-needs.get(strategy.field, 0) if strategy.type == "binpack" else 1) << shift
            parts.append((shift, _number(board, request, strategy)))
        self._cells = [_Cell(domains, those := listed(slots), _keys(those, parts)) for domains, slots in cells]
        self._ranks = [self._rank(cell) for cell in self._cells]
        self._rooms: dict[int, int] = {}

    def place(self, arns: Sequence[str], random: Random) -> list[int | None]:
        """The slots of tasks, which are on the board then."""
        slots: list[int | None] = []
        taken: dict[int, list[str]] = {}
        for arn in arns:
            slot = self._next(random)
            if slot is None:
                break
            slots.append(slot)
            there = taken.get(slot)
            if there is None:
                taken[slot] = [arn]
            else:
                there.append(arn)
        self._board.put_alike(self._request, taken)
        return slots + [None] * (len(arns) - len(slots))

    def _next(self, random: Random) -> int | None:
        ranks = self._ranks
        if not ranks:
            return None
        least = min(ranks)
        if least >= _NEVER:
            return None
        if len(ranks) > 1 and ranks.count(least) > 1:
            tied = [cell for cell, rank in zip(self._cells, ranks, strict=True) if rank == least]
            cell, place = _any_of(tied, random)
        else:
            cell, place = self._cells[ranks.index(least)], -1
        slot = cell.open
        if slot >= 0:
            cell.room -= 1
            if cell.room:
                cell.key += self._step
            else:
                cell.open = -1
                cell.refresh()
        else:
            bucket = cell.bucket
            if place < 0:
                place = int(random.random() * len(bucket)) if len(bucket) > 1 else 0
            slot = self._fill(cell, bucket, place)
        if self._spreads:
            self._count(cell)
        else:
            ranks[0] = cell.key
        return slot

    def _fill(self, cell: _Cell, bucket: list[int], place: int) -> int:
        """Put a task on an instance of the least bucket."""
        slot = bucket[place]
        room = 1 if self._once else self._room(slot)
        if room <= 1:
            del bucket[place]
        elif self._step < 0:
            del bucket[place]
            cell.open, cell.room = slot, room - 1
            cell.key += self._step
            return slot
        else:
            self._rooms[slot] = room - 1
            if self._step:
                del bucket[place]
                cell.put(cell.key + self._step, slot)
        if not bucket:
            cell.refresh()
        return slot

    def _count(self, cell: _Cell) -> None:
        for (_, counts), domain in zip(self._spreads, cell.domains, strict=True):
            counts[domain] += 1
        if len(self._spreads) == 1:
            self._ranks[self._cells.index(cell)] = self._rank(cell)
        else:
            self._ranks = [self._rank(each) for each in self._cells]

    def _rank(self, cell: _Cell) -> int:
        rank = cell.key
        for (shift, counts), domain in zip(self._spreads, cell.domains, strict=True):
            rank += counts[domain] << shift
        return rank

    def _room(self, slot: int) -> int:
        """How many such tasks an instance takes that takes one."""
        room = self._rooms.get(slot, 0)
        if not room:
            room = _ENDLESS
            for left, amount in self._limits:
                those = left[slot] // amount
                if those < room:
                    room = those
        return room


def _effective(request: Request) -> list[Strategy]:
    """The strategies that decide anything: none behind ``random``, and none twice."""
    chosen: list[Strategy] = []
    for each in request.strategies:
        if each.type == "random":
            break
        if each not in chosen:
            chosen.append(each)
    return chosen


def _over_attribute(strategy: Strategy) -> bool:
    return strategy.type == "spread" and strategy.field != HOST


def _divide(board: Board, strategies: Sequence[Strategy], feasible: int) -> Cells | None:
    """The instances by what strategies spread over; ``None`` where that would be too many cells."""
    cells: Cells = [((), feasible)] if feasible else []
    for strategy in strategies:
        if _over_attribute(strategy):
            sets = board.domains(strategy.field).sets
            cells = [
                ((*before, domain), slots & those)
                for before, slots in cells
                for domain, those in sets.items()
                if slots & those
            ]
            if len(cells) > _MOST_CELLS:
                return None
    return cells


def _number(board: Board, request: Request, strategy: Strategy) -> Callable[[int], int]:
    """What a strategy compares of an instance, by its slot."""
    if strategy.type == "binpack":
        left = board.left[strategy.field].of
        return lambda slot: max(0, left[slot])
    group = board.groups.get(request.group)
    wanted = group.wanted if group is not None else {}
    return lambda slot: wanted.get(slot, 0)


def _keys(slots: Sequence[int], parts: Sequence[tuple[int, Callable[[int], int]]]) -> Iterable[int]:
    if not parts:
        return [0] * len(slots)
    if len(parts) == 1:
        shift, number = parts[0]
        return [number(slot) << shift for slot in slots]
    return [sum([number(slot) << shift for shift, number in parts]) for slot in slots]


def _any_of(cells: Sequence[_Cell], random: Random) -> tuple[_Cell, int]:
    """Any of the slots in the cells' buckets, each as likely as the other: the one that ``choice`` takes."""
    buckets = [[cell.open] if cell.open >= 0 else cell.bucket for cell in cells]
    total = sum(map(len, buckets))
    slot = _nth(buckets, total, int(random.random() * total))
    for cell, bucket in zip(cells, buckets, strict=True):
        place = bisect_left(bucket, slot)
        if place < len(bucket) and bucket[place] == slot:
            return cell, place
    raise AssertionError("some bucket has the slot")


def _nth(buckets: Sequence[Sequence[int]], total: int, number: int) -> int:
    """The slot that ``number`` of those in ordered buckets are below."""
    longest = max(buckets, key=len)
    place = number * len(longest) // total  # if they lie evenly; the guess is mended by how far it is off
    for _ in range(_GUESSES):
        guess = longest[place]
        ends = [bisect_right(bucket, guess) for bucket in buckets]
        off = number + 1 - sum(ends)
        if -_NEAR <= off <= _NEAR:
            break
        place = min(len(longest) - 1, max(0, place + off * len(longest) // total))
    # It is among those that follow the guess, or among those up to it.
    first, last = (0, off) if off > 0 else (off - 1, 0)
    near = [
        slot for bucket, end in zip(buckets, ends, strict=True) for slot in bucket[max(0, end + first) : end + last]
    ]
    return sorted(near)[off - 1]
