"""What services and clusters use of what they reserve, as CloudWatch's ``AWS/ECS`` has it. Pure but for whom it asks.

A service's data point of a minute is a statistic set with a value a task, so that its sample count is how many tasks
were measured. A cluster has data of its container instances alone, as on AWS: nobody reserves Fargate's machines.

Sources: "Amazon ECS CloudWatch metrics", "Amazon ECS service utilization metrics use cases", developer guide.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from dryport.cloudwatch.published import Handed, sample
from dryport.ecs.boards import BOARDS, board
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, ContainerInstance, Task
from dryport.ecs.placement.board import Board
from dryport.store import Reader

NAMESPACE = "AWS/ECS"
_SERVICE = "service:"
Scope = tuple[str, str]  # an account and a region


class Usage(msgspec.Struct, frozen=True):
    """Of a task: the share of its instance's CPU in percent, and MiB of memory, on the average of a minute."""

    cpu: float
    memory: float


def measured(containers: Iterable[Mapping[str, Any]]) -> Usage | None:
    """What an agent has measured of a task's containers (``containerMetrics``); ``None`` where that is nothing."""
    cpu = [mean for each in containers if (mean := _mean(each.get("cpuStatsSet"))) is not None]
    memory = [mean for each in containers if (mean := _mean(each.get("memoryStatsSet"))) is not None]
    return Usage(sum(cpu), sum(memory)) if cpu and memory else None


def _mean(found: Any) -> float | None:
    if not isinstance(found, dict):
        return None
    count, total = found.get("sampleCount"), found.get("sum")
    if not isinstance(count, int | float) or not isinstance(total, int | float) or count <= 0 or total < 0:
        return None
    try:
        mean = float(total) / float(count)
    except OverflowError:  # an integer of any size
        return None
    return mean if math.isfinite(mean) else None


def data(
    reader: Reader, usage: Mapping[str, Usage], instances: Collection[str], at: float
) -> dict[Scope, list[Handed]]:
    """The data of a minute that began ``at``: of tasks by ARN, and of the container instances that have reported."""
    found: dict[Scope, list[Handed]] = {}
    known = {arn: there for arn in instances if (there := reader.get(CONTAINER_INSTANCES, arn)) is not None}
    tasks = [(task, each) for arn, each in usage.items() if (task := reader.get(TASKS, arn)) is not None]
    services: dict[tuple[str, str], list[tuple[Task, Usage, int]]] = {}
    for task, each in tasks:
        instance = known.get(task.instance_arn or "")
        if instance is not None and (task.group or "").startswith(_SERVICE):
            services.setdefault((task.cluster_arn, task.group or ""), []).append((task, each, units(instance)))
    for (cluster_arn, group), of in services.items():
        task = of[0][0]
        dimensions = [("ClusterName", _name(cluster_arn)), ("ServiceName", group.removeprefix(_SERVICE))]
        found.setdefault((task.account, task.region), []).extend(_of_service(of, dimensions, at))
    for cluster_arn in dict.fromkeys(each.cluster_arn for each in known.values() if each.capacity != "FARGATE"):
        mine = next(each for each in known.values() if each.cluster_arn == cluster_arn)
        spent = [
            (each, units(known[task.instance_arn]))
            for task, each in tasks
            if task.cluster_arn == cluster_arn and task.launch_type != "FARGATE" and task.instance_arn in known
        ]
        found.setdefault((mine.account, mine.region), []).extend(
            _of_cluster(board(reader.view(BOARDS), cluster_arn), spent, _name(cluster_arn), at)
        )
    return found


def units(instance: ContainerInstance) -> int:
    """The CPU units that an instance has."""
    resources = instance.registered_resources
    return next((int(each.get("integerValue", 0)) for each in resources if each["name"] == "CPU"), 0)


def _of_service(tasks: list[tuple[Task, Usage, int]], dimensions: list[tuple[str, str]], at: float) -> Iterator[Handed]:
    cpu = [each.cpu * of / reserved for task, each, of in tasks if (reserved := task.resources.get("cpu"))]
    memory = [100 * each.memory / reserved for task, each, _ in tasks if (reserved := task.resources.get("memory"))]
    for name, values in (("CPUUtilization", cpu), ("MemoryUtilization", memory)):
        if values:
            yield Handed(
                name=name,
                dimensions=dimensions,
                at=at,
                unit="Percent",
                count=float(len(values)),
                total=sum(values),
                low=min(values),
                high=max(values),
            )


def _of_cluster(there: Board, spent: list[tuple[Usage, int]], name: str, at: float) -> Iterator[Handed]:
    instances = [each for each in there.instances.values() if each.agent_connected]
    arns = {each.arn for each in instances}
    needs = [each.needs for each in there.tasks.values() if each.instance_arn in arns]
    cpu, memory = sum(each.cpu for each in instances), sum(each.memory for each in instances)
    gpus = sum(len(each.gpus) for each in instances)
    values = {
        "CPUUtilization": (sum(each.cpu * of / 100 for each, of in spent), cpu),
        "MemoryUtilization": (sum(each.memory for each, _ in spent), memory),
        "CPUReservation": (sum(each.cpu for each in needs), cpu),
        "MemoryReservation": (sum(each.memory for each in needs), memory),
        "GPUReservation": (sum(each.gpus for each in needs), gpus),
    }
    for metric, (part, whole) in values.items():
        if whole:
            yield sample(metric, [("ClusterName", name)], at, 100 * part / whole, "Percent")


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]
