"""Tasks: describe, list, stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ecs import lifecycle
from dryport.ecs.api import SERVICE, lookup, pages, shapes
from dryport.ecs.api.lookup import invalid
from dryport.ecs.model import TASKS, Cluster, Json, Task
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types

_MAX_DESCRIBED = 100


@SERVICE.operation("DescribeTasks")
def describe_tasks(call: Call, request: types.DescribeTasksRequestTypeDef) -> Output:
    """Describe up to 100 tasks by id or ARN; those that are not there are failures."""
    cluster = lookup.cluster(call, request.get("cluster"))
    identifiers = request["tasks"]
    if not identifiers:
        raise invalid("Tasks cannot be empty.")
    if len(identifiers) > _MAX_DESCRIBED:
        raise invalid(f"Tasks cannot have more than {_MAX_DESCRIBED} elements.")
    encoded = shapes.TASKS_JSON if "TAGS" in request.get("include", ()) else shapes.UNTAGGED_TASKS_JSON
    found, failures = [], []
    for identifier in identifiers:
        key = lookup.task_arn(cluster, identifier)
        task = call.tx.get(TASKS, key)
        if task is None or task.cluster_arn != cluster.arn:
            failures.append({"arn": key, "reason": "MISSING"})
        else:
            found.append(encoded.get(key, task))
    return {"tasks": found, "failures": failures}


@SERVICE.operation("StopTask")
def stop_task(call: Call, request: types.StopTaskRequestTypeDef) -> Output:
    """Want a task stopped; its agent stops it in its own time."""
    cluster = lookup.cluster(call, request.get("cluster"))
    task = lookup.task(call, cluster, request["task"])
    if task is None:
        raise invalid("The referenced task was not found.")
    reason = request.get("reason") or lifecycle.STOPPED_BY_USER
    stopped = lifecycle.request_stop(task, lifecycle.USER_INITIATED, reason, call.now)
    call.tx.put(TASKS, stopped)
    return {"task": shapes.TASKS_JSON.get(stopped.arn, stopped)}


@SERVICE.operation("ListTasks", unsupported=("daemonName",))
def list_tasks(call: Call, request: types.ListTasksRequestTypeDef) -> Output:
    """The ARNs of a cluster's tasks, those wanted running unless ``desiredStatus`` says otherwise."""
    cluster = lookup.cluster(call, request.get("cluster"))
    if request.get("startedBy") and any(request.get(name) for name in ("family", "containerInstance", "serviceName")):
        raise invalid("When you specify startedBy as the filter, it must be the only filter that you use.")
    return pages.answer("taskArns", _listed(call, request, cluster), request)


def _listed(call: Call, request: Any, cluster: Cluster) -> list[str]:
    desired = request.get("desiredStatus") or "RUNNING"
    index, value = _narrowest(call, request, cluster) or ("desired", f"{cluster.arn}/{desired}")
    launch_type = request.get("launchType")
    if index == "desired" and launch_type is None:
        return call.tx.keys(TASKS, index, value)
    matches = _matcher(request, cluster, desired)
    return [task.arn for task in call.tx.find(TASKS, index, value) if matches(task)]


def _narrowest(call: Call, request: Any, cluster: Cluster) -> tuple[str, str] | None:
    """The index that leaves the fewest tasks to look at, and its value; ``None`` without a filter that has one."""
    if request.get("containerInstance"):
        return "instance", instance_arn(cluster, request["containerInstance"])
    if request.get("serviceName"):
        group = f"{cluster.arn}/{_service_group(request['serviceName'])}"
        if not call.tx.count(TASKS, "group", group):
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        return "group", group
    if request.get("startedBy"):
        return "started_by", f"{cluster.arn}/{request['startedBy']}"
    if request.get("family"):
        return "family", f"{cluster.arn}/{request['family']}"
    return None


def _matcher(request: Any, cluster: Cluster, desired: str) -> Callable[[Task], bool]:
    wanted: Json = {"cluster_arn": cluster.arn, "desired_status": desired}
    if request.get("launchType"):
        wanted["launch_type"] = request["launchType"]
    if request.get("family"):
        wanted["family"] = request["family"]
    if request.get("serviceName"):
        wanted["group"] = _service_group(request["serviceName"])
    return lambda task: all(getattr(task, name) == value for name, value in wanted.items())


def instance_arn(cluster: Cluster, identifier: str) -> str:
    """The ARN of a cluster's container instance that is called by its id or its ARN."""
    if identifier.startswith("arn:"):
        return identifier
    return arn.make("ecs", cluster.region, cluster.account, f"container-instance/{cluster.name}/{identifier}")


def _service_group(name: str) -> str:
    return f"service:{name.rpartition('/')[2]}"
