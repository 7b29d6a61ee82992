"""Task protection: a service does not scale its protected tasks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dryport.ecs import lookup
from dryport.ecs.api import SERVICE, shapes
from dryport.ecs.lookup import invalid
from dryport.ecs.model import TASKS, Cluster, Json, Task
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_DEFAULT_MINUTES = 120
_MAX_MINUTES = 2880
_MAX_UPDATED = 10
_MAX_ASKED = 100
_NO_SERVICE = (
    "The specified task is not part of an Amazon ECS service. Task protection is only applicable to tasks that are "
    "managed by an Amazon ECS service."
)


@SERVICE.operation("GetTaskProtection")
def get_task_protection(call: Call, request: types.GetTaskProtectionRequestTypeDef) -> Output:
    """Whether tasks of services are protected."""
    cluster = lookup.cluster(call, request["cluster"])
    identifiers = (
        request.get("tasks")
        or [task.arn for task in call.tx.find(TASKS, "desired", f"{cluster.arn}/RUNNING") if _of_service(task)][
            :_MAX_ASKED
        ]
    )
    if len(identifiers) > _MAX_ASKED:
        raise invalid(f"Tasks cannot have more than {_MAX_ASKED} elements.")
    tasks, failures = _find(call, cluster, identifiers)
    return {"protectedTasks": [_shape(task, call.now) for task in tasks], "failures": failures}


@SERVICE.operation("UpdateTaskProtection")
def update_task_protection(call: Call, request: types.UpdateTaskProtectionRequestTypeDef) -> Output:
    """Protect tasks of services for some minutes (120 unless given), or no longer."""
    cluster = lookup.cluster(call, request["cluster"])
    if len(request["tasks"]) > _MAX_UPDATED:
        raise invalid(f"Tasks cannot have more than {_MAX_UPDATED} elements.")
    minutes = request.get("expiresInMinutes", _DEFAULT_MINUTES)
    if not 1 <= minutes <= _MAX_MINUTES:
        raise invalid(f"expiresInMinutes must be between 1 and {_MAX_MINUTES}.")
    until = call.now + minutes * 60.0 if request["protectionEnabled"] else None
    tasks, failures = _find(call, cluster, request["tasks"])
    protected = [replace(task, protected_until=until) for task in tasks]
    for task in protected:
        call.tx.put(TASKS, task)
    return {"protectedTasks": [_shape(task, call.now) for task in protected], "failures": failures}


def _find(call: Call, cluster: Cluster, identifiers: Sequence[str]) -> tuple[list[Task], list[Json]]:
    tasks: list[Task] = []
    failures: list[Json] = []
    for identifier in identifiers:
        task = lookup.task(call, cluster, identifier)
        if task is None:
            failures.append({"arn": lookup.task_arn(cluster, identifier), "reason": "MISSING"})
        elif not _of_service(task):
            failures.append({"arn": task.arn, "reason": "TASK_NOT_VALID", "detail": _NO_SERVICE})
        else:
            tasks.append(task)
    return tasks, failures


def _of_service(task: Task) -> bool:
    return task.group is not None and task.group.startswith("service:")


def _shape(task: Task, now: float) -> Json:
    if task.protected_until is None or task.protected_until <= now:
        return {"taskArn": task.arn, "protectionEnabled": False}
    return {"taskArn": task.arn, "protectionEnabled": True, "expirationDate": shapes.time(task.protected_until)}
