"""Histories through the store: the boards that are kept up to date are the ones that the tables make, after every step.

Tasks are run, started by name, stopped and reported on, instances come, drain, lose their agents, change, are
deregistered, and transactions are given up half-way. No resource is ever given twice.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dryport.ecs.boards import BOARDS
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, Container, Task
from dryport.ecs.placement.board import Board
from dryport.store import Change, Reader, Table, Transaction
from tests.ecs.api.conftest import Ecs
from tests.ecs.api.test_placement import define, register_instance
from tests.ecs.placement.pictures import picture
from tests.served import Served

_ZONE = "ecs.availability-zone"
_ports = itertools.count(33_000)


def made_of_nothing(reader: Reader) -> dict[str, Board]:
    """The boards, worked out of the tables as they are."""
    boards = BOARDS.make()
    tables: tuple[Table[Any], ...] = (TASKS, CONTAINER_INSTANCES)
    for table in tables:
        for item in reader.all(table):
            BOARDS.apply(boards, Change(table, item.arn, None, item))
    return boards


def check(reader: Reader) -> None:
    """Raise AssertionError where a board is not what the tables say, or a resource is given twice."""
    kept, fresh = reader.view(BOARDS), made_of_nothing(reader)
    assert {arn: picture(each) for arn, each in kept.items()} == {arn: picture(each) for arn, each in fresh.items()}
    for board in kept.values():
        for name, numbers in board.left.items():
            assert min(numbers.of.values(), default=0) >= 0, name
        for arn, slot in board.slots.items():
            tasks = list(board.tasks_on(arn))
            held = [port for task in tasks for port in task.ports] + list(board.instances[slot].ports)
            assert len(held) == len(set(held)), "a port is given twice"
            gpus = [gpu for task in tasks for gpu in task.gpus]
            assert len(gpus) == len(set(gpus)), "a GPU is given twice"


class _GivenUp(Exception):
    pass


class History:
    def __init__(self, served: Served, seed: int) -> None:
        self.ecs = Ecs(served)
        self.random = Random(seed)
        self.instances: list[str] = []
        ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "hostPort": 53, "protocol": "udp"}]
        kinds: list[dict[str, Any]] = [
            {"memory": 100, "cpu": 10},
            {"memory": 300, "portMappings": ports},
            {"memory": 60, "cpu": 300, "portMappings": [{"containerPort": 80}]},
            {"memory": 10, "resourceRequirements": [{"type": "GPU", "value": "2"}]},
        ]
        self.definitions = [define(self.ecs, **kind) for kind in kinds]

    def tasks(self) -> list[Task]:
        return [
            task
            for task in self.ecs.served.context.store.reader.find(TASKS, "cluster", self.ecs.cluster_arn)
            if task.last_status != "STOPPED"
        ]

    def take(self, step: str) -> None:
        getattr(self, step)()
        self.ecs.write(check)

    def register(self) -> None:
        zone = {_ZONE: f"us-east-1{self.random.choice('abc')}"}
        capacity = self.random.choice(["EC2", "EC2", "EC2", "EXTERNAL"])
        self.instances.append(register_instance(self.ecs, f"i{len(self.instances)}", zone, capacity=capacity))

    def run(self) -> None:
        strategies = [
            [],
            [{"type": "binpack", "field": "memory"}],
            [{"type": "spread", "field": f"attribute:{_ZONE}"}, {"type": "spread", "field": "instanceId"}],
            [{"type": "random"}],
        ]
        constraints = [
            [],
            [],
            [{"type": "distinctInstance"}],
            [{"type": "memberOf", "expression": "task:group !exists"}],
        ]
        self._try(
            "run_task",
            taskDefinition=self.random.choice(self.definitions),
            count=self.random.randint(1, 6),
            group=self.random.choice(["web", "db"]),
            placementStrategy=self.random.choice(strategies),
            placementConstraints=self.random.choice(constraints),
        )

    def start(self) -> None:
        if self.instances:
            named = self.random.choices(self.instances, k=self.random.randint(1, 3))
            self._try("start_task", taskDefinition=self.random.choice(self.definitions), containerInstances=named)

    def stop(self) -> None:
        if found := self.tasks():
            self._try("stop_task", task=self.random.choice(found).arn)

    def report(self) -> None:
        """An agent says that a task runs, with the port that it was given, or that it has stopped."""
        if not (found := self.tasks()):
            return
        task = self.random.choice(found)
        if task.last_status == "RUNNING" or self.random.random() < 0.4:
            self.ecs.change(task.arn, lambda each: replace(each, last_status="STOPPED", desired_status="STOPPED"))
            return

        def bound(container: Container) -> Container:
            given = [{"containerPort": 80, "hostPort": next(_ports), "protocol": "tcp"}]
            return replace(
                container, last_status="RUNNING", network_bindings=given if task.resources.get("dynamic") else []
            )

        running = replace(task, last_status="RUNNING", containers=[bound(each) for each in task.containers])
        self.ecs.change(task.arn, lambda _: running)

    def state(self) -> None:
        if self.instances:
            self._try(
                "update_container_instances_state",
                containerInstances=[self.random.choice(self.instances)],
                status=self.random.choice(["ACTIVE", "DRAINING", "DRAINING"]),
            )

    def agent(self) -> None:
        """The link to an agent breaks or comes back, and its attributes change."""
        if not self.instances:
            return
        arn, zone = self.random.choice(self.instances), self.random.choice("abc")

        def work(tx: Transaction) -> None:
            instance = tx.get(CONTAINER_INSTANCES, arn)
            assert instance is not None
            attributes = [{"name": _ZONE, "value": f"us-east-1{zone}"}]
            connected = not instance.agent_connected
            tx.put(CONTAINER_INSTANCES, replace(instance, agent_connected=connected, attributes=attributes))

        self.ecs.write(work)

    def deregister(self) -> None:
        if self.instances:
            self._try(
                "deregister_container_instance",
                containerInstance=self.random.choice(self.instances),
                force=self.random.random() < 0.7,
            )

    def give_up(self) -> None:
        """A transaction that fails after its writes, which were on the boards already."""
        rows = self.tasks()

        def work(tx: Transaction) -> None:
            for task in rows[:3]:
                tx.put(TASKS, replace(task, last_status="STOPPED"))
            for task in rows[2:4]:
                tx.delete(TASKS, task.arn)
            for arn in self.instances[:2]:
                tx.delete(CONTAINER_INSTANCES, arn)
            for number, task in enumerate(rows[:2]):
                tx.put(TASKS, replace(task, arn=f"{task.arn}{number}", group="new"))
            tx.view(BOARDS)
            raise _GivenUp

        with pytest.raises(_GivenUp):
            self.ecs.write(work)

    def _try(self, operation: str, **request: Any) -> None:
        """A call, that may be refused."""
        client = self.ecs.client
        try:
            getattr(client, operation)(cluster=self.ecs.name, **request)
        except client.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "InvalidParameterException", error


STEPS = [
    *["run"] * 4,
    *["register", "start", "report", "report", "report", "stop"],
    *["state", "agent", "deregister", "give_up"],
]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(STEPS), min_size=5, max_size=25), st.integers(0, 2**32))
def test_the_boards_are_what_the_tables_say(served: Served, steps: list[str], seed: int) -> None:
    history = History(served, seed)
    for step in ["register", "register", "run", *steps]:
        history.take(step)
