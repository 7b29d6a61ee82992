"""On which instance a task goes, in ECS's four steps. Pure.

The instances that have what the task needs, of those the ones that its constraints allow, of those the ones that its
strategies prefer (each strategy chooses among what the one before it left), and of those any.
Source: "How Amazon ECS places tasks on container instances", developer guide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from dryport.ecs.placement.bits import members, nth
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.filters import filters
from dryport.ecs.placement.model import Instance, Request, Strategy

LAUNCH_TYPE = "LAUNCH_TYPE"  # no reason of AWS's: it does not ask instances of another launch type


class Plan:
    """A request, made ready for many decisions on one board."""

    def __init__(self, board: Board, request: Request) -> None:
        self._board = board
        self.request = request
        self.filters = filters(board, request)
        self._still = [each.slots for each in self.filters if not each.moving]
        self._moving = [each.slots for each in self.filters if each.moving]
        self._rankings = _rankings(board, request)
        self._allowed, self._epoch = 0, -1

    def feasible(self) -> int:
        """The slots that the task can go on."""
        if self._epoch != self._board.epoch:
            found = pool(self._board, self.request)
            for slots in self._still:
                found &= slots()
            self._allowed, self._epoch = found, self._board.epoch
        found = self._allowed
        for slots in self._moving:
            found &= slots()
        return found

    def choose(self, random: Random) -> int | None:
        """The slot that the task goes on; ``None`` where it can go on none."""
        found = self.feasible()
        if not found:
            return None
        for ranking in self._rankings:
            found = ranking(found)
        count = found.bit_count()
        if count == 1:
            return found.bit_length() - 1
        return nth(found, int(random.random() * count))


def choose(board: Board, request: Request, random: Random) -> Instance | None:
    """The instance that a task goes on; ``None`` where it can go on none."""
    slot = Plan(board, request).choose(random)
    return None if slot is None else board.instances[slot]


def pool(board: Board, request: Request) -> int:
    """The slots of the instances that are asked at all."""
    return board.launch_types.get(request.launch_type, 0)


def reasons(board: Board, request: Request) -> Mapping[str, str]:
    """Why the task can not go on instances: the first thing in each one's way, by the instance's ARN."""
    left = pool(board, request)
    found: dict[int, str] = {}
    for each in filters(board, request):
        for slot in members(left & ~each.slots()):
            found[slot] = each.reason
        left &= each.slots()
    return {board.instances[slot].arn: found[slot] for slot in sorted(found)}


def obstacles(board: Board, request: Request, instance_arn: str) -> list[str]:
    """All that is in the way of a task on one instance, in the order in which failures name it."""
    slot = board.slots[instance_arn]
    return [each.reason for each in filters(board, request) if not each.slots() >> slot & 1]


def closest(board: Board, request: Request) -> tuple[str, str] | None:
    """The instance that has the fewest things in a task's way, and the first of them; ``None`` where none is asked."""
    left = pool(board, request)
    if not left:
        return None
    counts = dict.fromkeys(members(left), 0)
    first: dict[int, str] = {}
    for each in filters(board, request):
        for slot in members(left & ~each.slots()):
            counts[slot] += 1
            first.setdefault(slot, each.reason)
    slot = min(first, key=lambda each: counts[each])
    return board.instances[slot].arn, first[slot]


class Obstacle(NamedTuple):
    """What is in the way of a task on an instance. ``wanted`` and ``remaining`` are of a resource that is counted."""

    reason: str
    message: str
    wanted: int | None = None
    remaining: int | None = None


def explain(board: Board, request: Request) -> dict[str, list[Obstacle]]:
    """All that is in the way of a task, by the instance's ARN: for every instance, those that are not asked too."""
    found: dict[int, list[Obstacle]] = {slot: [] for slot in sorted(board.instances)}
    for slot in members(board.everyone ^ pool(board, request)):
        is_of = f"it is of the launch type {board.instances[slot].launch_type}, not {request.launch_type}"
        found[slot].append(Obstacle(LAUNCH_TYPE, is_of))
    for each in filters(board, request):
        for slot in members(board.everyone ^ (board.everyone & each.slots())):
            figures = each.figures(slot) if each.figures is not None else ()
            found[slot].append(Obstacle(each.reason, each.says(slot), *figures))
    return {board.instances[slot].arn: obstacles for slot, obstacles in found.items()}


def _rankings(board: Board, request: Request) -> Sequence[Callable[[int], int]]:
    chosen: list[Callable[[int], int]] = []
    for strategy in request.strategies:
        if strategy.type == "random":
            break  # it leaves one instance: there is nothing to choose for whatever follows
        chosen.append(_ranking(board, request, strategy))
    return chosen


def _ranking(board: Board, request: Request, strategy: Strategy) -> Callable[[int], int]:
    if strategy.type == "binpack":
        return board.left[strategy.field].least
    # Asked for anew each time: instances that come or change make new ones.
    return lambda among: board.spread(request.group, strategy.field).levels.least(among)
