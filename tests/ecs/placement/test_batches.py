"""Many tasks at once go where they would go one by one, on clusters too large for the reference."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.ecs.placement import batches
from dryport.ecs.placement.batches import place, place_alike
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.choice import choose
from dryport.ecs.placement.model import Instance, Needs, Occupant, Request, Strategy
from dryport.ecs.placement.query import parse

_ZONE = Strategy("spread", "attribute:ecs.availability-zone")
_RACK = Strategy("spread", "attribute:rack")
_HOST = Strategy("spread", "instanceId")
_CPU, _MEMORY = Strategy("binpack", "CPU"), Strategy("binpack", "MEMORY")
_CHAINS = {
    "none": (),
    "random": (Strategy("random"),),
    "random, binpack": (Strategy("random"), _CPU),
    "binpack": (_MEMORY,),
    "binpack both": (_CPU, _MEMORY),
    "zones": (_ZONE,),
    "zones, binpack": (_ZONE, _MEMORY),
    "zones, instances": (_ZONE, _HOST),
    "zones, racks, binpack": (_ZONE, _RACK, _CPU),
    "racks": (_RACK,),
    "instances": (_HOST,),
    "instances, binpack": (_HOST, _MEMORY),
    "binpack, zones, instances": (_CPU, _ZONE, _HOST),
    "zones twice": (_ZONE, _ZONE, _MEMORY),
}


def cluster(racks: int) -> Board:
    """Three hundred instances of three sizes, unevenly in three zones, with racks."""
    random, board = Random(3), Board()
    for number in range(300):
        cpu, memory = random.choice([(1024, 2000), (2048, 4000), (4096, 4000)])
        zone = random.choice("aaaabbc")
        board.put_instance(
            Instance(
                arn=f"instance-{number}",
                attributes={"ecs.availability-zone": zone, "rack": f"{number % racks}"},
                cpu=cpu,
                memory=memory,
            )
        )
    return board


def requests(strategies: tuple[Strategy, ...]) -> list[Request]:
    return [
        Request(group="a", needs=Needs(cpu=256, memory=300), strategies=strategies),
        Request(group="b", needs=Needs(cpu=64, memory=500, ports=frozenset({("tcp", 80)})), strategies=strategies),
        Request(group="c", needs=Needs(memory=7), constraints=(None,), strategies=strategies),
        Request(group="d", needs=Needs(cpu=128), constraints=(parse("attribute:rack != 1"),), strategies=strategies),
        Request(group="a", needs=Needs(cpu=100), constraints=(parse("task:group != b"),), strategies=strategies),
    ]


@pytest.mark.parametrize("racks", [2, 40], ids=["few cells", "too many cells"])
@pytest.mark.parametrize("chain", _CHAINS)
def test_a_batch_is_as_many_single_decisions(chain: str, racks: int) -> None:
    one, other = cluster(racks), cluster(racks)
    random, same = Random(5), Random(5)
    for request in requests(_CHAINS[chain]):
        arns = [f"{id(request)}-{number}" for number in range(400)]
        expected = []
        for arn in arns:
            chosen = choose(one, request, random)
            expected.append(chosen.arn if chosen is not None else None)
            if chosen is not None:
                needs = request.needs
                one.put_task(
                    Occupant(arn=arn, instance_arn=chosen.arn, group=request.group, needs=needs, ports=needs.ports)
                )
        assert place_alike(other, request, arns, same) == expected
        assert other.tasks == one.tasks
    # And both draw from the same source as often.
    assert random.random() == same.random()


def test_a_queue_is_placed_request_by_request() -> None:
    one, other = cluster(2), cluster(2)
    a, b, *_ = requests((_ZONE, _MEMORY))
    queue = [(f"task-{number}", (a, b, a)[number % 3]) for number in range(90)]
    placed = place(one, queue, Random(1))
    ordered = [each for each in queue if each[1] is a] + [each for each in queue if each[1] is b]
    assert dict(zip((arn for arn, _ in queue), placed, strict=True)) == dict(
        zip((arn for arn, _ in ordered), place(other, ordered, Random(1)), strict=True)
    )
    assert None not in placed


@given(st.data())
def test_the_nth_of_several_ordered_lists(data: st.DataObject) -> None:
    seed, count = data.draw(st.integers(0, 999)), data.draw(st.integers(1, 2000))
    random = Random(seed)
    slots = sorted(random.sample(range(4000), count))
    # Lists that lie in each other evenly, and lists that lie beside each other.
    bound = random.choice(slots)
    weights = [random.random() for _ in range(3)]
    lists: list[list[int]] = [[], [], [], []]
    for slot in slots:
        lists[3 if slot < bound and seed % 2 else random.choices(range(3), weights)[0]].append(slot)
    buckets = [each for each in lists if each]
    number = data.draw(st.integers(0, count - 1))
    assert batches._nth(buckets, count, number) == slots[number]
