"""The container that holds an awsvpc task's network namespace, where the runtime joins none but a container's.

ECS's own agent calls it the pause container; it is shown by the metadata endpoint and not told to the control plane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dryport.agent.engine.errors import RESOURCE, TaskFailure
from dryport.agent.engine.host import Host
from dryport.agent.engine.spec import labels
from dryport.agent.model import ContainerRecord, ContainerStatus, TaskRecord
from dryport.agent.payload import Task
from dryport.agent.runtime import RuntimeFailure, SandboxSpec

NAME = "~internal~ecs~pause"
_NAME_LIMIT = 200


def record_of(task: Task, token: Callable[[int], str]) -> ContainerRecord:
    """The record of a new task's sandbox. ``token(n)`` gives ``n`` random hexadecimal digits."""
    name = f"ecs-{task.family}-{task.version}-internalecspause"[:_NAME_LIMIT]
    return ContainerRecord(
        name=NAME, id=f"{name}-{token(20)}", endpoint_id=token(32), labels=labels(task, NAME, {}), stop_signal="SIGKILL"
    )


async def create(host: Host, record: TaskRecord) -> None:
    """Make a task's sandbox, where it has one. Raises TaskFailure."""
    sandbox, sandboxes = record.sandbox, host.runtime.sandboxes
    if sandbox is None or sandboxes is None:
        return
    interfaces = record.payload.elastic_network_interfaces or []
    hostname = interfaces[0].private_dns_name if interfaces else ""
    spec = SandboxSpec(id=sandbox.id, hostname=hostname, labels=sandbox.labels)
    try:
        await host.patiently(lambda: sandboxes.create(spec))
    except RuntimeFailure as failure:
        raise TaskFailure(f"{RESOURCE}: {failure.kind}: {failure.message}") from failure
    sandbox.known = max(sandbox.known, ContainerStatus.CREATED)


async def start(host: Host, record: TaskRecord) -> int | None:
    """Start what was made; the process whose network namespace is the task's. Raises TaskFailure."""
    sandbox, sandboxes = record.sandbox, host.runtime.sandboxes
    if sandbox is None or sandboxes is None:
        return None
    try:
        state = await host.patiently(lambda: sandboxes.start(sandbox.id))
    except RuntimeFailure as failure:
        raise TaskFailure(f"{RESOURCE}: {failure.kind}: {failure.message}") from failure
    sandbox.known = ContainerStatus.RUNNING
    sandbox.started_at = state.started_at
    return state.pid


async def remove(host: Host, record: TaskRecord) -> None:
    """Remove it: the task's containers no longer run."""
    sandbox = record.sandbox
    if sandbox is None:
        return
    sandbox.desired = sandbox.known = ContainerStatus.STOPPED
    while True:
        try:
            await host.patiently(lambda: host.runtime.remove(sandbox.id))
            break
        except RuntimeFailure:
            await asyncio.sleep(5.0)
