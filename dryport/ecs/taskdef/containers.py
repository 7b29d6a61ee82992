"""One container definition: its own rules, whatever runs it, and what ECS fills in."""

from __future__ import annotations

import math
import re

from dryport.ecs.model import Json
from dryport.ecs.taskdef import gpus, ports
from dryport.ecs.taskdef.refusal import invalid_container, refusal

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_IMAGE = re.compile(r"[A-Za-z0-9_./:@#-]+")
_MIN_MEMORY = 4  # MiB, Docker's own floor
# What is given in seconds or times, with its range; defaults where ECS fills one in.
_HEALTH_RANGES = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
_HEALTH_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3}
_REQUIRED_LOG_OPTIONS = {"awslogs": ("awslogs-region", "awslogs-group")}


def normalize(definition: Json, mode: str) -> Json:
    """The container definition with ECS's defaults. ``mode`` is the task's network mode, ``bridge`` by default."""
    name = definition.get("name")
    if not name:
        raise refusal("Container.name should not be null or empty.")
    if not _NAME.fullmatch(name):
        raise refusal("Container.name contains invalid characters.")
    _check_image(definition.get("image"))
    normal = {
        "cpu": 0,
        "portMappings": [],
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        **definition,
    }
    if normal["portMappings"]:
        normal["portMappings"] = ports.normalize(name, normal["portMappings"], mode)
    _check_memory(name, normal)
    if "resourceRequirements" in definition:
        gpus.check("RegisterTaskDefinition", name, definition["resourceRequirements"])
    if "startTimeout" in definition or "stopTimeout" in definition:
        _check_timeouts(name, definition)
    for variable in normal["environment"]:
        if not variable.get("name"):
            raise invalid_container(name, "The name of an environment variable should not be null or empty.")
    if definition.get("secrets"):
        _check_secrets(definition)
    if definition.get("environmentFiles"):
        _check_environment_files(definition["environmentFiles"])
    if "healthCheck" in definition:
        normal["healthCheck"] = _health_check(name, definition["healthCheck"])
    if "restartPolicy" in definition:
        normal["restartPolicy"] = _restart_policy(name, definition["restartPolicy"])
    if "logConfiguration" in definition:
        _check_log(definition["logConfiguration"])
    if "ulimits" in definition:
        _check_ulimits(name, definition["ulimits"])
    if "linuxParameters" in definition:
        _check_linux(name, definition["linuxParameters"])
    return normal


def _check_image(image: str | None) -> None:
    if not image:
        raise refusal("Container.image should not be null or empty.")
    # A digest does not count for the 255 characters.
    if len(image.partition("@")[0]) > 255:
        raise refusal("Container.image contains invalid characters.")
    if not _IMAGE.fullmatch(image):
        raise refusal("Container.image contains invalid characters.")


def _check_memory(name: str, definition: Json) -> None:
    for member in ("memory", "memoryReservation"):
        if member in definition and definition[member] < _MIN_MEMORY:
            raise invalid_container(name, f"'{member}' must be at least {_MIN_MEMORY} MiB.")
    if "memoryReservation" in definition and definition.get("memory", math.inf) < definition["memoryReservation"]:
        raise invalid_container(name, "'memory' must be greater than or equal to 'memoryReservation'.")
    if definition["cpu"] < 0:
        raise invalid_container(name, "'cpu' must not be negative.")


def _check_timeouts(name: str, definition: Json) -> None:
    for member, word in (("startTimeout", "start"), ("stopTimeout", "stop")):
        if definition.get(member, 2) < 2:
            raise refusal(f"Granular {word} timeout on container '{name}' must be at least 2 seconds.")


def _check_ulimits(name: str, ulimits: list[Json]) -> None:
    for ulimit in ulimits:
        if ulimit["softLimit"] > ulimit["hardLimit"] >= 0:
            raise invalid_container(name, f"The soft limit of ulimit '{ulimit['name']}' exceeds its hard limit.")


def _check_secrets(definition: Json) -> None:
    secrets = [secret["name"] for secret in definition["secrets"]]
    if len(set(secrets)) != len(secrets):
        raise refusal(
            f"The secret name must be unique and not shared with any new or existing environment variables "
            f"set on the container, such as '{next(n for n in secrets if secrets.count(n) > 1)}'."
        )
    shared = {variable["name"] for variable in definition.get("environment", ())}.intersection(secrets)
    if shared:
        raise refusal(
            "The secret name must be unique and not shared with any new or existing environment "
            f"variables set on the container, such as '{min(shared)}'."
        )


def _check_environment_files(files: list[Json]) -> None:
    if len(files) > 10:
        raise refusal("The maximum number of environment files was exceeded. Specify ten or less and try again.")
    for file in files:
        if not file["value"].startswith("arn:"):
            raise refusal("Invalid arn syntax.")
        if not file["value"].endswith(".env"):
            raise refusal("Environment file must have a .env extension.")


def _health_check(name: str, check: Json) -> Json:
    command = check["command"]
    if not command or command[0] not in ("CMD", "CMD-SHELL", "NONE") or (command[0] != "NONE" and len(command) < 2):
        raise invalid_container(name, "The health check command must start with CMD or CMD-SHELL.")
    for member, (least, most) in _HEALTH_RANGES.items():
        if not least <= check.get(member, least) <= most:
            raise invalid_container(name, f"The health check {member} must be between {least} and {most}.")
    return {**_HEALTH_DEFAULTS, **check}


def _restart_policy(name: str, policy: Json) -> Json:
    if not policy["enabled"]:
        if len(policy) > 1:
            raise refusal(f"The restart policy of container '{name}' must be enabled to have further settings.")
        return policy
    if not 60 <= policy.get("restartAttemptPeriod", 60) <= 1800:
        raise refusal(f"The 'restartAttemptPeriod' setting for container '{name}' must be between 60 and 1800.")
    if len(policy.get("ignoredExitCodes", ())) > 50:
        raise refusal(f"The 'ignoredExitCodes' setting for container '{name}' can have at most 50 exit codes.")
    return {"restartAttemptPeriod": 300, **policy}


def _check_log(configuration: Json) -> None:
    driver = configuration["logDriver"]
    given = configuration.get("options", {})
    missing = [option for option in _REQUIRED_LOG_OPTIONS.get(driver, ()) if not given.get(option)]
    if missing:
        raise refusal(f"Log driver {driver} requires options: {', '.join(missing)}")


def _check_linux(name: str, parameters: Json) -> None:
    if parameters.get("maxSwap", 0) < 0:
        raise invalid_container(name, "'maxSwap' must be 0 or a positive number.")
    if not 0 <= parameters.get("swappiness", 0) <= 100:
        raise invalid_container(name, "'swappiness' must be between 0 and 100.")
    for mount in parameters.get("tmpfs", ()):
        if not mount["containerPath"].startswith("/") or mount["size"] <= 0:
            raise invalid_container(name, "A tmpfs mount needs an absolute path and a size in MiB.")
