"""Many tasks at once. Pure.

While like tasks are placed, nothing but they changes the board: an instance that takes one gets fuller, and may drop
out; all others stay as they are. So the instances that can take such a task are brought into order once, a heap for
each domain that strategies spread over, and the board hears of the tasks when all are placed.

Ties are broken by clocks: each instance's stands at a moment drawn at random, and the earliest is taken. If its task
leaves it tied with the others, its clock goes on by another draw. Draws being exponential, they have no memory: of
instances that stay tied each is as likely as the other at every decision, however often it was taken before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from math import log
from random import Random

from dryport.ecs.placement.bits import listed
from dryport.ecs.placement.board import Board, amounts
from dryport.ecs.placement.choice import Plan
from dryport.ecs.placement.groups import HOST, Domain
from dryport.ecs.placement.model import Request, Strategy
from dryport.ecs.placement.query import Query, comparisons, tree

MANY = 1 / 32  # a task for so many instances, and they are worth being ordered

# An instance's place in the order is one number: what strategies compare, the first one's highest; clock; slot.
_SLOT, _CLOCK, _DIGITS = 24, 56, 48  # bits
_SLOTS = (1 << _SLOT) - 1
_TICK = 1 << 32
_ENDLESS = 1 << 62


def place(board: Board, wanted: Iterable[tuple[str, Request]], random: Random, many: float = MANY) -> list[str | None]:
    """Place tasks (ARN, new to the board, and request) on a board; the ARNs of their instances.

    Those of one request are placed one after the other, in their order; the requests in the order in which they first
    appear. ``many`` is that of ``place_alike``.
    """
    queues: dict[Request, tuple[list[int], list[str]]] = {}
    count = 0
    for arn, request in wanted:
        queue = queues.get(request)
        if queue is None:
            queue = queues[request] = [], []
        queue[0].append(count)
        queue[1].append(arn)
        count += 1
    placed: list[str | None] = [None] * count
    for request, (numbers, arns) in queues.items():
        for number, instance in zip(numbers, place_alike(board, request, arns, random, many), strict=True):
            placed[number] = instance
    return placed


def place_alike(
    board: Board, request: Request, arns: Sequence[str], random: Random, many: float = MANY
) -> list[str | None]:
    """Place tasks of one request, one after the other; the ARNs of their instances.

    Fewer than ``many`` for each instance that can take one are chosen one by one; else ties are broken by clocks.
    """
    plan = Plan(board, request)
    feasible = plan.feasible()
    if len(arns) < many * feasible.bit_count():
        slots = _one_by_one(board, plan, arns, random)
    else:
        slots = _Run(board, request, feasible, random).place(arns)
    instances = board.instances
    return [None if slot is None else instances[slot].arn for slot in slots]


def _one_by_one(board: Board, plan: Plan, arns: Sequence[str], random: Random) -> list[int | None]:
    slots: list[int | None] = []
    for arn in arns:
        slot = plan.choose(random)
        slots.append(slot)
        if slot is not None:
            board.put_alike(plan.request, {slot: [arn]})
    return slots


def pause(random: Random) -> int:
    """By how much a clock goes on: exponentially distributed, in ticks of 2 to the power of -32."""
    return int(log(1.0 - random.random()) * -_TICK)


def _clocks(slots: Sequence[int], random: Random) -> list[int]:
    draw = random.random
    return [int(log(1.0 - draw()) * -_TICK) << _SLOT | slot for slot in slots]


class _Cell:
    """The instances of a domain, or of a combination of domains, as a heap of their places in the order.

    ``room``, where an instance stays the first until it is full: how many more tasks that one takes; 0 before it is
    known.
    """

    __slots__ = ("domains", "places", "room")

    def __init__(self, domains: tuple[Domain, ...], places: list[int]) -> None:
        self.domains = domains
        self.places = places
        self.room = 0
        heapify(places)


class _Run:
    """Like tasks that are being placed."""

    def __init__(self, board: Board, request: Request, feasible: int, random: Random) -> None:
        self._board = board
        self._request = request
        self._random = random
        needs = dict(amounts(request.needs))
        self._limits = [(board.left[name].of, amount) for name, amount in needs.items()]
        self._once = bool(request.needs.ports) or None in request.constraints  # at most one on each instance
        self._again = _again(board, request)
        self._rooms: dict[int, int] = {}
        self._spreads: list[tuple[int, dict[Domain, int]]] = []
        self._step = 0  # what a task adds to its instance's place, the clock apart
        fields: list[dict[int, Domain]] = []
        slots = listed(feasible)
        places = _clocks(slots, random)
        for number, strategy in enumerate(reversed(_effective(request))):
            shift = _SLOT + _CLOCK + _DIGITS * number
            if strategy.type == "spread" and strategy.field != HOST:
                fields.append(board.domains(strategy.field).of)
                self._spreads.append((shift, dict(board.spread(request.group, strategy.field).counts)))
            else:
                numbers = _numbers(board, request, strategy, slots)
                places = [place + (number << shift) for place, number in zip(places, numbers, strict=True)]
                self._step += (-needs.get(strategy.field, 0) if strategy.type == "binpack" else 1) << shift
        self._heads = [(self._rank(cell), cell) for cell in _cells(places, slots, fields)]
        heapify(self._heads)

    def place(self, arns: Sequence[str]) -> list[int | None]:
        """The slots of tasks, which are on the board then."""
        slots: list[int | None] = []
        taken: dict[int, list[str]] = {}
        done, count = 0, len(arns)
        while done < count and self._heads:
            cell = self._first()
            if self._step < 0:
                slot, those = self._fill(cell, 1 if self._spreads else count - done)
            else:
                slot, those = self._add(cell), 1
            here = arns[done : done + those]
            if slot in taken:
                taken[slot] += here
            else:
                taken[slot] = list(here)
            slots += [slot] * those
            done += those
            self._count(cell)
        self._board.put_alike(self._request, taken)
        return slots + [None] * (count - done)

    def _first(self) -> _Cell:
        heads = self._heads
        rank, cell = heads[0]
        while len(self._spreads) > 1 and (now := self._rank(cell)) != rank:
            # Another cell with a domain of this one has had a task meanwhile.
            heapreplace(heads, (now, cell))
            rank, cell = heads[0]
        return cell

    def _fill(self, cell: _Cell, most: int) -> tuple[int, int]:
        """Put tasks on the first instance of a cell, which gets even further to the front; how many."""
        places = cell.places
        slot = places[0] & _SLOTS
        room = cell.room or self._room(slot)
        count = min(room, most)
        cell.room = room - count
        if cell.room:
            places[0] += self._step * count
        else:
            heappop(places)
        return slot, count

    def _add(self, cell: _Cell) -> int:
        """Put a task on the first instance of a cell, which goes to the back or, by its clock, anywhere."""
        places = cell.places
        slot = places[0] & _SLOTS
        room = self._room(slot) - 1
        step = self._step or pause(self._random) << _SLOT
        if room:
            self._rooms[slot] = room
            heapreplace(places, places[0] + step)
        else:
            heappop(places)
        return slot

    def _count(self, cell: _Cell) -> None:
        """Count a task of a cell's domains."""
        for (_, counts), domain in zip(self._spreads, cell.domains, strict=True):
            counts[domain] += 1
        if not cell.places:
            heappop(self._heads)
        elif self._spreads:
            heapreplace(self._heads, (self._rank(cell), cell))

    def _rank(self, cell: _Cell) -> int:
        rank = cell.places[0]
        for (shift, counts), domain in zip(self._spreads, cell.domains, strict=True):
            rank += counts[domain] << shift
        return rank

    def _room(self, slot: int) -> int:
        """How many such tasks an instance takes that takes one."""
        if self._once:
            return 1
        room = self._rooms.get(slot)
        if room is None:
            if not self._again >> slot & 1:
                return 1
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


