"""Tasks: describe, list, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dryport.aws.errors import ServiceError
from dryport.ecs import lifecycle, lookup
from dryport.ecs.api import SERVICE, pages, shapes
from dryport.ecs.lookup import invalid
from dryport.ecs.model import TASKS, Cluster, Json
from dryport.ecs.services.model import SERVICES
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
    wanted: Json = {"desired_status": request.get("desiredStatus") or "RUNNING"}
    if request.get("containerInstance"):
        wanted["instance_arn"] = lookup.container_instance_arn(cluster, request["containerInstance"])
    if request.get("serviceName"):
        wanted["group"] = f"service:{request['serviceName'].rpartition('/')[2]}"
    for member, name in (("startedBy", "started_by"), ("family", "family"), ("launchType", "launch_type")):
        if request.get(member):
            wanted[name] = request[member]
    index, value, covered = _narrowest(call, cluster, wanted)
    if covered.issuperset(wanted):
        return call.tx.keys(TASKS, index, value)
    wanted["cluster_arn"] = cluster.arn
    tasks = call.tx.find(TASKS, index, value)
    return [task.arn for task in tasks if all(getattr(task, name) == each for name, each in wanted.items())]


def _narrowest(call: Call, cluster: Cluster, wanted: Json) -> tuple[str, str, frozenset[str]]:
    """The index that leaves the fewest tasks to look at, its value, and which of the wanted members it settles."""
    if "instance_arn" in wanted:
        return "instance", wanted["instance_arn"], frozenset()
    if "group" in wanted:
        group = f"{cluster.arn}/{wanted['group']}"
        # Tasks may be left of a service that is forgotten, and one that is new has none yet.
        known = call.tx.count(TASKS, "group", group) or call.tx.keys(SERVICES, "tasks", group)
        if not known:
            raise ServiceError("ServiceNotFoundException", "Service not found.")
        return "group", group, frozenset()
    for name in ("started_by", "family"):
        if name in wanted:
            value = f"{cluster.arn}/{wanted['desired_status']}/{wanted[name]}"
            return name, value, frozenset((name, "desired_status"))
    return "desired", f"{cluster.arn}/{wanted['desired_status']}", frozenset(("desired_status",))
