"""Many clients at once: whatever the order in which their calls come, nothing is given twice."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from msgspec.structs import replace

from dryport.ecs.model import TASKS
from dryport.store import Transaction
from tests.ecs.api.conftest import Ecs
from tests.ecs.api.test_board_histories import check
from tests.ecs.api.test_placement import define, register_instance

CLIENTS, CALLS, INSTANCES = 8, 20, 6


class Agents:
    """Stand for the instances' agents: what is to stop stops. Meanwhile they look whether anything is given twice."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.stopped = 0
        self.looked = 0
        self.error: BaseException | None = None

    def __enter__(self) -> Agents:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                self._ecs.write(self._turn)
                self._over.wait(0.005)
        except BaseException as error:  # for the test's own thread
            self.error = error

    def _turn(self, tx: Transaction) -> None:
        check(tx)
        self.looked += 1
        for task in tx.find(TASKS, "cluster", self._ecs.cluster_arn):
            if task.desired_status == "STOPPED" and task.last_status != "STOPPED":
                tx.put(TASKS, replace(task, last_status="STOPPED"))
                self.stopped += 1


def test_no_port_and_no_memory_is_given_twice(ecs: Ecs) -> None:
    instances = [register_instance(ecs, f"i{number}") for number in range(INSTANCES)]
    definitions = [
        define(ecs, memory=300, portMappings=[{"containerPort": 80, "hostPort": 8080}]),
        define(ecs, memory=400, cpu=100),
        define(ecs, memory=10, portMappings=[{"containerPort": 80, "hostPort": 8081}]),
        define(ecs, memory=20, resourceRequirements=[{"type": "GPU", "value": "1"}]),
    ]
    gate = threading.Barrier(CLIENTS)
    outcomes: Counter[str] = Counter()

    def client(number: int) -> None:
        random, api = Random(number), ecs.served.client("ecs")
        mine: list[str] = []
        gate.wait()
        for _ in range(CALLS):
            request: dict[str, Any] = {"cluster": ecs.name, "taskDefinition": random.choice(definitions)}
            if mine and random.random() < 0.45:
                api.stop_task(cluster=ecs.name, task=mine.pop(random.randrange(len(mine))))
                outcomes["stopped"] += 1
                continue
            if random.random() < 0.3:
                answer = api.start_task(**request, containerInstances=random.sample(instances, 3))
            else:
                answer = api.run_task(**request, count=random.randint(1, 4))
            mine += [task["taskArn"] for task in answer["tasks"]]
            outcomes["placed"] += len(answer["tasks"])
            outcomes["refused"] += len(answer["failures"])

    with Agents(ecs) as agents, ThreadPoolExecutor(CLIENTS) as pool:
        for each in [pool.submit(client, number) for number in range(CLIENTS)]:
            each.result()
    assert agents.error is None, agents.error
    # There was something to quarrel about.
    assert agents.looked > 5
    assert outcomes["placed"] > INSTANCES
    assert outcomes["refused"] > 0
    assert outcomes["stopped"] > 0
    assert agents.stopped > 0
    described = ecs.client.describe_container_instances(cluster=ecs.name, containerInstances=instances)
    for instance in described["containerInstances"]:
        left = {each["name"]: each.get("integerValue") for each in instance["remainingResources"]}
        assert min(left["CPU"], left["MEMORY"]) >= 0


def test_the_last_room_is_given_once(ecs: Ecs) -> None:
    register_instance(ecs, "one")
    definition = define(ecs, memory=600)
    gate = threading.Barrier(CLIENTS)

    def client(_: int) -> int:
        api = ecs.served.client("ecs")
        gate.wait()
        return len(api.run_task(cluster=ecs.name, taskDefinition=definition)["tasks"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert sum(pool.map(client, range(CLIENTS))) == 1
