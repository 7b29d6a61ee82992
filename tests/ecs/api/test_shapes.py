"""Encoded shapes are kept for as long as the same object is stored."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from dryport.ecs.api import shapes
from dryport.ecs.model import Task

TASK = Task(
    arn="task",
    cluster_arn="cluster",
    account="000000000000",
    region="us-east-1",
    task_definition_arn="definition",
    family="family",
    created_at=1.00049,
)


def test_a_changed_task_is_encoded_anew_and_an_unchanged_one_is_not() -> None:
    encoded = []

    def shape(task: Task) -> dict[str, object]:
        encoded.append(task)
        return shapes.task(task)

    cache = shapes.EncodedCache(shape, size=1_000_000)
    assert cache.get("task", TASK) is cache.get("task", TASK)
    changed = replace(TASK, last_status="RUNNING")
    assert msgspec.json.decode(cache.get("task", changed))["lastStatus"] == "RUNNING"
    assert msgspec.json.decode(cache.get("task", TASK))["lastStatus"] == "PROVISIONING"
    assert len(encoded) == 3


def test_the_cache_does_not_grow_without_end() -> None:
    one = len(msgspec.json.encode(shapes.task(TASK)))
    cache = shapes.EncodedCache(shapes.task, size=8 * one)
    for number in range(100):
        cache.get(str(number), TASK)
        assert 0 < sum(len(bytes(raw)) for *_, raw in cache._kept.values()) <= 8 * one
    assert msgspec.json.decode(cache.get("99", TASK))["taskArn"] == "task"


def test_times_are_given_to_the_millisecond() -> None:
    assert shapes.task(TASK)["createdAt"] == 1.0


def test_what_is_not_known_is_left_out() -> None:
    shape = shapes.task(TASK)
    assert None not in shape.values()
    for member in ("startedAt", "stopCode", "startedBy", "containerInstanceArn", "ephemeralStorage", "cpu"):
        assert member not in shape