def _again(board: Board, request: Request) -> int:
    """The slots that constraints would still allow if the group had a task there (a superset; all, if none asks)."""
    found = board.everyone
    for query in request.constraints:
        if query is not None and _asks_for_groups(query):
            found &= board.select(query.root, everywhere=request.group)
    return found


def _asks_for_groups(query: Query) -> bool:
    return any(each.subject == tree.TASK_GROUP for each in comparisons(query.root))


def _numbers(board: Board, request: Request, strategy: Strategy, slots: Sequence[int]) -> list[int]:
    """What a strategy over instances compares of each."""
    if strategy.type == "binpack":
        left = board.left[strategy.field].of
        return [number if (number := left[slot]) > 0 else 0 for slot in slots]
    group = board.groups.get(request.group)
    wanted = group.wanted if group is not None else {}
    return [wanted.get(slot, 0) for slot in slots]


def _cells(places: Sequence[int], slots: Sequence[int], fields: Sequence[dict[int, Domain]]) -> list[_Cell]:
    cells: dict[tuple[Domain, ...], list[int]] = {}
    if fields:
        for place, domains in zip(
            places, zip(*([of[slot] for slot in slots] for of in fields), strict=True), strict=True
        ):
            there = cells.get(domains)
            if there is None:
                cells[domains] = [place]
            else:
                there.append(place)
    elif places:
        cells[()] = list(places)
    return [_Cell(domains, places) for domains, places in cells.items()]
