"""From RegisterTaskDefinition's input to what DescribeTaskDefinition shows of it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from dryport.ecs.model import Json
from dryport.ecs.placement.query import QueryError, parse
from dryport.ecs.taskdef import attributes, containers, dependencies, fargate, ports, sizes, volumes
from dryport.ecs.taskdef.refusal import refusal

_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MAX_CONTAINERS = 10
_MAX_CONSTRAINTS = 10
_MAX_LENGTH = 64 * 1024  # bytes of JSON
_ENCODER = msgspec.json.Encoder()
# Members that stand in the answer as they came.
_KEPT = (
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "requiresCompatibilities",
    "runtimePlatform",
    "pidMode",
    "ipcMode",
    "ephemeralStorage",
)


def normalize(request: Any) -> Json:
    """The body of a new revision (``TaskDefinition`` in AWS's shape, without ARN, revision and status).

    Raises ServiceError (ClientException) in ECS's words where the input breaks a rule.
    """
    length = len(_ENCODER.encode(request))
    if length > _MAX_LENGTH:
        raise refusal(f"Actual length: '{length}'. Max allowed length is '{_MAX_LENGTH}' bytes.")
    family = request["family"]
    if not family:
        raise refusal("Family should not be null or empty.")
    if not _FAMILY.fullmatch(family):
        raise refusal("Family contains invalid characters.")
    mode = request.get("networkMode", "bridge")
    body: Json = {"family": family, "containerDefinitions": _containers(request["containerDefinitions"], mode)}
    for member in _KEPT:
        if member in request:
            body[member] = request[member]
    if body.get("requiresCompatibilities") == []:
        del body["requiresCompatibilities"]
    body["volumes"] = volumes.normalize(request.get("volumes", ()))
    body["placementConstraints"] = list(request.get("placementConstraints", ()))
    if "cpu" in request:
        body["cpu"] = str(sizes.cpu_units(request["cpu"]))
    if "memory" in request:
        body["memory"] = str(sizes.memory_mib(request["memory"]))
    _check_sizes(body)
    _check_network(body["containerDefinitions"], mode)
    _check_secrets(body)
    _check_log_router(body["containerDefinitions"])
    dependencies.check(body["containerDefinitions"])
    volumes.check_mounts(body["containerDefinitions"], body["volumes"])
    _check_constraints(body["placementConstraints"])
    if "ephemeralStorage" in body:
        fargate.check_ephemeral_storage(body["ephemeralStorage"])
    body["enableFaultInjection"] = False
    body["compatibilities"] = _compatibilities(body)
    if required := attributes.required(body):
        body["requiresAttributes"] = required
    return body


def _containers(definitions: list[Json], mode: str) -> list[Json]:
    if not definitions:
        raise refusal("Container list cannot be empty.")
    if len(definitions) > _MAX_CONTAINERS:
        raise refusal("Too many containers.")
    normal = [containers.normalize(definition, mode) for definition in definitions]
    if len(normal) > 1 and len({container["name"] for container in normal}) != len(normal):
        raise refusal("Container names must be unique within a task definition.")
    if not any(container["essential"] for container in normal):
        raise refusal("Task definition doesn't have any essential container.")
    return normal


def _check_sizes(body: Json) -> None:
    definitions = body["containerDefinitions"]
    if "memory" not in body:
        for container in definitions:
            if "memory" not in container and "memoryReservation" not in container:
                raise refusal(
                    f"Invalid setting for container '{container['name']}'. At least one of 'memory' or "
                    "'memoryReservation' must be specified."
                )
    else:
        memory = int(body["memory"])
        for container in definitions:
            if container.get("memory", 0) > memory:
                raise refusal(f"The 'memory' setting for container '{container['name']}' is greater than for the task.")
        if sum(container.get("memoryReservation", 0) for container in definitions) > memory:
            raise refusal(
                "The sum of all container 'memoryReservation' values cannot be greater than the value of the task "
                "'memory'."
            )
    if "cpu" in body:
        if "FARGATE" not in body.get("requiresCompatibilities", ()):
            sizes.check_instance_cpu(int(body["cpu"]))
        if sum(container["cpu"] for container in definitions) > int(body["cpu"]):
            raise refusal("The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.")


def _check_network(definitions: list[Json], mode: str) -> None:
    if mode == "awsvpc":
        for container in definitions:
            if container.get("links"):
                raise refusal("Links are not supported when networkMode=awsvpc.")
            if container.get("hostname"):
                raise refusal("hostname is not supported on container when networkMode=awsvpc.")
            if container.get("extraHosts"):
                raise refusal("Extra hosts are not supported on container when networkMode=awsvpc.")
            if container.get("disableNetworking"):
                raise refusal("Disable Networking is not supported on container when networkMode=awsvpc.")
    elif mode != "bridge" and any(container.get("links") for container in definitions):
        raise refusal(f"Links are not supported when networkMode={mode}.")
    if mode == "host" and any(_sets_network(container) for container in definitions):
        raise refusal("Network namespaced systemControls are not supported when networkMode=host.")
    ports.check_task((mapping for container in definitions for mapping in container["portMappings"]), mode)


def _sets_network(container: Json) -> bool:
    return any(control.get("namespace", "").startswith("net.") for control in container["systemControls"])


def _check_secrets(body: Json) -> None:
    if "executionRoleArn" in body:
        return
    for container in body["containerDefinitions"]:
        if container.get("secrets") or container.get("logConfiguration", {}).get("secretOptions"):
            raise refusal(
                "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
            )


def _check_log_router(definitions: list[Json]) -> None:
    logs = [each["logConfiguration"] for each in definitions if "logConfiguration" in each]
    if not logs:
        return
    uses = any(each["logDriver"] == "awsfirelens" for each in logs)
    if uses and not any("firelensConfiguration" in container for container in definitions):
        raise refusal("The awsfirelens log driver needs a container with a firelensConfiguration.")


def _check_constraints(constraints: list[Json]) -> None:
    if len(constraints) > _MAX_CONSTRAINTS:
        raise refusal(f"Maximum number of constraints is {_MAX_CONSTRAINTS}.")
    for constraint in constraints:
        if constraint.get("type") != "memberOf":
            raise refusal(f"constraint.type '{constraint.get('type')}' is not supported.")
        if not constraint.get("expression"):
            raise refusal("memberOf expression should be specified.")
        try:
            parse(constraint["expression"])
        except QueryError as error:
            raise refusal(f"Invalid expression '{constraint['expression']}': {error}.") from None


def _compatibilities(body: Json) -> list[str]:
    required = body.get("requiresCompatibilities", ())
    if "FARGATE" in required:
        fargate.check(body)
    if body.get("networkMode") == "awsvpc":
        if "EXTERNAL" in required:
            raise refusal("External launch type does not support network mode 'awsvpc'.")
        return ["EC2", "FARGATE"] if fargate.supports(body) else ["EC2"]
    return ["EXTERNAL", "EC2"]
