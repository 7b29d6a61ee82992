"""Many tasks at once. Pure.

While like tasks are placed, nothing but they changes the board: an instance that takes one gets fuller, and may drop
out; all others stay as they are. So the instances that can take such a task are brought into order once (``cells``),
and the board hears of the tasks when all are placed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from dryport.ecs.placement.bits import listed
from dryport.ecs.placement.board import Board, amounts
from dryport.ecs.placement.cells import Cell, Cells, Counts, by_domains, by_key
from dryport.ecs.placement.choice import Plan
from dryport.ecs.placement.groups import HOST, Domain, Domains
from dryport.ecs.placement.model import Request, Strategy
from dryport.ecs.placement.query import Query, comparisons, tree

MANY = 1 / 32  # a task for so many instances, and they are worth being ordered

# What strategies compare is one number, the first one's digits highest.
_DIGITS = 48  # bits
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

    Fewer than ``many`` for each instance that can take one are chosen one by one.
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


class _Run:
    """Like tasks that are being placed."""

    def __init__(self, board: Board, request: Request, feasible: int, random: Random) -> None:
        self._board = board
        self._request = request
        self._random = random.random
        needs = dict(amounts(request.needs))
        self._limits = [(board.left[name].of, amount) for name, amount in needs.items()]
        self._once = bool(request.needs.ports) or None in request.constraints  # at most one on each instance
        self._again = _again(board, request)
        self._rooms: dict[int, int] = {}
        self._taken: dict[int, list[str]] = {}  # ARNs by slot
        self._slots: list[int] = []  # of the tasks so far
        self._own: list[tuple[int, Strategy]] = []  # what compares the instances themselves, with its digits
        self._step = 0  # what a task adds to its instance's key
        fields: list[Domains] = []
        spreads: list[tuple[int, Counts]] = []
        for number, strategy in enumerate(reversed(_effective(request))):
            digits = _DIGITS * number
            if strategy.type == "spread" and strategy.field != HOST:
                fields.append(board.domains(strategy.field))
                spreads.append((digits, dict(board.spread(request.group, strategy.field).counts)))
            else:
                self._own.append((digits, strategy))
                self._step += (-needs.get(strategy.field, 0) if strategy.type == "binpack" else 1) << digits
        self._spread = bool(spreads)
        # Some instances are filled at once: a task brings them even further to the front.
        self._filled = self._step < 0 and not self._once and not self._spread
        self._cells = Cells([self._cell(*part) for part in by_domains(feasible, fields)], spreads, random)

    def _cell(self, domains: tuple[Domain, ...], those: int) -> Cell:
        slots = listed(those)
        keys: list[int] | None = None
        for digits, strategy in self._own:
            numbers = _numbers(self._board, self._request, strategy, slots)
            if numbers is not None and keys is None:
                keys = [number << digits for number in numbers]
            elif numbers is not None and keys is not None:
                keys = [key + (number << digits) for key, number in zip(keys, numbers, strict=True)]
        return Cell(domains, by_key(slots, keys))

    def place(self, arns: Sequence[str]) -> list[int | None]:
        """The slots of tasks, which are on the board then."""
        slots, cells, count = self._slots, self._cells, len(arns)
        if not self._spread and cells:
            _, cell = cells.first()  # the only one
            while len(slots) < count and cell.bucket:
                if self._filled:
                    self._fill(cell, arns)
                else:
                    self._add(cell, arns[len(slots)])
        while self._spread and len(slots) < count and cells:
            place, cell = cells.first()
            cells.update(place, cell, self._add(cell, arns[len(slots)]))
        self._board.put_alike(self._request, self._taken)
        return slots + [None] * (count - len(slots))

    def _fill(self, cell: Cell, arns: Sequence[str]) -> None:
        """Put tasks on one of the first instances of a cell until it is full: each brings it further to the front."""
        at = int(self._random() * len(cell.bucket))
        slot, done = cell.bucket[at], len(self._slots)
        here = self._taken[slot] = list(arns[done : done + self._room(slot)])
        self._slots += [slot] * len(here)
        cell.drop(at)

    def _add(self, cell: Cell, arn: str) -> int:
        """Put a task on one of the first instances of a cell; 0 where that proves full, and is out from now on."""
        bucket = cell.bucket
        at = int(self._random() * len(bucket)) if len(bucket) > 1 else 0
        slot = bucket[at]
        there = self._taken.get(slot)
        if there is None:
            self._taken[slot] = [arn]
        elif len(there) < self._room(slot):
            there.append(arn)
        else:
            cell.drop(at)
            return 0
        self._slots.append(slot)
        if self._once:
            cell.drop(at)
        elif self._step:
            cell.move(at, cell.key + self._step)
        return 1

    def _room(self, slot: int) -> int:
        """How many such tasks an instance takes that takes one."""
        room = self._rooms.get(slot)
        if room is None:
            room = 1
            if self._again >> slot & 1:
                room = min([left[slot] // amount for left, amount in self._limits], default=_ENDLESS)
            self._rooms[slot] = room
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


def _numbers(board: Board, request: Request, strategy: Strategy, slots: Sequence[int]) -> list[int] | None:
    """What a strategy over instances compares of each; ``None`` where that is 0 of all."""
    if strategy.type == "binpack":
        left = board.left[strategy.field].of
        return [number if (number := left[slot]) > 0 else 0 for slot in slots]
    group = board.groups.get(request.group)
    if group is None or not group.wanted:
        return None
    return [group.wanted.get(slot, 0) for slot in slots]
