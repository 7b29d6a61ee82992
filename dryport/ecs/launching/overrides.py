"""``overrides`` of a launch: checked against the task definition, and in the form that tasks show. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json
from dryport.ecs.taskdef import fargate, gpus, sizes

_MAX_LENGTH = 8192  # characters of JSON
_KEPT = ("executionRoleArn", "taskRoleArn", "ephemeralStorage")


def normalize(overrides: Any, definition: Json, *, on_fargate: bool) -> Json:
    """The overrides of a task, with an entry for each container of the definition's body.

    Raises ServiceError (InvalidParameterException, ClientException).
    """
    if len(msgspec.json.encode(overrides)) > _MAX_LENGTH:
        raise invalid(f"Container Overrides length must be at most {_MAX_LENGTH}")
    names = [container["name"] for container in definition["containerDefinitions"]]
    by_name: dict[str, Json] = {name: {"name": name} for name in names}
    for override in overrides.get("containerOverrides", ()):
        name = override.get("name")
        if not override:
            continue
        if name not in by_name:
            raise invalid(f"Override for container named {name} is not a container in the TaskDefinition.")
        gpus.check("RunTask", name, override.get("resourceRequirements", ()))
        if len(by_name[name]) > 1:
            raise invalid(f"Only one override can be given for container named {name}.")
        by_name[name] = dict(override)
    normal: Json = {"containerOverrides": list(by_name.values()), "inferenceAcceleratorOverrides": []}
    normal.update({member: overrides[member] for member in _KEPT if member in overrides})
    if "cpu" in overrides:
        normal["cpu"] = str(sizes.cpu_units(overrides["cpu"]))
    if "memory" in overrides:
        normal["memory"] = str(sizes.memory_mib(overrides["memory"]))
    _check_sizes(normal, definition, on_fargate)
    return normal


def container_size(definition: Json, overrides: Json, name: str, member: str) -> int | None:
    """A container's ``cpu``, ``memory`` or ``memoryReservation`` with its override."""
    override = next(each for each in overrides["containerOverrides"] if each["name"] == name)
    if member in override:
        return int(override[member])
    container = next(each for each in definition["containerDefinitions"] if each["name"] == name)
    return int(container[member]) if member in container else None


def task_size(definition: Json, overrides: Json, member: str) -> str | None:
    """A task's ``cpu`` or ``memory`` with its override; ``None`` where the task has none of its own."""
    return overrides.get(member) or definition.get(member)


def _check_sizes(overrides: Json, definition: Json, on_fargate: bool) -> None:
    cpu, memory = (task_size(definition, overrides, member) for member in ("cpu", "memory"))
    if on_fargate and cpu is not None and memory is not None:
        sizes.check_fargate(int(cpu), int(memory))
    if "ephemeralStorage" in overrides:
        if not on_fargate:
            raise invalid("The ephemeral storage override is only supported for tasks on Fargate.")
        fargate.check_ephemeral_storage(overrides["ephemeralStorage"])
    for override in overrides["containerOverrides"]:
        name = override["name"]
        limit = container_size(definition, overrides, name, "memory")
        reservation = container_size(definition, overrides, name, "memoryReservation")
        if limit is not None and reservation is not None and reservation > limit:
            raise invalid(
                f"Invalid setting for container '{name}'. 'memory' must be greater than or equal to "
                "'memoryReservation'."
            )
        if limit is not None and memory is not None and limit > int(memory):
            raise invalid(f"The 'memory' setting for container '{name}' is greater than for the task.")
    total = sum(
        container_size(definition, overrides, each["name"], "cpu") or 0 for each in overrides["containerOverrides"]
    )
    if cpu is not None and total > int(cpu):
        raise invalid("The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.")
