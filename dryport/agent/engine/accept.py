"""A new task's record from its payload: pure but for the names that are passed in."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dryport.agent.connect import ways
from dryport.agent.engine import block_volumes
from dryport.agent.engine.dependencies import flaw
from dryport.agent.model import ContainerRecord, TaskRecord
from dryport.agent.payload import Task

_NAME_LIMIT = 200


def record_of(task: Task, now: float, token: Callable[[int], str], *, docker: bool) -> TaskRecord:
    """The record of a task that has just come. ``token(n)`` gives ``n`` random hexadecimal digits."""
    containers = {}
    for container in task.containers or ():
        if docker:
            name = f"ecs-{task.family}-{task.version}-{container.name}"[:_NAME_LIMIT]
            runtime_id = f"{name}-{token(20)}"
        else:
            runtime_id = f"{task.id}-{int(token(8), 16):010d}"
        endpoint = token(32) if docker else runtime_id
        containers[container.name] = ContainerRecord(name=container.name, id=runtime_id, endpoint_id=endpoint)
    return TaskRecord(
        payload=task,
        containers=containers,
        accepted_at=now,
        role_credentials=task.role_credentials,
        execution_credentials=task.execution_role_credentials,
    )


def refusal(task: Task, *, docker: bool) -> str:
    """Why this agent cannot run a task at all, or ""."""
    containers = task.containers or []
    if not containers:
        return "the task has no containers"
    names = [c.name for c in containers]
    if len(set(names)) != len(names):
        return "two containers of the task have the same name"
    if wrong := flaw(containers):
        return wrong
    try:
        host_configs = [(c.name, c.host_config(), c.config(), c.override_command()) for c in containers]
    except msgspec.MsgspecError as error:
        return f"a container's dockerConfig is malformed: {error}"
    for name, host_config, _, _ in host_configs:
        if task.fargate and host_config.get("Privileged"):
            return f"container {name}: privileged containers are not supported on Fargate"
    if task.fargate and task.associations:
        return "GPUs are not supported on Fargate"
    try:
        attached = block_volumes.volumes(task)
        ways.of(task)
    except ValueError as error:
        return str(error)
    for volume in task.volumes or ():
        if volume.type == "efs" and volume.efs_volume_configuration is None:
            return f"volume {volume.name}: it names no file system"
        if volume.type == "attachment" and volume.name not in attached:
            return f"volume {volume.name}: nothing is attached for it"
        if volume.type not in (None, "", "host", "efs", "attachment"):
            return f"volume {volume.name}: volumes of type {volume.type} are not supported"
    return ""
