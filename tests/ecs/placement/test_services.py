"""What services rest on: the default spread over zones, and which tasks stop when there are too many."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from dryport.ecs.placement.batches import place_alike
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.model import SERVICE_DEFAULT, Instance, Needs, Occupant, Request, Strategy
from dryport.ecs.placement.stopping import to_stop

_CPU = Strategy("binpack", "CPU")
_HOST = Strategy("spread", "instanceId")
_ZONE = Strategy("spread", "attribute:ecs.availability-zone")


def cluster(zones: str) -> Board:
    """An instance of 1000 CPU units in each of these zones (``aab``: two in zone a); they are called a0, a1, b2."""
    board = Board()
    for number, zone in enumerate(zones):
        board.put_instance(
            Instance(arn=f"{zone}{number}", cpu=1000, memory=9, attributes={"ecs.availability-zone": zone})
        )
    return board


def run(board: Board, *instances: str, cpu: int = 100) -> list[str]:
    """Tasks of the service on these instances; their names begin with the instance's."""
    arns = []
    for instance in instances:
        arns.append(f"{instance}-{len(board.tasks)}")
        board.put_task(
            Occupant(arn=arns[-1], instance_arn=instance, group="service:web", needs=Needs(cpu=cpu), running=True)
        )
    return arns


def instances(arns: list[str]) -> list[str]:
    return [arn.partition("-")[0] for arn in arns]


@pytest.mark.parametrize("seed", range(5))
def test_a_service_without_strategies_spreads_over_zones(seed: int) -> None:
    board = cluster("aaaabc")
    request = Request(group="service:web", needs=Needs(cpu=100), strategies=SERVICE_DEFAULT)
    placed = place_alike(board, request, [f"task-{number}" for number in range(9)], Random(seed))
    assert Counter(str(arn)[0] for arn in placed) == {"a": 3, "b": 3, "c": 3}
    # Only its own tasks count, so another service begins in balance too.
    other = Request(group="service:other", needs=Needs(cpu=1), strategies=SERVICE_DEFAULT)
    assert Counter(str(arn)[0] for arn in place_alike(board, other, ["x", "y", "z"], Random(seed))) == {
        "a": 1,
        "b": 1,
        "c": 1,
    }


@pytest.mark.parametrize("seed", range(5))
def test_scale_in_keeps_zones_in_balance(seed: int) -> None:
    board = cluster("aab")
    arns = run(board, "a0", "a0", "a0", "a1", "b2", "b2")
    # Zone a has four and its first instance three of them; then two in each zone.
    stopped = to_stop(board, arns, 2, (), Random(seed))
    assert instances(stopped) == ["a0", "a0"]
    assert board.tasks.keys() == set(arns), "to choose is not to stop"


@pytest.mark.parametrize("seed", range(5))
def test_scale_in_by_strategies(seed: int) -> None:
    board = cluster("aab")
    arns = run(board, "a0", "a0", "a0", "a1", "b2", "b2")
    # The instance that is left with the most: the one with the fewest tasks.
    assert instances(to_stop(board, arns, 1, [_CPU], Random(seed))) == ["a1"]
    assert instances(to_stop(board, arns, 3, [_CPU], Random(seed))) == ["a1", "b2", "b2"]
    # The instance with the most tasks.
    assert instances(to_stop(board, arns, 1, [_HOST], Random(seed))) == ["a0"]
    # The zone with the most, and there the instance that is left with the most.
    assert instances(to_stop(board, arns, 1, [_ZONE, _CPU], Random(seed))) == ["a1"]
    assert instances(to_stop(board, arns, 2, [_ZONE, _HOST], Random(seed))) == ["a0", "a0"]


def test_scale_in_at_random_takes_any() -> None:
    board = cluster("aab")
    arns = run(board, "a0", "a0", "a0", "a1", "b2", "b2")
    found = Counter(to_stop(board, arns, 1, [Strategy("random")], Random(seed))[0] for seed in range(600))
    # 100 of each expected, with a standard deviation of 9.
    assert set(found) == set(arns)
    assert all(50 < count < 150 for count in found.values())


def test_tasks_whose_instance_is_gone_stop_first() -> None:
    board = cluster("ab")
    arns = run(board, "a0", "b1", "b1")
    board.remove_instance("a0")
    assert to_stop(board, arns, 1, [_HOST], Random(1)) == [arns[0]]


def test_no_more_stop_than_there_are() -> None:
    board = cluster("ab")
    arns = run(board, "a0", "b1")
    assert sorted(to_stop(board, arns, 9, (), Random(1))) == arns
    assert to_stop(board, arns, 0, (), Random(1)) == []
