"""What agents measure becomes CloudWatch's metrics of services and clusters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dryport.cloudwatch.model import INLET
from dryport.cloudwatch.room import room as cloudwatch
from dryport.ecs.controllers.utilization import Utilization
from dryport.ecs.model import TASKS
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    made = await Plane(tmp_path, rooms=[cloudwatch]).start()
    yield made
    await made.stop()


def _sets(cpu: float, memory: float, count: int = 4) -> dict[str, Any]:
    def of(value: float) -> dict[str, float]:
        return {"max": value, "min": value, "sampleCount": count, "sum": value * count}

    return {"containerName": "main", "cpuStatsSet": of(cpu), "memoryStatsSet": of(memory)}


async def _statistics(plane: Plane, name: str, **dimensions: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    answer = await plane.call(
        "cloudwatch",
        "get_metric_statistics",
        Namespace="AWS/ECS",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["SampleCount", "Average", "Minimum", "Maximum"],
        Unit="Percent",
    )
    found: list[dict[str, Any]] = answer["Datapoints"]
    return found


async def test_services_and_clusters_have_utilization(plane: Plane, agent: MakeAgent) -> None:
    resources = [
        {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": 1000},
    ]
    host = await agent("demo", **await plane.ec2_instance(), totalResources=resources)
    container = {"name": "main", "image": "busybox", "memory": 100, "cpu": 256}
    await plane.api("register_task_definition", family="web", containerDefinitions=[container])
    await plane.api("create_service", cluster="demo", serviceName="web", taskDefinition="web", desiredCount=2)

    def running() -> list[Any]:
        tasks = [task for task in plane.store.reader.all(TASKS) if task.last_status == "RUNNING"]
        return tasks if len(tasks) == 2 else []

    first, second = await plane.until(running, "two tasks")
    left = 60 - plane.clock.time() % 60
    if left < 10:  # the loop's own minute must not end in the middle
        await asyncio.sleep(left + 0.1)
    socket = await host.telemetry()
    head = "Authorization: x\r\nHost: y\r\n\r\n"
    frames = [
        {first.arn: _sets(2.0, 40.0), second.arn: _sets(12.5, 90.0)},
        {first.arn: _sets(4.0, 60.0)},
        {first.arn: _sets(0.0, 0.0, count=0)},  # nothing was measured
        {first.arn.replace("task/", "task/x"): _sets(50.0, 50.0)},  # whose is that?
        {second.arn: {**_sets(1.0, 1.0), "memoryStatsSet": {"sampleCount": 1e-300, "sum": 1e300}}},  # of no sense
    ]
    for frame in frames:
        metrics = [{"taskArn": arn, "containerMetrics": [each]} for arn, each in frame.items()]
        await socket.send_str(head + json.dumps({"type": "PublishMetricsRequest", "message": {"taskMetrics": metrics}}))
        assert json.loads((await socket.receive()).data)["type"] == "AckPublishMetric"
    await socket.close()
    loop = _loop(plane)
    await loop.hand_in(plane.clock.time())
    await plane.until(lambda: not plane.store.reader.count(INLET), "what was handed in to be written")

    web = {"ClusterName": "demo", "ServiceName": "web"}
    [cpu] = await _statistics(plane, "CPUUtilization", **web)
    # The first task used 3 % of 2048 units on the average, which is 24 % of 256; the second all that it may.
    assert (cpu["SampleCount"], cpu["Minimum"], cpu["Maximum"], cpu["Average"]) == (2.0, 24.0, 100.0, 62.0)
    [memory] = await _statistics(plane, "MemoryUtilization", **web)
    assert (memory["Minimum"], memory["Maximum"]) == (50.0, 90.0)
    shares = {}
    for name in ("CPUUtilization", "MemoryUtilization", "CPUReservation", "MemoryReservation"):
        [point] = await _statistics(plane, name, ClusterName="demo")
        shares[name] = point["Average"]
    assert shares == {
        "CPUUtilization": pytest.approx(15.5),
        "MemoryUtilization": 14.0,
        "CPUReservation": 25.0,
        "MemoryReservation": 20.0,
    }
    assert await _statistics(plane, "GPUReservation", ClusterName="demo") == []
    before = await _statistics(plane, "CPUUtilization", **web)
    await loop.hand_in(plane.clock.time())  # nothing has come since
    assert await _statistics(plane, "CPUUtilization", **web) == before


def _loop(plane: Plane) -> Utilization:
    """The loop of the room that serves."""
    return next(loop for loop in plane.loops if isinstance(loop, Utilization))
