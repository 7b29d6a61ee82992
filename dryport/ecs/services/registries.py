"""Service registries: which Cloud Map services the tasks of a service are instances of, and as what.

Source: "Use service discovery to connect Amazon ECS services with DNS names", developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dryport.ecs.connect import tasks as connect_tasks
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json, Task, TaskDefinition
from dryport.ecs.services import balancers, task_sets
from dryport.gateway.service import Call
from dryport.servicediscovery import published as cloudmap
from dryport.servicediscovery.model import Service
from dryport.store import Reader

_MOST = 1
_ON_THE_HOST = (
    "When specifying 'host' or 'bridge' for networkMode, values for 'containerName' and 'containerPort' must be "
    "specified from the task definition."
)


def check(call: Call, given: Sequence[Any], definition: TaskDefinition, launch_type: str) -> list[Json]:
    """The registries of a service, which its tasks can be registered in. Raises ServiceError."""
    if len(given) > _MOST:
        raise invalid(f"Service registries cannot have more than {_MOST} element.")
    for each in given:
        _check(call, each, definition.body)
    if given and launch_type == "EXTERNAL":
        raise invalid("Service discovery is not supported with the EXTERNAL launch type.")
    return [dict(each) for each in given]


def _check(call: Call, registry: Any, body: Json) -> None:
    arn = registry.get("registryArn", "")
    service = cloudmap.service(call.tx, arn)
    if service is None or (service.account, service.region) != (call.account, call.region):
        raise invalid(f"Service registry {arn or 'without registryArn'} was not found.")
    name, port = registry.get("containerName"), registry.get("containerPort")
    if (name is None) != (port is None):
        raise invalid("containerName and containerPort must both be specified for a service registry, or neither.")
    if name is not None:
        balancers.check_port(body, name, port)
    kinds = set(service.ttls)
    if "CNAME" in kinds or "AAAA" in kinds:
        raise invalid("Service registries must have records of the types A and SRV only.")
    if body.get("networkMode") == "none":
        raise invalid("Service discovery is not supported for tasks with the network mode none.")
    if body.get("networkMode") != "awsvpc":
        if name is None:
            raise invalid(_ON_THE_HOST)
        if "A" in kinds:
            raise invalid("Only SRV records are supported for tasks with the network modes host and bridge.")
        if registry.get("port") is not None:
            raise invalid("The port of a service registry can be specified for the awsvpc network mode only.")
        return
    if name is not None and registry.get("port") is not None:
        raise invalid("Specify either containerName and containerPort, or port, for a service registry; not both.")
    if "SRV" in kinds and name is None and registry.get("port") is None:
        raise invalid("Service registries with SRV records need containerName and containerPort, or port.")


def attributes(reader: Reader, task: Task, registry: Json, service: Service, body: Json) -> dict[str, str]:
    """What a running task is registered as."""
    if registry.get("connect"):
        port = balancers.host_port(task, body, registry["containerName"], registry["containerPort"])
        return connect_tasks.attributes(task, balancers.address(reader, task), port)
    found = {
        "AWS_INSTANCE_IPV4": balancers.address(reader, task),
        "AWS_INSTANCE_PORT": _port(task, registry, body),
        "AWS_INIT_HEALTH_STATUS": ("HEALTHY" if healthy(task, body) else "UNHEALTHY") if service.custom_health else "",
        "ECS_CLUSTER_NAME": task.cluster_arn.rpartition("/")[2],
        "ECS_SERVICE_NAME": (task.group or "").partition(":")[2],
        "ECS_TASK_DEFINITION_FAMILY": task.family,
        "ECS_TASK_SET_EXTERNAL_ID": task_sets.external_id(reader, task),
        "AVAILABILITY_ZONE": task.availability_zone or "",
        "REGION": task.region,
        "EC2_INSTANCE_ID": balancers.machine(reader, task),
    }
    return {name: value for name, value in found.items() if value}


def healthy(task: Task, body: Json) -> bool:
    """Whether a running task counts as healthy: where none of its essential containers is checked, it does."""
    checked = any(each.get("essential", True) and "healthCheck" in each for each in body["containerDefinitions"])
    return task.health_status == "HEALTHY" or not checked


def _port(task: Task, registry: Json, body: Json) -> str:
    port = registry.get("containerPort") or registry.get("port")
    if port and registry.get("containerName"):
        port = balancers.host_port(task, body, registry["containerName"], port)
    return str(port) if port else ""
