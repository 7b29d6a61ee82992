"""Many tasks at once, on clusters with more instances than those of `test_decisions.py`."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest

from dryport.ecs.placement.batches import place, place_alike
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.model import Instance, Needs, Request, Strategy
from dryport.ecs.placement.query import parse
from tests.ecs.placement import reference
from tests.ecs.placement.reference import Cluster

_ZONE = Strategy("spread", "attribute:ecs.availability-zone")
_RACK = Strategy("spread", "attribute:rack")
_HOST = Strategy("spread", "instanceId")
_CPU, _MEMORY = Strategy("binpack", "CPU"), Strategy("binpack", "MEMORY")
_CHAINS: dict[str, tuple[Strategy, ...]] = {
    "none": (),
    "random, then no matter what": (Strategy("random"), _CPU),
    "binpack": (_MEMORY,),
    "binpack both": (_CPU, _MEMORY),
    "zones": (_ZONE,),
    "zones, binpack": (_ZONE, _MEMORY),
    "zones, instances": (_ZONE, _HOST),
    "zones, racks, binpack": (_ZONE, _RACK, _CPU),
    "racks, zones": (_RACK, _ZONE),
    "instances, binpack": (_HOST, _MEMORY),
    "binpack, zones, instances": (_CPU, _ZONE, _HOST),
    "zones twice": (_ZONE, _ZONE, _MEMORY),
}


def instances(count: int) -> list[Instance]:
    """Instances of three sizes, unevenly in three zones and eleven racks."""
    random = Random(3)
    sizes = [(1024, 2000), (2048, 4000), (4096, 4000)]
    return [
        Instance(
            arn=f"instance-{number}",
            attributes={"ecs.availability-zone": random.choice("aaaabbc"), "rack": f"{number % 11}"},
            cpu=cpu,
            memory=memory,
        )
        for number in range(count)
        for cpu, memory in [random.choice(sizes)]
    ]


def requests(strategies: tuple[Strategy, ...]) -> list[Request]:
    port = frozenset({("tcp", 80)})
    return [
        Request(group="a", needs=Needs(cpu=256, memory=300), strategies=strategies),
        Request(group="b", needs=Needs(cpu=64, memory=500, ports=port), strategies=strategies),  # type: ignore[arg-type]
        Request(group="c", needs=Needs(memory=7), constraints=(None,), strategies=strategies),
        Request(group="d", needs=Needs(cpu=128), constraints=(parse("attribute:rack != 1"),), strategies=strategies),
        Request(group="a", needs=Needs(cpu=100), constraints=(parse("task:group != b"),), strategies=strategies),
        Request(group="e", needs=Needs(cpu=9), constraints=(parse("not (task:group == e)"),), strategies=strategies),
    ]


@pytest.mark.parametrize("chain", _CHAINS)
def test_a_batch_is_the_references(chain: str) -> None:
    board, cluster = Board(), Cluster()
    for instance in instances(30):
        board.put_instance(instance)
        cluster.put_instance(instance)
    random = Random(5)
    for request in requests(_CHAINS[chain]):
        arns = [f"{id(request)}-{number}" for number in range(50)]
        reference.follow(cluster, request, arns, place_alike(board, request, arns, random, many=0))
        assert board.tasks == cluster.tasks


@pytest.mark.parametrize("chain", [name for name in _CHAINS if not name.startswith("binpack")])
def test_ties_are_broken_as_one_by_one(chain: str) -> None:
    """How often an instance, and a zone, gets one of the first tasks is the same whichever way they are placed."""
    request = Request(group="a", needs=Needs(cpu=256, memory=300), strategies=_CHAINS[chain])
    zones = {each.arn: each.attributes["ecs.availability-zone"] for each in instances(30)}
    counts: dict[float, Counter[str]] = {}
    for many in (0, 10_000):
        counts[many] = Counter()
        for seed in range(600):
            board = Board()
            for instance in instances(30):
                board.put_instance(instance)
            placed = place_alike(board, request, [f"{number}" for number in range(4)], Random(seed), many)
            counts[many].update(arn for arn in placed if arn)
            counts[many].update(zones[arn] for arn in placed if arn)
    # A difference of two sums of 600 draws, mostly: a standard deviation of some 17. The seeds are always the same.
    assert all(abs(counts[0][each] - counts[10_000][each]) < 80 for each in counts[0] | counts[10_000])


def test_a_queue_is_placed_request_by_request() -> None:
    one, other = Board(), Board()
    for instance in instances(30):
        one.put_instance(instance)
        other.put_instance(instance)
    a, b, *_ = requests((_ZONE, _MEMORY))
    queue = [(f"task-{number}", (a, b, a)[number % 3]) for number in range(60)]
    ordered = [each for each in queue if each[1] is a] + [each for each in queue if each[1] is b]
    placed = dict(zip((arn for arn, _ in queue), place(one, queue, Random(1)), strict=True))
    assert placed == dict(zip((arn for arn, _ in ordered), place(other, ordered, Random(1)), strict=True))
    assert None not in placed.values()


@pytest.mark.parametrize("many", [0, 10_000], ids=["together", "one by one"])
def test_of_instances_that_are_tied_each_is_as_likely(many: float) -> None:
    board = Board()
    for number in range(5):
        board.put_instance(Instance(arn=f"{number}", cpu=10_000))
    request = Request(group="a", needs=Needs(cpu=1), strategies=(Strategy("random"),))
    placed = place_alike(board, request, [f"task-{number}" for number in range(10_000)], Random(11), many)
    # Binomial: 2000 expected of each, with a standard deviation of 40.
    assert all(abs(count - 2000) < 200 for count in Counter(placed).values())
    assert len(set(placed)) == 5
    # Nor does it matter which one was taken before.
    again = sum(one == other for one, other in itertools.pairwise(placed))
    assert abs(again - 2000) < 200
