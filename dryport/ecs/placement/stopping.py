"""Which tasks of a group stop, where there are too many: the strategies, turned round. Pure.

A spread stops tasks of the domain that has the most; a binpack those whose instance would be left with the most.
Sources: "Use strategies to define Amazon ECS task placement", "Amazon ECS services", developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from dryport.ecs.placement.bits import nth
from dryport.ecs.placement.board import Board, amounts
from dryport.ecs.placement.groups import HOST
from dryport.ecs.placement.model import SERVICE_DEFAULT, Needs, Occupant, Strategy
from dryport.ecs.placement.numbers import Levels

# Without strategies: the zone with the most of a service's tasks, in it the instance with the most.
DEFAULT = (*SERVICE_DEFAULT, Strategy("spread", HOST))

_Tied = list[tuple["_Alike", int]]


class _Alike:
    """Tasks with the same needs, by slot; ``counts`` are the slots by the number of them."""

    def __init__(self, needs: Needs) -> None:
        self.needs = dict(amounts(needs))
        self.by_slot: dict[int, list[str]] = {}
        self.slots = 0
        self.counts = Levels()

    def add(self, slot: int, arn: str) -> None:
        there = self.by_slot.setdefault(slot, [])
        self.counts.move(1 << slot, len(there) or None, len(there) + 1)
        there.append(arn)
        self.slots |= 1 << slot

    def take(self, slot: int, number: int) -> str:
        there = self.by_slot[slot]
        arn = there.pop(number)
        self.counts.move(1 << slot, len(there) + 1, len(there) or None)
        if not there:
            self.slots ^= 1 << slot
        return arn


def to_stop(board: Board, arns: Iterable[str], count: int, strategies: Sequence[Strategy], random: Random) -> list[str]:
    """``count`` of these tasks (or all, where there are fewer), in the order in which they are to stop.

    They are tasks of one group on the board, which is afterwards as it was. Without strategies ``DEFAULT`` holds.
    """
    alike: dict[Needs, _Alike] = {}
    occupants: dict[str, Occupant] = {}
    stopped: list[str] = []
    for arn in arns:
        occupant = board.tasks[arn]
        slot = board.slots.get(occupant.instance_arn)
        if slot is None:
            stopped.append(arn)  # it is nowhere
            continue
        occupants[arn] = occupant
        if occupant.needs not in alike:
            alike[occupant.needs] = _Alike(occupant.needs)
        alike[occupant.needs].add(slot, arn)
    try:
        while len(stopped) < count and any(each.slots for each in alike.values()):
            stopped.append(_next(board, list(alike.values()), occupants, strategies or DEFAULT, random))
            board.remove_task(stopped[-1])
    finally:
        for arn in stopped:
            if arn in occupants:
                board.put_task(occupants[arn])
    return stopped[:count]


def _next(
    board: Board,
    alike: list[_Alike],
    occupants: dict[str, Occupant],
    strategies: Sequence[Strategy],
    random: Random,
) -> str:
    tied: _Tied = [(each, each.slots) for each in alike if each.slots]
    group = next(iter(occupants.values())).group
    for strategy in strategies:
        if strategy.type == "random":
            break
        if strategy.type == "spread":
            tied = _most_of_a_domain(board, group, strategy.field, tied)
        else:
            tied = _most_left(board, strategy.field, tied)
    return _any(tied, random)


def _most_of_a_domain(board: Board, group: str, field: str, tied: _Tied) -> _Tied:
    among = 0
    for _, slots in tied:
        among |= slots
    most = board.spread(group, field).levels.greatest(among)
    return [(each, slots & most) for each, slots in tied if slots & most]


def _most_left(board: Board, resource: str, tied: _Tied) -> _Tied:
    numbers = board.left[resource]
    best: dict[int, _Tied] = {}
    for each, slots in tied:
        greatest = numbers.greatest(slots)
        left = max(0, numbers.of[greatest.bit_length() - 1]) + each.needs.get(resource, 0)
        best.setdefault(left, []).append((each, greatest))
    return best[max(best)]


def _any(tied: _Tied, random: Random) -> str:
    """Any of the tasks, each as likely as the other."""
    choices = [
        (each, count, there & slots) for each, slots in tied for count, there in sorted(each.counts.sets.items())
    ]
    number = int(random.random() * sum(count * slots.bit_count() for _, count, slots in choices))
    for each, count, slots in choices:
        here = count * slots.bit_count()
        if number < here:
            return each.take(nth(slots, number // count), number % count)
        number -= here
    raise AssertionError("there is a task to choose")
