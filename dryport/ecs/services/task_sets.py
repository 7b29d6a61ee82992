"""Task sets of services whose deployments somebody else controls (EXTERNAL). Pure.

A task set is kept as if it was a service of one deployment: its ``Deployment`` is among its service's, with the same
id, and says its status, how many tasks it is to have and how their starts go. ``TaskSet`` is what only task sets have.
Sources: "Deploy Amazon ECS services using a third-party controller", developer guide; TaskSet, API reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from dryport.ecs.model import Task
from dryport.ecs.services import rollout
from dryport.ecs.services.model import ACTIVE, DRAINING, EXTERNAL, PRIMARY, TASK_SETS, Deployment, Service
from dryport.store import Reader

MOST = 5  # of a service


def arn_of(service: Service, identifier: str) -> str:
    """The ARN of the task set of a service that has this id (``ecs-svc/`` and 19 digits)."""
    return rollout.resource_arn(service, "task-set", identifier)


def computed(desired: int, scale: float) -> int:
    """How many tasks a task set has at ``scale`` percent of ``desired``, rounded up."""
    return math.ceil(Decimal(str(scale)) * desired / 100)


def ordered(deployments: Iterable[Deployment]) -> list[Deployment]:
    """Those of task sets: the primary one first, then the latest."""
    return sorted(deployments, key=lambda each: (each.status != PRIMARY, -each.created_at))


def change(service: Service, deployment: Deployment) -> Service:
    """A service with a task set's deployment as it is now, or is new."""
    others = [each for each in service.deployments if each.id != deployment.id]
    return replace(service, deployments=ordered([deployment, *others]), steady_at=None)


def promote(service: Service, deployment: Deployment, now: float) -> Service:
    """Have a task set be the primary one, and what it runs what the service is said to run."""
    changed = [
        replace(each, status=ACTIVE, updated_at=now) if each.status == PRIMARY and each.id != deployment.id else each
        for each in service.deployments
    ]
    primary = replace(deployment, status=PRIMARY, updated_at=now)
    return change(replace(service, deployments=changed, revision_arn=deployment.revision_arn), primary)


def leave(service: Service, deployment: Deployment, now: float) -> Service:
    """Have a task set's tasks stopped and it gone. A service without a primary one is said to run nothing."""
    service = change(service, replace(deployment, status=DRAINING, desired_count=0, updated_at=now))
    return replace(service, revision_arn="") if service.revision_arn == deployment.revision_arn else service


def end(service: Service, now: float) -> Service:
    """Have all of a service's task sets gone."""
    for deployment in service.deployments:
        service = leave(service, deployment, now)
    return replace(service, desired_count=0, steady_at=None)


def external_id(reader: Reader, task: Task) -> str:
    """What another system calls the task set that a task is of, "" where it calls it nothing."""
    service = task.cluster_arn.replace(":cluster/", ":task-set/", 1) + "/" + (task.group or "").partition(":")[2]
    found = reader.get(TASK_SETS, f"{service}/{task.started_by}")
    return (found.external_id or "") if found is not None else ""


def controlled_elsewhere(service: Service) -> bool:
    """Whether a service has task sets, not deployments of its own."""
    return service.controller == EXTERNAL
