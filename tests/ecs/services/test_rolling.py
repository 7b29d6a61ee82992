"""How many tasks start and stop: the bounds hold in every history, and every deployment comes to its end."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dryport.ecs.services import breaker, daemon, rolling, zones
from dryport.ecs.services.rolling import Counts, Stops, decide


@pytest.mark.parametrize(
    ("desired", "percent", "least", "most"),
    [(4, 50, 2, 2), (3, 50, 2, 1), (1, 100, 1, 1), (3, 200, 6, 6), (0, 100, 0, 0)],
)
def test_percents_are_rounded_up_and_down(desired: int, percent: int, least: int, most: int) -> None:
    assert (rolling.least(desired, percent), rolling.most(desired, percent)) == (least, most)


def test_a_new_service_starts_all_of_its_tasks() -> None:
    assert decide(3, (100, 200), Counts(), {}) == rolling.Plan(3, Stops(), {})


def test_old_tasks_wait_for_new_ones() -> None:
    plan = decide(4, (100, 200), Counts(), {"old": Counts(healthy=4)})
    assert (plan.start, plan.others["old"]) == (4, Stops())
    plan = decide(4, (100, 200), Counts(pending=2, healthy=2), {"old": Counts(healthy=4)})
    assert (plan.start, plan.others["old"]) == (0, Stops(healthy=2))


def test_without_room_old_tasks_make_it() -> None:
    plan = decide(4, (50, 100), Counts(), {"old": Counts(healthy=4)})
    assert (plan.start, plan.others["old"]) == (0, Stops(healthy=2))


def test_old_tasks_go_early_where_enough_new_ones_are_there() -> None:
    new, old = Counts(pending=2, healthy=2), {"old": Counts(pending=1, healthy=3, protected=1)}
    assert decide(4, (50, 200), new, old, early=True).others["old"] == Stops(pending=1, healthy=2)
    assert decide(4, (75, 200), new, {"old": Counts(healthy=3)}, early=True).others["old"] == Stops(healthy=2)
    assert decide(4, (50, 200), new, old).others["old"] == Stops(pending=1, healthy=1)


def test_what_is_not_well_is_replaced_first_and_then_stopped() -> None:
    assert decide(2, (100, 200), Counts(healthy=1, unhealthy=1), {}) == rolling.Plan(1, Stops(), {})
    assert decide(2, (100, 200), Counts(healthy=2, unhealthy=1), {}) == rolling.Plan(0, Stops(unhealthy=1), {})
    assert decide(2, (50, 100), Counts(healthy=1, unhealthy=1), {}) == rolling.Plan(0, Stops(unhealthy=1), {})


def test_protected_tasks_stay() -> None:
    assert decide(1, (100, 200), Counts(healthy=3, protected=3), {}).primary == Stops()
    assert decide(1, (100, 200), Counts(healthy=3, protected=2), {}).primary == Stops(healthy=1)


def test_bounds_without_a_way_on_are_noticed() -> None:
    assert decide(1, (100, 100), Counts(), {"old": Counts(healthy=1)}).stuck
    assert not decide(1, (100, 150), Counts(healthy=1), {}).stuck


@dataclass
class World:
    """Tasks of deployments 0 (the oldest) and on; each ``[pending, healthy, unhealthy]``."""

    desired: int
    bounds: tuple[int, int]
    tasks: list[list[int]] = field(default_factory=lambda: [[0, 0, 0]])
    early: bool = False

    def plan(self) -> rolling.Plan:
        counts = [Counts(*each) for each in self.tasks]
        others = {str(n): each for n, each in enumerate(counts[:-1])}
        return decide(self.desired, self.bounds, counts[-1], others, early=self.early)

    def carry_out(self) -> bool:
        """Take the next step, held against the bounds; whether there was one."""
        healthy, total = self.healthy, self.total
        plan = self.plan()
        stops = [*(plan.others[str(n)] for n in range(len(self.tasks) - 1)), plan.primary]
        for mine, stop in zip(self.tasks, stops, strict=True):
            for kind, count in enumerate((stop.pending, stop.healthy, stop.unhealthy)):
                assert 0 <= count <= mine[kind]
                mine[kind] -= count
        floor, ceiling = rolling.least(self.desired, self.bounds[0]), rolling.most(self.desired, self.bounds[1])
        assert self.healthy >= min(healthy, floor), "fewer healthy tasks than the minimum"
        self.tasks[-1][0] += plan.start
        if plan.start:
            assert total + plan.start <= ceiling, "more tasks than the maximum"
        return bool(plan.start) or any(stop != Stops() for stop in stops)

    @property
    def healthy(self) -> int:
        return sum(each[1] for each in self.tasks)

    @property
    def total(self) -> int:
        return sum(sum(each) for each in self.tasks)


_EVENTS = st.sampled_from(("run", "run", "run", "crash", "sicken", "deploy", "scale", "early", "step", "step"))
_BOUNDS = st.tuples(st.integers(0, 100), st.integers(100, 200)).filter(lambda both: both != (100, 100))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 12), _BOUNDS, st.lists(st.tuples(_EVENTS, st.integers(0, 12)), max_size=40))
def test_the_bounds_hold_in_every_history(desired: int, bounds: tuple[int, int], events: list[tuple[str, int]]) -> None:
    world = World(desired, bounds)
    for event, number in events:
        some = world.tasks[number % len(world.tasks)]
        if event == "run" and some[0]:
            some[0], some[1] = some[0] - 1, some[1] + 1
        elif event == "sicken" and some[1]:
            some[1], some[2] = some[1] - 1, some[2] + 1
        elif event == "crash" and any(some):
            kind = next(kind for kind in (1, 0, 2) if some[kind])
            some[kind] -= 1
        elif event == "deploy":
            world.tasks.append([0, 0, 0])
            world.early = False
        elif event == "early":
            world.early = True  # enough of the new ones were there once
        elif event == "scale":
            world.desired = number
        world.carry_out()
    # Left alone, with tasks that start, every service comes to rest with just its own tasks, unless its bounds forbid.
    for _ in range(400):
        moves = world.carry_out() or any(each[0] for each in world.tasks)
        for each in world.tasks:
            each[1] += each[0]
            each[0] = 0
        if not moves:
            break
    if not world.plan().stuck:
        assert world.tasks[-1] == [0, world.desired, 0] and world.total == world.desired


@pytest.mark.parametrize(("desired", "threshold"), [(0, 3), (1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (5000, 200)])
def test_the_circuit_breaker_allows_half_of_the_tasks_three_to_two_hundred(desired: int, threshold: int) -> None:
    configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    assert breaker.threshold(desired, configuration) == breaker.threshold(desired, {}) == threshold
    assert breaker.triggered(configuration, threshold, desired)
    assert not breaker.triggered(configuration, threshold - 1, desired)
    assert not breaker.triggered({}, threshold, desired)


@pytest.mark.parametrize(
    ("kind", "value", "desired", "threshold"),
    [
        ("COUNT", 1, 50, 1),
        ("COUNT", 500, 0, 500),
        ("BOUNDED_PERCENT", 10, 10, 3),
        ("BOUNDED_PERCENT", 30, 11, 4),
        ("BOUNDED_PERCENT", 100, 900, 200),
        ("UNBOUNDED_PERCENT", 10, 10, 1),
        ("UNBOUNDED_PERCENT", 100, 900, 900),
        ("UNBOUNDED_PERCENT", 50, 0, 1),
    ],
)
def test_the_circuit_breakers_threshold_can_be_chosen(kind: str, value: int, desired: int, threshold: int) -> None:
    chosen = {"enable": True, "rollback": False, "thresholdConfiguration": {"type": kind, "value": value}}
    assert breaker.threshold(desired, {"deploymentCircuitBreaker": chosen}) == threshold


def test_a_service_waits_longer_and_longer() -> None:
    delays = [breaker.delay(failures) for failures in range(1, 40)]
    assert delays[0] == 0.0 and delays == sorted(delays) and delays[-1] == 27 * 60.0


def _all_healthy(_: str) -> bool:
    return True


def test_a_daemon_has_one_task_on_each_instance() -> None:
    assert daemon.decide([0, 1], 0, {}, {}, _all_healthy) == daemon.DaemonPlan([0, 1], [])
    assert daemon.decide([1], 0, {0: ["a"], 1: ["b", "c"]}, {}, _all_healthy) == daemon.DaemonPlan([], ["a", "c"])
    assert daemon.decide([0, 1], 0, {}, {0: ["a"], 1: ["b"]}, _all_healthy) == daemon.DaemonPlan([], ["a", "b"])
    assert daemon.decide([0, 1], 50, {}, {0: ["a"], 1: ["b"]}, _all_healthy) == daemon.DaemonPlan([], ["a"])
    assert daemon.decide([0, 1], 50, {}, {1: ["b"]}, _all_healthy) == daemon.DaemonPlan([0], [])


def test_zones_are_evened_out_one_task_at_a_time() -> None:
    tasks = {"a": 4, "b": 0}
    history = []
    while not (found := zones.step(4, 200, Counts(healthy=sum(tasks.values())), tasks)).over:  # type: ignore[union-attr]
        assert found is not None
        if found.start:
            tasks[found.start] += 1
        if found.stop:
            tasks[found.stop] -= 1
        history.append(dict(tasks))
    assert history == [{"a": 4, "b": 1}, {"a": 3, "b": 1}, {"a": 3, "b": 2}, {"a": 2, "b": 2}]


def test_zones_wait_for_what_is_more_urgent() -> None:
    assert zones.step(2, 200, Counts(healthy=1), {"a": 1, "b": 0}) is None
    assert zones.step(2, 200, Counts(healthy=2, unhealthy=1), {"a": 2, "b": 0}) is None
    assert zones.step(2, 200, Counts(healthy=2, pending=1), {"a": 2, "b": 0}) == zones.Balance()
    assert zones.step(2, 100, Counts(healthy=2), {"a": 2, "b": 0}) is None
    assert not zones.uneven({"a": 2, "b": 1}) and not zones.uneven({})
