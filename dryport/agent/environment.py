"""The agent's settings in the environment, by the names and with the defaults and bounds of AWS's agent.

On instances they come from ``/etc/ecs/ecs.config``. Source: "Amazon ECS container agent configuration", developer
guide, and the table of the agent's README. ``docs/agent-settings.md`` is the table for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from dryport.agent import registries
from dryport.agent.runtime import RegistryAuth

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
_LAST_PORT = 65535
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
LEVELS = {"crit": "CRITICAL", "critical": "CRITICAL", "error": "ERROR", "warn": "WARNING", "warning": "WARNING"}
LEVELS |= {"info": "INFO", "debug": "DEBUG"}


class Variable(NamedTuple):
    """Which setting a variable is, and how its text is read: ValueError says what is wrong with it.

    ``required``: where it cannot be read, the agent does not start.
    """

    setting: str
    read: Callable[[str], Any]
    required: bool = False


class Found(NamedTuple):
    """Settings by their names, and what has to be said of those that are not in force."""

    settings: dict[str, Any]
    warnings: list[str]


def duration(text: str) -> float:
    """Seconds from Go's notation (``1h30m``, ``90s``, ``250ms``). Raises ValueError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 30s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    """True or false as Go reads it. Raises ValueError."""
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def negated(text: str) -> bool:
    """For variables that disable. Raises ValueError."""
    return not boolean(text)


def at_least(lowest: float) -> Callable[[str], float]:
    """A duration; a shorter one is an error."""

    def read(text: str) -> float:
        if (seconds := duration(text)) < lowest:
            raise ValueError(f"{text!r} is less than {lowest:g} seconds")
        return seconds

    return read


def raised_to(lowest: float, highest: float = float("inf")) -> Callable[[str], float]:
    """A duration; one out of bounds becomes the bound, as AWS's agent has it."""
    return lambda text: min(highest, max(lowest, duration(text)))


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,10}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"{text!r} is no number between {lowest} and {highest}")
        return int(text)

    return read


