"""The telemetry connections: health goes to the store, metrics stay in memory until they are taken each minute."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dryport.control.context import Context
from dryport.ecs import health, lifecycle
from dryport.ecs.acs import messages
from dryport.ecs.connect import metrics
from dryport.ecs.model import CONTAINER_INSTANCES, INSTANCE_HEALTH, TASK_DEFINITIONS, TASKS, InstanceHealth
from dryport.ecs.utilization import Usage, measured
from dryport.gateway.http import WebSocket
from dryport.store import StoreUnavailable, Transaction

Json = dict[str, Any]
_ACKNOWLEDGEMENTS = {
    "PublishMetricsRequest": "AckPublishMetric",
    "PublishHealthRequest": "AckPublishHealth",
    "PublishInstanceStatusRequest": "AckPublishInstanceStatus",
}
_HEALTH = ("UNKNOWN", "HEALTHY", "UNHEALTHY")
log = logging.getLogger("dryport.ecs.tcs")


class Telemetry:
    """Takes what agents measure."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._usage: dict[str, tuple[float, float, int]] = {}  # sums of a task's CPU and memory, and of how many frames
        self._connected: dict[str, metrics.Counted] = {}  # by tasks with a Service Connect proxy
        self._instances: set[str] = set()  # that have told of themselves

    async def serve(self, socket: WebSocket, instance_arn: str) -> None:
        """Take the frames of one agent until its connection ends."""
        with contextlib.suppress(ConnectionError):
            while (text := await socket.receive()) is not None:
                frame = messages.decode_signed(text)
                acknowledgement = _ACKNOWLEDGEMENTS.get(frame.type) if frame else None
                if frame is None or acknowledgement is None:
                    log.warning("%s sent telemetry that is not understood", instance_arn)
                    continue
                if not await self._take(frame, instance_arn):
                    continue  # not kept, so not acknowledged
                await socket.send(messages.encode(acknowledgement, {"message": "OK"}))

    def forget(self, task_arn: str) -> None:
        """The task is over."""
        self._usage.pop(task_arn, None)
        self._connected.pop(task_arn, None)

    def take(self) -> tuple[dict[str, Usage], set[str]]:
        """What tasks used since this was last asked, by ARN, and the instances that have told of themselves."""
        usage, instances = self._usage, self._instances
        self._usage, self._instances = {}, set()
        return {arn: Usage(cpu / count, memory / count) for arn, (cpu, memory, count) in usage.items()}, instances

    def take_connected(self) -> dict[str, metrics.Counted]:
        """What tasks' Service Connect proxies counted since this was last asked, by ARN."""
        found, self._connected = self._connected, {}
        return found

    async def _take(self, frame: messages.Frame, instance_arn: str) -> bool:
        """Take what a frame says; whether it is kept."""
        match frame.type:
            case "PublishMetricsRequest":
                self._take_metrics(frame.message, instance_arn)
                return True
            case "PublishHealthRequest":
                return await self._take_health(frame.message, instance_arn)
            case _:
                return await self._take_status(frame.message, instance_arn)

    async def _take_status(self, message: Mapping[str, Any], instance_arn: str) -> bool:
        found = InstanceHealth(instance_arn=instance_arn, results=health.results(_objects(message.get("statuses"))))

        def note(tx: Transaction) -> None:
            instance = tx.get(CONTAINER_INSTANCES, instance_arn)
            if instance is not None and instance.status != "INACTIVE":
                tx.put(INSTANCE_HEALTH, found)

        return await self._kept(note)

    async def _kept(self, work: Callable[[Transaction], None]) -> bool:
        try:
            await self._store.transact(work)
        except StoreUnavailable:
            return False
        return True

    def _take_metrics(self, message: Mapping[str, Any], instance_arn: str) -> None:
        self._instances.add(instance_arn)
        for each in _objects(message.get("taskMetrics")):
            task = self._store.reader.get(TASKS, str(each.get("taskArn")))
            if task and task.instance_arn == instance_arn and task.last_status != lifecycle.STOPPED:
                if task.connect:
                    mine = self._connected.setdefault(task.arn, {})
                    for key, values in metrics.counted(_objects(each.get("serviceConnectMetricsWrapper"))).items():
                        mine.setdefault(key, []).extend(values)
                found = measured(list(_objects(each.get("containerMetrics"))))
                if found is not None:
                    cpu, memory, count = self._usage.get(task.arn, (0.0, 0.0, 0))
                    self._usage[task.arn] = cpu + found.cpu, memory + found.memory, count + 1

    async def _take_health(self, message: Mapping[str, Any], instance_arn: str) -> bool:
        reports = {str(each.get("taskArn")): _statuses(each) for each in _objects(message.get("tasks"))}

        def note(tx: Transaction) -> None:
            for task_arn, statuses in reports.items():
                task = tx.get(TASKS, task_arn)
                if task is None or task.instance_arn != instance_arn or task.last_status == lifecycle.STOPPED:
                    continue
                definition = tx.get(TASK_DEFINITIONS, task.task_definition_arn)
                containers = definition.body["containerDefinitions"] if definition else ()
                essential = {each["name"] for each in containers if each.get("essential", True)}
                changed = lifecycle.apply_health_report(task, statuses, essential)
                if changed is not task:
                    tx.put(TASKS, changed)

        return await self._kept(note)


def _statuses(task: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(each.get("containerName")): str(each.get("healthStatus"))
        for each in _objects(task.get("containers"))
        if each.get("healthStatus") in _HEALTH
    }


def _objects(value: object) -> Iterable[Json]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()
