"""What services say, in ECS's words. Pure.

Source: "Amazon ECS service event messages", developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from dryport.aws.identifiers import uuid4
from dryport.ecs.model import TaskTarget
from dryport.ecs.placement.filters import AGENT, ATTRIBUTE
from dryport.ecs.services.model import Service

MOST = 100  # that are kept
_GUIDE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
STEADY = "has reached a steady state."
INCONSISTENT = f"is unable to consistently start tasks successfully. {_GUIDE}"
STABLE = "updated state to STEADY_STATE."  # of a task set
STUCK = (
    "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the "
    "minimumHealthyPercent or maximumPercent value and try again."
)
NO_INSTANCES = "No Container Instances were found in your cluster."


def say(service: Service, message: str, now: float, random: Random, *, task_set: str = "") -> Service:
    """The service with an event: ``message`` is what follows its name (and a deployment's id, where it is of one)."""
    who = f"(service {service.name}, taskSet {task_set})" if task_set else f"(service {service.name})"
    event = {"id": uuid4(random), "createdAt": round(now, 3), "message": f"{who} {message}"}
    return replace(service, events=[event, *service.events[: MOST - 1]])


def said_last(service: Service, message: str) -> float | None:
    """When the latest event was, if it was this one."""
    if service.events and service.events[0]["message"] == f"(service {service.name}) {message}":
        return float(service.events[0]["createdAt"])
    return None


def computed(task_set: str, count: int) -> str:
    return f"updated computedDesiredCount for taskSet {task_set} to {count}."


def started(arns: Sequence[str]) -> str:
    return f"has started {len(arns)} tasks: {_tasks(arns)}."


def stopped(arns: Sequence[str]) -> str:
    return f"has stopped {len(arns)} running tasks: {_tasks(arns)}."


class Place(NamedTuple):
    """Where tasks are registered: a target group, by its ARN, or a classic load balancer, by its name."""

    name: str
    classic: bool = False

    @property
    def what(self) -> str:
        """As what they are registered there."""
        return "instance" if self.classic else "target"

    def __str__(self) -> str:
        return f"({'elb' if self.classic else 'target-group'} {self.name})"


def registered(count: int, place: Place) -> str:
    return f"registered {count} {place.what}s in {place}"


def not_registered(place: Place, error: str) -> str:
    return f"failed to register {place.what}s in {place} with (error {error})"


def deregistered(count: int, place: Place) -> str:
    return f"deregistered {count} {place.what}s in {place}"


def draining(count: int) -> str:
    return f"has begun draining connections on {count} tasks."


def unhealthy(task_arn: str, target: TaskTarget, place: Place, reason: str) -> str:
    """A target is not healthy: a task by its address, or an instance's port; of classic balancers an instance."""
    who = f"instance {target.id}" if target.id.startswith("i-") else f"task {task_arn.rpartition('/')[2]}"
    port = f" (port {target.port})" if target.port else ""
    return f"({who}){port} is unhealthy in {place} due to (reason {reason})"


def completed(deployment_id: str) -> str:
    return f"(deployment {deployment_id}) deployment completed."


def failed(deployment_id: str, why: str) -> str:
    return f"(deployment {deployment_id}) deployment failed: {why}."


def rolling_back(deployment_id: str) -> str:
    return f"rolling back to deployment {deployment_id}."


def unplaced(closest: tuple[str, str] | None) -> str:
    """``closest`` is an instance's ARN with what is in the way, in ECS's short words (``RESOURCE:CPU``)."""
    head = "was unable to place a task because no container instance met all of its requirements."
    if closest is None:
        return f"{head} Reason: {NO_INSTANCES} {_GUIDE}"
    arn, reason = closest
    return f"{head} The closest matching (container-instance {arn.rpartition('/')[2]}) {_obstacle(reason)}. {_GUIDE}"


def unbalanced(tasks: Mapping[str, int]) -> str:
    return f"is not AZ balanced with {_zones(tasks)}. AZ Rebalancing in progress."


def balanced(tasks: Mapping[str, int]) -> str:
    return f"is AZ balanced with {_zones(tasks)}."


def started_in(zone: str, arns: Sequence[str]) -> str:
    return f"has started {len(arns)} tasks in {zone} to AZ Rebalance: {_tasks(arns)}."


def stopped_in(zone: str, arns: Sequence[str]) -> str:
    return f"has stopped {len(arns)} running tasks in {zone} due to AZ rebalancing: {_tasks(arns)}."


def unplaced_in(zone: str) -> str:
    return f"is unable to place a task in {zone} because no container instance met all of its requirements."


def refused(reason: str) -> str:
    """A task could not be launched at all."""
    return f"failed to launch a task with (error {reason})."


def _obstacle(reason: str) -> str:
    words = {
        "RESOURCE:CPU": "has insufficient CPU units available",
        "RESOURCE:MEMORY": "has insufficient memory available",
        "RESOURCE:GPU": "has insufficient GPU resource available",
        "RESOURCE:PORTS": "is already using a port required by your task",
        ATTRIBUTE: "is missing an attribute required by your task",
        AGENT: "doesn't have the agent connected",
    }
    return words.get(reason, f'encountered error "{reason}"')


def _zones(tasks: Mapping[str, int]) -> str:
    *others, last = [f"{count} tasks in {zone}" for zone, count in tasks.items()]
    return f"{', '.join(others)}, and {last}" if others else last


def _tasks(arns: Iterable[str]) -> str:
    return " ".join(f"(task {arn.rpartition('/')[2]})" for arn in arns)