def one_of(*values: str) -> Callable[[str], str]:
    """One of some words."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"{text!r} is none of {', '.join(values)}")
        return text

    return read


def json_of(type: Any, what: str) -> Callable[[str], Any]:
    """JSON of a type."""

    def read(text: str) -> Any:
        try:
            return msgspec.json.decode(text, type=type)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{what}: {error}") from None

    return read


def port_range(text: str) -> tuple[int, int]:
    """``first-last``. Raises ValueError."""
    found = _PORTS.fullmatch(text.strip())
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < first <= last <= _LAST_PORT:
        raise ValueError(f"{text!r} is no range of ports such as 40000-49999")
    return first, last


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _level(text: str) -> str:
    try:
        return LEVELS[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is none of crit, error, warn, info, debug") from None


def _docker_socket(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "unix" or not parts.path:
        raise ValueError(f"{text!r} is no unix:// address")
    return parts.path


def _registries(text: str) -> dict[str, RegistryAuth]:
    return registries.read(json_of(dict[str, dict[str, str]], "no JSON object of registries")(text))


_STRINGS = json_of(dict[str, str], "no JSON object of strings")
_NUMBERS = json_of(tuple[Annotated[int, msgspec.Meta(ge=1, le=65535)], ...], "no JSON array of ports")
_PULLS = one_of("default", "always", "once", "prefer-cached")

VARIABLES: dict[str, Variable] = {
    "ECS_BACKEND_HOST": Variable("endpoint", str),
    "AWS_ENDPOINT_URL": Variable("endpoint", str),
    "ECS_DATADIR": Variable("state_dir", str),
    "ECS_CLUSTER": Variable("cluster", str),
    "AWS_DEFAULT_REGION": Variable("region", str),
    "AWS_REGION": Variable("region", str),
    "DOCKER_HOST": Variable("runtime_address", _docker_socket),
    "ECS_INSTANCE_ATTRIBUTES": Variable("attributes", _STRINGS, required=True),
    "ECS_CONTAINER_INSTANCE_TAGS": Variable("instance_tags", _STRINGS, required=True),
    "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM": Variable("propagate_tags_from", one_of("none", "ec2_instance")),
    "ECS_AVAILABLE_LOGGING_DRIVERS": Variable("logging_drivers", json_of(tuple[str, ...], "no JSON array of strings")),
    "ECS_RESERVED_MEMORY": Variable("reserved_memory", whole(0, _LAST_PORT)),
    "ECS_RESERVED_PORTS": Variable("reserved_ports", _NUMBERS),
    "ECS_RESERVED_PORTS_UDP": Variable("reserved_ports_udp", _NUMBERS),
    "ECS_DYNAMIC_HOST_PORT_RANGE": Variable("dynamic_host_ports", port_range),
    "ECS_EXCLUDE_IPV6_PORTBINDING": Variable("exclude_ipv6_bindings", boolean),
    "ECS_CONTAINER_STOP_TIMEOUT": Variable("stop_timeout", raised_to(1.0)),
    "ECS_CONTAINER_START_TIMEOUT": Variable("start_timeout", raised_to(45.0)),
    "ECS_CONTAINER_CREATE_TIMEOUT": Variable("create_timeout", raised_to(60.0)),
    "ECS_IMAGE_PULL_TIMEOUT": Variable("pull_timeout", at_least(1.0)),
    "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": Variable("task_cleanup_wait", at_least(1.0)),
    "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER": Variable("task_cleanup_jitter", duration),
    "ECS_DISABLE_IMAGE_CLEANUP": Variable("image_cleanup", negated),
    "ECS_IMAGE_CLEANUP_INTERVAL": Variable("image_cleanup_interval", at_least(600.0)),
    "ECS_IMAGE_MINIMUM_CLEANUP_AGE": Variable("image_minimum_age", duration),
    "ECS_NUM_IMAGES_DELETE_PER_CYCLE": Variable("images_per_cycle", whole(1, 1 << 31)),
    "ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP": Variable("untracked_cleanup", boolean),
    "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE": Variable("untracked_image_age", duration),
    "ECS_EXCLUDE_UNTRACKED_IMAGE": Variable("untracked_excluded", _words),
    "ECS_IMAGE_PULL_BEHAVIOR": Variable("image_pull_behavior", _PULLS),
    "ECS_ENGINE_AUTH_TYPE": Variable("registry_auth_type", one_of("docker", "dockercfg")),
    "ECS_ENGINE_AUTH_DATA": Variable("registry_auth", _registries),
    "ECS_DISABLE_PRIVILEGED": Variable("disable_privileged", boolean),
    "ECS_ENABLE_TASK_ENI": Variable("task_eni", boolean),
    "ECS_EBSTA_SUPPORTED": Variable("ebs_volumes", boolean),
    "ECS_AWSVPC_BLOCK_IMDS": Variable("block_instance_metadata", boolean),
    "ECS_SELINUX_CAPABLE": Variable("selinux", boolean),
    "ECS_APPARMOR_CAPABLE": Variable("apparmor", boolean),
    "ECS_ENABLE_TASK_IAM_ROLE": Variable("task_roles", boolean),
    "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST": Variable("task_roles_network_host", boolean),
    "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE": Variable("awslogs_execution_role", boolean),
    "ECS_ENABLE_TASK_CPU_MEM_LIMIT": Variable("task_limits", boolean),
    "ECS_TASK_PIDS_LIMIT": Variable("task_pids", whole(1, 4 << 20)),
    "ECS_ENABLE_CONTAINER_METADATA": Variable("container_metadata", boolean),
    "ECS_ENABLE_GPU_SUPPORT": Variable("gpu_support", boolean),
    "ECS_NVIDIA_RUNTIME": Variable("nvidia_runtime", str),
    "ECS_DISABLE_METRICS": Variable("metrics", negated),
    "ECS_POLLING_METRICS_WAIT_DURATION": Variable("metrics_interval", raised_to(5.0, 20.0)),
    "ECS_LOGLEVEL": Variable("log_level", _level),
    "ECS_LOGLEVEL_ON_INSTANCE": Variable("log_file_level", lambda text: "" if text == "none" else _level(text)),
    "ECS_LOGFILE": Variable("log_file", str),
    "ECS_LOG_ROLLOVER_TYPE": Variable("log_rollover", one_of("size", "hourly")),
    "ECS_LOG_MAX_FILE_SIZE_MB": Variable("log_megabytes", whole(1, 1 << 20)),
    "ECS_LOG_MAX_ROLL_COUNT": Variable("log_files", whole(1, 1 << 20)),
    "ECS_LOG_OUTPUT_FORMAT": Variable("log_format", one_of("logfmt", "json")),
}

# What AWS's agent has and this one does not act on, and why.
NOT_ACTED_ON: dict[str, str] = {
    "CREDENTIALS_FETCHER_HOST": "gMSA is not supported",
    "CREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA": "gMSA is not supported",
    "ECS_AGENT_HEALTHCHECK_HOST": "the agent is no container and has no health check",
    "ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS": "introspection listens on loopback only",
    "ECS_ALTERNATE_CREDENTIAL_PROFILE": "credentials come from the environment, the instance's role or an activation",
    "ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES": "a task's interface has the routes of its subnet",
    "ECS_CGROUP_CPU_PERIOD": "the period is the kernel's default of 100 ms",
    "ECS_CGROUP_PATH": "cgroups are found where they are mounted",
    "ECS_CHECKPOINT": "state is always kept",
    "ECS_CNI_PLUGINS_PATH": "networks are made without plugins",
    "ECS_DISABLE_DOCKER_HEALTH_CHECK": "the agent is no container and has no health check",
    "ECS_ENABLE_HIGH_DENSITY_ENI": "the number of a task's interfaces has no such limit",
    "ECS_ENABLE_RUNTIME_STATS": "it is of Go's runtime",
    "ECS_ENABLE_SPOT_INSTANCE_DRAINING": "instances have no interruption notices",
    "ECS_EXTERNAL": "a machine becomes an external instance by `dryport join`",
    "ECS_FSX_WINDOWS_FILE_SERVER_SUPPORTED": "it is for Windows",
    "ECS_GMSA_SUPPORTED": "gMSA is not supported",
    "ECS_HOST_DATA_DIR": "the agent is no container: ECS_DATADIR is the host's directory",
    "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT": "ECS_IMAGE_PULL_TIMEOUT bounds a pull",
    "ECS_LOG_DRIVER": "the agent is no container: its log is ECS_LOGFILE and the console",
    "ECS_LOG_OPTS": "the agent is no container: its log is ECS_LOGFILE and the console",
    "ECS_MANIFEST_PULL_TIMEOUT": "ECS_IMAGE_PULL_TIMEOUT bounds a pull",
    "ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME": "introspection listens on loopback only",
    "ECS_POLL_METRICS": "metrics are always polled, every ECS_POLLING_METRICS_WAIT_DURATION",
    "ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT": "images are pulled at once, whatever depends on what",
    "ECS_SHARED_VOLUME_MATCH_FULL_CONFIG": "volumes of Docker's drivers are not supported",
    "ECS_SKIP_LOCALHOST_TRAFFIC_FILTER": "packets for 169.254.170.2 that come from elsewhere are always dropped",
    "ECS_TASK_METADATA_RPS_LIMIT": "the metadata endpoint has no limit",
    "ECS_UPDATES_ENABLED": "the agent comes with the image",
    "ECS_UPDATE_DOWNLOAD_DIR": "the agent comes with the image",
    "ECS_WARM_POOLS_CHECK": "there are no warm pools",
    "HTTPS_PROXY": "the agent calls its endpoint directly",
    "HTTP_PROXY": "the agent calls its endpoint directly",
}


def read(environment: Mapping[str, str]) -> Found:
    """The settings that are in the environment; empty values count as absent.

    A value that cannot be read leaves the default in force, as AWS's agent does, and is told of. Raises ValueError
    where the agent must not start: attributes and tags decide where tasks run.
    """
    found = Found({}, [])
    for name, variable in VARIABLES.items():
        text = environment.get(name, "").strip()
        if not text:
            continue
        try:
            found.settings[variable.setting] = variable.read(text)
        except ValueError as error:
            if variable.required:
                raise ValueError(f"{name}: {error}") from None
            found.warnings.append(f"{name} is ignored and its default in force: {error}")
    found.warnings.extend(_unused(environment))
    return found


def _unused(environment: Mapping[str, str]) -> list[str]:
    warnings = []
    for name in sorted(environment):
        if why := NOT_ACTED_ON.get(name):
            warnings.append(f"{name} is not acted on: {why}")
        elif name.startswith("ECS_") and name not in VARIABLES:
            warnings.append(f"{name} is no setting of this agent")
    return warnings
