"""``requiresAttributes``: what a container instance must be able to do for a task.

Source: the container agent's capability names, and the answers that RegisterTaskDefinition gives.
"""

from __future__ import annotations

from collections.abc import Iterator

from dryport.ecs.model import Json

_OLD = "com.amazonaws.ecs.capability."
_NEW = "ecs.capability."
_API = _OLD + "docker-remote-api."


def required(body: Json) -> list[Json]:
    """The attributes that a normalized task definition asks of its instance, each once."""
    names: list[str] = []
    for container in body["containerDefinitions"]:
        names += _of_container(container, "executionRoleArn" in body)
    names += _of_task(body)
    return [{"name": name} for name in dict.fromkeys(names)]


def _of_task(body: Json) -> Iterator[str]:
    mode = body.get("networkMode")
    if "taskRoleArn" in body:
        yield _OLD + ("task-iam-role-network-host" if mode == "host" else "task-iam-role")
    if mode == "awsvpc":
        yield _API + "1.18"
        yield _NEW + "task-eni"
    if "pidMode" in body or "ipcMode" in body:
        yield _NEW + "pid-ipc-namespace-sharing"
    if "proxyConfiguration" in body:
        yield _NEW + "aws-appmesh"
    for volume in body["volumes"]:
        if "efsVolumeConfiguration" in volume:
            yield _API + "1.25"
            yield _NEW + "efs"
            if "authorizationConfig" in volume["efsVolumeConfiguration"]:
                yield _NEW + "efsAuth"
        if volume.get("configuredAtLaunch"):
            yield _NEW + "storage.ebs-task-volume-attach"
        if "dockerVolumeConfiguration" in volume:
            yield _API + "1.25"
            yield _NEW + "docker-plugin." + volume["dockerVolumeConfiguration"]["driver"]


def _of_container(container: Json, execution_role: bool) -> Iterator[str]:
    if "logConfiguration" in container:
        yield from _of_log(container["logConfiguration"], execution_role)
    if ".dkr.ecr." in container["image"]:
        yield _OLD + "ecr-auth"
        if execution_role:
            yield _NEW + "execution-role-ecr-pull"
    for secret in container.get("secrets", ()):
        store = "asm" if ":secretsmanager:" in secret["valueFrom"] else "ssm"
        yield f"{_NEW}secrets.{store}.environment-variables"
    if "repositoryCredentials" in container:
        yield _NEW + "private-registry-authentication.secretsmanager"
    if container.get("environmentFiles"):
        yield _NEW + "env-files.s3"
    if container.get("dependsOn") or "startTimeout" in container or "stopTimeout" in container:
        yield _NEW + "container-ordering"
    if "healthCheck" in container:
        yield _API + "1.24"
        yield _NEW + "container-health-check"
    if container.get("restartPolicy", {}).get("enabled"):
        yield _NEW + "container-restart-policy"
    if "firelensConfiguration" in container:
        yield f"{_NEW}firelens.{container['firelensConfiguration']['type']}"
    if container.get("privileged"):
        yield _OLD + "privileged-container"
    if "memoryReservation" in container:
        yield _API + "1.21"
    if container.get("ulimits") or container.get("dockerLabels"):
        yield _API + "1.18"
    if any("containerPortRange" in mapping for mapping in container["portMappings"]):
        yield _NEW + "network.container-port-range"
    if "linuxParameters" in container:
        yield from _of_linux(container["linuxParameters"])
    for option in container.get("dockerSecurityOptions", ()):
        if option.startswith("apparmor:"):
            yield _OLD + "apparmor"
        elif option.startswith("label:"):
            yield _OLD + "selinux"


def _of_log(configuration: Json, execution_role: bool) -> Iterator[str]:
    driver = configuration["logDriver"]
    yield _OLD + "logging-driver." + driver
    if driver == "awslogs":
        if execution_role:
            yield _NEW + "execution-role-awslogs"
        yield _API + "1.19"
        if configuration.get("options", {}).get("awslogs-create-group") == "true":
            yield _API + "1.29"
    else:
        yield _API + "1.18"
    for secret in configuration.get("secretOptions", ()):
        store = "asm" if ":secretsmanager:" in secret["valueFrom"] else "ssm"
        yield f"{_NEW}secrets.{store}.bootstrap.log-driver"


def _of_linux(parameters: Json) -> Iterator[str]:
    if "sharedMemorySize" in parameters or parameters.get("tmpfs"):
        yield _API + "1.22"
    if parameters.get("initProcessEnabled"):
        yield _API + "1.25"
    if "maxSwap" in parameters or "swappiness" in parameters:
        yield _API + "1.24"
