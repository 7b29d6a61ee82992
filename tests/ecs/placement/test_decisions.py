"""Every decision is the reference's, whatever the cluster and its history: properties."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dryport.ecs.placement.batches import place
from dryport.ecs.placement.board import Board
from dryport.ecs.placement.choice import choose, pool, reasons
from dryport.ecs.placement.model import Instance, Needs, Occupant, Request, Strategy
from dryport.ecs.placement.query import parse
from dryport.ecs.placement.stopping import to_stop
from tests.ecs.placement import reference
from tests.ecs.placement.pictures import picture
from tests.ecs.placement.reference import Cluster

_VALUES = ["a", "b", "prod", ""]
_PORTS = [("tcp", 80), ("udp", 80), ("tcp", 8080), ("tcp", 40000), ("udp", 32768), ("tcp", 60999), ("tcp", 61000)]
_EXPRESSIONS = [
    "attribute:stack == prod",
    "attribute:stack != prod",
    "attribute:stack not_exists or attribute:zone exists",
    "attribute:zone in [a, b] and not (task:group == g1)",
    "attribute:zone =~ '[ab]'",
    "attribute:zone !~ a || task:group in [g1, g2]",
    "runningTasksCount < 2",
    "runningTasksCount == 0 or task:group exists",
    "task:group != g1",
    "task:group !exists",
    "task:group =~ 'g[12]'",
    "agentConnected == true && ec2InstanceId in [i-0, i-2, i-4]",
    "!(attribute:zone == a and attribute:stack exists)",
]


def instances(number: int) -> st.SearchStrategy[Instance]:
    return st.builds(
        Instance,
        arn=st.just(f"instance-{number}"),
        launch_type=st.sampled_from(["EC2", "EC2", "EC2", "EXTERNAL"]),
        ec2_instance_id=st.sampled_from([f"i-{number}", None]),
        status=st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "ACTIVE", "DRAINING"]),
        agent_connected=st.sampled_from([True, True, True, True, False]),
        attributes=st.dictionaries(st.sampled_from(["stack", "zone"]), st.sampled_from(_VALUES)),
        cpu=st.sampled_from([256, 512, 1024, 1000, 4096]),
        memory=st.sampled_from([300, 512, 1024, 7777]),
        gpus=st.sampled_from([(), ("gpu-0", "gpu-1")]),
        interfaces=st.sampled_from([0, 1, 3]),
        ports=st.sampled_from([frozenset(), frozenset([("tcp", 22), ("tcp", 33000)])]),
    )


_NEEDS = st.builds(
    Needs,
    cpu=st.sampled_from([0, 64, 128, 250]),
    memory=st.sampled_from([0, 4, 100, 128, 300]),
    gpus=st.sampled_from([0, 0, 0, 1, 2]),
    interfaces=st.sampled_from([0, 0, 0, 1]),
    ports=st.frozensets(st.sampled_from(_PORTS), max_size=2),
    dynamic_tcp=st.sampled_from([0, 0, 1, 20_000]),
    dynamic_udp=st.sampled_from([0, 0, 1, 28_232]),
)
_STRATEGY = st.one_of(
    st.builds(Strategy, st.just("binpack"), st.sampled_from(["CPU", "MEMORY"])),
    st.builds(Strategy, st.just("spread"), st.sampled_from(["instanceId", "attribute:zone", "attribute:stack"])),
    st.just(Strategy("random")),
)
_REQUEST = st.builds(
    Request,
    group=st.sampled_from(["g1", "g2", "g3"]),
    needs=_NEEDS,
    launch_type=st.sampled_from(["EC2", "EC2", "EC2", "EXTERNAL"]),
    attributes=st.sampled_from([(), (), (), (("stack", ()),), (("zone", ("a", "b")), ("stack", ()))]),
    constraints=st.lists(st.sampled_from([None, *map(parse, _EXPRESSIONS)]), max_size=2).map(tuple),
    strategies=st.lists(_STRATEGY, max_size=3).map(tuple),
)


class Both:
    """The board and the reference, told the same."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.board, self.cluster = Board(), Cluster()
        self.random, self.same = Random(7), Random(7)
        self.requests = data.draw(st.lists(_REQUEST, min_size=1, max_size=4))
        self.number = 0
        for number in range(data.draw(st.integers(0, 6))):
            self.put_instance(data.draw(instances(number)))

    def put_instance(self, instance: Instance) -> None:
        self.board.put_instance(instance)
        self.cluster.put_instance(instance)

    def put_task(self, task: Occupant) -> None:
        self.board.put_task(task)
        self.cluster.tasks[task.arn] = task

    def step(self) -> None:
        getattr(self, self.data.draw(st.sampled_from(_STEPS)))()

    def place_one(self) -> None:
        request = self.data.draw(st.sampled_from(self.requests))
        chosen = choose(self.board, request, self.random)
        assert chosen == reference.choose(self.cluster, request, self.same)
        if chosen is not None:
            self.number += 1
            running = self.data.draw(st.booleans())
            needs = request.needs
            task = Occupant(
                arn=f"task-{self.number}",
                instance_arn=chosen.arn,
                group=request.group,
                needs=needs,
                ports=needs.ports,
                running=running,
            )
            self.put_task(task)

    def place_many(self) -> None:
        wanted = []
        for request in self.data.draw(st.lists(st.sampled_from(self.requests), max_size=12)):
            self.number += 1
            wanted.append((f"task-{self.number}", request))
        many = self.data.draw(st.sampled_from([0, 0.5, 1, 2, 100]))
        placed = dict(zip([arn for arn, _ in wanted], place(self.board, wanted, self.random, many), strict=True))
        # Those of one request one after the other.
        for request in {id(request): request for _, request in wanted}.values():
            arns = [arn for arn, each in wanted if each is request]
            if many == 100:
                assert reference.place_alike(self.cluster, request, arns, self.same) == [placed[arn] for arn in arns]
            else:
                reference.follow(self.cluster, request, arns, [placed[arn] for arn in arns])
        self.same.setstate(self.random.getstate())
        assert self.board.tasks == self.cluster.tasks

    def why_not(self) -> None:
        request = self.data.draw(st.sampled_from(self.requests))
        asked = [each for each in self.cluster.instances if each.launch_type == request.launch_type]
        expected = {each.arn: reference.reason(self.cluster, request, each) for each in asked}
        assert reasons(self.board, request) == {arn: why for arn, why in expected.items() if why is not None}
        assert pool(self.board, request).bit_count() == len(asked)

    def end_task(self) -> None:
        if self.cluster.tasks:
            arn = self.data.draw(st.sampled_from(sorted(self.cluster.tasks)))
            self.board.remove_task(arn)
            del self.cluster.tasks[arn]

    def change_task(self) -> None:
        if self.cluster.tasks:
            task = self.cluster.tasks[self.data.draw(st.sampled_from(sorted(self.cluster.tasks)))]
            given_port = self.data.draw(st.sampled_from([frozenset(), frozenset([("tcp", 40000)])]))
            changed = replace(
                task,
                wanted=self.data.draw(st.booleans()),
                running=self.data.draw(st.booleans()),
                ports=task.needs.ports | given_port,
            )
            self.put_task(changed)

    def change_instance(self) -> None:
        self.put_instance(self.data.draw(st.integers(0, 6).flatmap(instances)))

    def remove_instance(self) -> None:
        arn = f"instance-{self.data.draw(st.integers(0, 6))}"
        self.board.remove_instance(arn)
        self.cluster.remove_instance(arn)

    def stop_some(self) -> None:
        group = self.data.draw(st.sampled_from(["g1", "g2", "g3"]))
        arns = [task.arn for task in self.cluster.tasks.values() if task.group == group]
        count = self.data.draw(st.integers(0, 4))
        strategies = self.data.draw(st.lists(_STRATEGY, max_size=3))
        expected = reference.to_stop(self.cluster, arns, count, strategies, self.same)
        assert to_stop(self.board, arns, count, strategies, self.random) == expected
        assert self.board.tasks == self.cluster.tasks

    def select(self) -> None:
        query = parse(self.data.draw(st.sampled_from(_EXPRESSIONS)))
        selected = self.board.select(query.root)
        for arn, slot in self.board.slots.items():
            instance = self.board.instances[slot]
            assert instance.arn == arn
            assert bool(selected >> slot & 1) == reference.member(self.cluster, query.root, instance), query.text
        assert selected & ~self.board.everyone == 0


_STEPS = [
    *["place_one"] * 4,
    *["place_many", "end_task", "change_task"] * 2,
    *["why_not", "change_instance", "remove_instance", "stop_some", "select"],
]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_decision_is_the_references(data: st.DataObject) -> None:
    both = Both(data)
    for _ in range(data.draw(st.integers(1, 25))):
        both.step()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_board_is_what_is_there_whatever_came_before(data: st.DataObject) -> None:
    both = Both(data)
    for _ in range(data.draw(st.integers(1, 25))):
        both.step()
    fresh = Board()
    for task in reversed(both.cluster.tasks.values()):
        fresh.put_task(task)
    for instance in reversed(both.cluster.instances):
        fresh.put_instance(instance)
    assert picture(fresh) == picture(both.board)
