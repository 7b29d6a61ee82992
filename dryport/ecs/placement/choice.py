"""On which instance a task goes, in ECS's four steps. Pure.

The instances that have what the task needs, of those the ones that its constraints allow, of those the ones that its
strategies prefer (each strategy chooses among what the one before it left), and of those any.
Source: "How Amazon ECS places tasks on container instances", developer guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from dryport.ecs.placement.bits import members, nth
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.filters import filters
from dryport.ecs.placement.model import Instance, Occupant, Request, Strategy


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


def place(board: Board, wanted: Iterable[tuple[str, Request]], random: Random) -> list[str | None]:
    """Place tasks (ARN and request) on a board, one after the other; the ARNs of their instances.

    Each decision is the one that ``choose`` would make at that moment.
    """
    plans: dict[Request, Plan] = {}
    placed: list[str | None] = []
    for arn, request in wanted:
        plan = plans.get(request)
        if plan is None:
            plan = plans[request] = Plan(board, request)
        slot = plan.choose(random)
        if slot is None:
            placed.append(None)
            continue
        instance_arn = board.instances[slot].arn
        needs = request.needs
        board.put_task(
            Occupant(arn=arn, instance_arn=instance_arn, group=request.group, needs=needs, ports=needs.ports)
        )
        placed.append(instance_arn)
    return placed


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
