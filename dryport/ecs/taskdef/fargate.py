"""What Fargate asks of a task definition beyond what ECS does.

Source: "Amazon ECS task definition differences for Fargate", developer guide.
"""

from __future__ import annotations

from dryport.aws.errors import ServiceError
from dryport.ecs.model import Json
from dryport.ecs.taskdef import sizes
from dryport.ecs.taskdef.refusal import refusal

LOG_DRIVERS = ("awslogs", "splunk", "awsfirelens")
_MAX_TIMEOUT = 120  # seconds
_EPHEMERAL_GIB = (21, 200)
_CONTAINER_MEMBERS = ("dnsSearchDomains", "dnsServers", "dockerSecurityOptions")
_LINUX_MEMBERS = ("devices", "sharedMemorySize", "maxSwap", "swappiness")


def check(body: Json) -> None:
    """Refuse a normalized task definition that cannot run on Fargate."""
    if body.get("networkMode") != "awsvpc":
        raise refusal("Fargate only supports network mode ‘awsvpc’.")
    for member in ("cpu", "memory"):
        if member not in body:
            raise refusal(f"Fargate requires that '{member}' be defined at the task level.")
    windows = body.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX") != "LINUX"
    sizes.check_fargate(int(body["cpu"]), int(body["memory"]), windows=windows)
    if "ipcMode" in body:
        raise refusal("Tasks using the Fargate launch type do not support ipcMode.")
    if body.get("pidMode") == "host":
        raise refusal("Tasks using the Fargate launch type do not support pidMode 'host'.")
    if body["placementConstraints"]:
        raise refusal("Fargate compatible task definitions do not support constraints")
    for volume in body["volumes"]:
        if volume.get("host", {}).get("sourcePath"):
            raise refusal("Fargate compatible task definitions do not support sourcePath")
        if "dockerVolumeConfiguration" in volume:
            raise refusal("Fargate compatible task definitions do not support dockerVolumeConfiguration")
    for container in body["containerDefinitions"]:
        _check_container(container)
        _check_roles(container, body.get("executionRoleArn"))


def supports(body: Json) -> bool:
    """Whether a normalized task definition can run on Fargate."""
    try:
        check(body)
    except ServiceError:
        return False
    return True


def check_ephemeral_storage(storage: Json) -> None:
    """Refuse a size that Fargate's ephemeral storage cannot have, in GiB."""
    least, most = _EPHEMERAL_GIB
    if storage["sizeInGiB"] < least:
        raise refusal(f"EphemeralStorage size should be at least {least}")
    if storage["sizeInGiB"] > most:
        raise refusal(f"EphemeralStorage size should be at most {most}")


def _check_container(container: Json) -> None:
    if container.get("privileged"):
        raise refusal("Fargate requires that the 'privileged' setting be 'false'.")
    for member in _CONTAINER_MEMBERS:
        if container.get(member):
            raise refusal(f"Fargate compatible task definitions do not support {member}")
    linux = container.get("linuxParameters", {})
    for member in _LINUX_MEMBERS:
        if linux.get(member):
            raise refusal(f"Fargate compatible task definitions do not support {member}")
    for capability in linux.get("capabilities", {}).get("add", ()):
        if capability != "SYS_PTRACE":
            raise refusal(f"{capability} is not allowed on Fargate.")
    if any(requirement["type"] == "GPU" for requirement in container.get("resourceRequirements", ())):
        raise refusal("Tasks using the Fargate launch type do not support GPU resource requirements.")
    for member, word in (("startTimeout", "start"), ("stopTimeout", "stop")):
        if container.get(member, 0) > _MAX_TIMEOUT:
            raise refusal(
                f"Tasks using the Fargate launch type must have a container {word} timeout of less than "
                f"{_MAX_TIMEOUT} seconds."
            )
    driver = container.get("logConfiguration", {}).get("logDriver", "awslogs")
    if driver not in LOG_DRIVERS:
        raise refusal(f"{driver} is not a valid log driver. Must be one of [{','.join(LOG_DRIVERS)}]")
    if container.get("firelensConfiguration", {}).get("options", {}).get("config-file-type") == "s3":
        raise refusal("Fargate launch type does not support FirelensConfiguration config file from 's3'")


def _check_roles(container: Json, execution_role: str | None) -> None:
    if execution_role is not None:
        return
    log = container.get("logConfiguration")
    if log is not None and log["logDriver"] == "awslogs":
        raise refusal("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
    if ".dkr.ecr." in container["image"]:
        raise refusal("Fargate requires task definition to have execution role ARN to support ECR images.")
