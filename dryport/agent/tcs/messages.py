"""What the agent publishes: pure functions. Shapes: the agent protocol page."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from dryport.agent.identity import Identity
from dryport.agent.model import ContainerStatus, TaskRecord, TaskStatus
from dryport.agent.runtime import ContainerStats

Json = dict[str, Any]
TASKS_A_FRAME = 10
_MEBIBYTE = 1 << 20


def health(identity: Identity, records: Iterable[TaskRecord], now: float) -> Iterator[Json]:
    """PublishHealthRequests for every running container that has a health check."""
    tasks = [t for record in records if (t := _task_health(record))]
    for chunk, last in _chunks(tasks):
        yield {
            "metadata": _metadata(identity) | {"fin": last, "messageId": str(uuid.uuid4())},
            "tasks": chunk,
            "timestamp": now,
        }


def _task_health(record: TaskRecord) -> Json | None:
    if record.known is TaskStatus.STOPPED:
        return None
    containers = [
        {"containerName": c.name, "healthStatus": c.health.status, "statusSince": c.health.since}
        for c in record.containers.values()
        if c.health is not None and c.known is ContainerStatus.RUNNING
    ]
    return _named(record) | {"containers": containers} if containers else None


def metrics(
    identity: Identity,
    records: Iterable[TaskRecord],
    samples: dict[str, Sequence[ContainerStats]],
    now: float,
    cpus: float,
    connected: Mapping[str, list[Json]] | None = None,
) -> Iterator[Json]:
    """PublishMetricsRequests over the samples of each container (by its id) since the last ones.

    ``cpus`` are those that the instance has registered, of which CPU is told in percent. ``connected`` has what Service
    Connect's proxies have counted, by task.
    """
    tasks = [t for record in records if (t := _task_metrics(record, samples, cpus, (connected or {}).get(record.arn)))]
    for chunk, last in _chunks(tasks):
        metadata = _metadata(identity) | {"fin": last, "idle": not tasks, "messageId": str(uuid.uuid4())}
        message: Json = {"metadata": metadata, "timestamp": now}
        yield message | ({"taskMetrics": chunk} if chunk else {})


def _task_metrics(
    record: TaskRecord, samples: dict[str, Sequence[ContainerStats]], cpus: float, connected: list[Json] | None
) -> Json | None:
    containers = [
        {"containerName": c.name} | _sets(samples[c.id], cpus)
        for c in record.containers.values()
        if len(samples.get(c.id, ())) > 1
    ]
    if not containers and not connected:
        return None
    proxy: Json = {"serviceConnectMetricsWrapper": connected} if connected else {}
    return _named(record) | {"containerMetrics": containers} | proxy


def _sets(samples: Sequence[ContainerStats], cpus: float) -> Json:
    pairs = [(a, b) for a, b in pairwise(samples) if b.at > a.at]
    cpu = [100 * (b.cpu_seconds - a.cpu_seconds) / (b.at - a.at) / cpus for a, b in pairs]
    memory = [s.memory // _MEBIBYTE for s in samples[1:]]

    def delta(name: str) -> Json:
        return _statistics([max(0, getattr(b, name) - getattr(a, name)) for a, b in pairs])

    return {
        "cpuStatsSet": _statistics(cpu),
        "memoryStatsSet": _statistics(memory),
        "networkStatsSet": {
            "rxBytes": delta("received_bytes"),
            "rxPackets": delta("received_packets"),
            "txBytes": delta("sent_bytes"),
            "txPackets": delta("sent_packets"),
        },
        "storageStatsSet": {"readSizeBytes": delta("read_bytes"), "writeSizeBytes": delta("written_bytes")},
    }


def _statistics(values: Sequence[float]) -> Json:
    if not values:
        return {"max": 0, "min": 0, "sampleCount": 0, "sum": 0}
    return {"max": max(values), "min": min(values), "sampleCount": len(values), "sum": sum(values)}


def instance_status(identity: Identity, *, ok: bool, since: float, now: float) -> Json:
    """A PublishInstanceStatusRequest: whether the container runtime answers."""
    status = {
        "type": "ContainerRuntime",
        "status": "OK" if ok else "IMPAIRED",
        "lastUpdated": now,
        "lastStatusChange": since,
    }
    return {"metadata": _metadata(identity) | {"requestId": str(uuid.uuid4())}, "statuses": [status], "timestamp": now}


def _metadata(identity: Identity) -> Json:
    return {"cluster": identity.cluster, "containerInstance": identity.instance_arn}


def _named(record: TaskRecord) -> Json:
    return {
        "taskArn": record.arn,
        "taskDefinitionFamily": record.payload.family,
        "taskDefinitionVersion": record.payload.version,
    }


def _chunks(tasks: list[Json]) -> Iterator[tuple[list[Json], bool]]:
    starts = range(0, max(1, len(tasks)), TASKS_A_FRAME)
    for start in starts:
        yield tasks[start : start + TASKS_A_FRAME], start == starts[-1]
