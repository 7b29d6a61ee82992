"""A container definition in the words of Docker's API: ``dockerConfig.config`` and ``.hostConfig``. Pure.

Sources: Docker Engine API v1.24 (ContainerConfig, HostConfig); "Task definition parameters", ECS developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

MIB = 1024 * 1024
_SECOND = 1_000_000_000  # Docker's durations are nanoseconds
# What ECS fills in where a health check leaves it out.
_HEALTH_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3}


def config(definition: Mapping[str, Any]) -> Json:
    """Docker's container configuration, less what the agent itself takes from the container's other members."""
    found: Json = {}
    _copy(
        definition,
        found,
        user="User",
        workingDirectory="WorkingDir",
        dockerLabels="Labels",
        hostname="Hostname",
        pseudoTerminal="Tty",
        interactive="OpenStdin",
        disableNetworking="NetworkDisabled",
    )
    if definition.get("healthCheck"):
        found["Healthcheck"] = _health_check(definition["healthCheck"])
    return found


def host_config(
    definition: Mapping[str, Any], *, network_mode: str, memory: int, memory_reservation: int | None, log_config: Json
) -> Json:
    """Docker's host configuration. ``memory`` and ``memory_reservation`` are MiB after overrides, 0: no hard limit."""
    linux: Mapping[str, Any] = definition.get("linuxParameters") or {}
    capabilities: Mapping[str, Any] = linux.get("capabilities") or {}
    found: Json = {
        # An awsvpc task's containers share the namespace that holds its interface: the agent names it.
        "NetworkMode": "" if network_mode == "awsvpc" else network_mode,
        "CapAdd": list(capabilities.get("add") or ()),
        "CapDrop": list(capabilities.get("drop") or ()),
        "LogConfig": log_config,
    }
    _copy(
        definition,
        found,
        privileged="Privileged",
        readonlyRootFilesystem="ReadonlyRootfs",
        dnsServers="Dns",
        dnsSearchDomains="DnsSearch",
        dockerSecurityOptions="SecurityOpt",
    )
    if memory_reservation:
        found["MemoryReservation"] = memory_reservation * MIB
    if definition.get("ulimits"):
        found["Ulimits"] = [
            {"Name": limit["name"], "Soft": limit["softLimit"], "Hard": limit["hardLimit"]}
            for limit in definition["ulimits"]
        ]
    if definition.get("extraHosts"):
        found["ExtraHosts"] = [f"{host['hostname']}:{host['ipAddress']}" for host in definition["extraHosts"]]
    if definition.get("systemControls"):
        found["Sysctls"] = {each["namespace"]: each["value"] for each in definition["systemControls"]}
    found.update(_linux(linux, memory))
    return found


def _linux(linux: Mapping[str, Any], memory: int) -> Json:
    found: Json = {}
    if linux.get("initProcessEnabled"):
        found["Init"] = True
    if linux.get("sharedMemorySize"):
        found["ShmSize"] = linux["sharedMemorySize"] * MIB
    if linux.get("maxSwap") is not None and memory:
        # Docker's is the sum of memory and swap.
        found["MemorySwap"] = (memory + linux["maxSwap"]) * MIB
    if linux.get("swappiness") is not None:
        found["MemorySwappiness"] = linux["swappiness"]
    if linux.get("devices"):
        found["Devices"] = [_device(device) for device in linux["devices"]]
    if linux.get("tmpfs"):
        found["Tmpfs"] = {
            mount["containerPath"]: ",".join([f"size={mount['size']}m", *(mount.get("mountOptions") or ())])
            for mount in linux["tmpfs"]
        }
    return found


def _device(device: Mapping[str, Any]) -> Json:
    letters = {"read": "r", "write": "w", "mknod": "m"}
    permissions = device.get("permissions") or letters
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device.get("containerPath") or device["hostPath"],
        "CgroupPermissions": "".join(letters[name] for name in letters if name in permissions),
    }


def _health_check(check: Mapping[str, Any]) -> Json:
    values = {**_HEALTH_DEFAULTS, **check}
    found: Json = {
        "Test": list(check["command"]),
        "Interval": values["interval"] * _SECOND,
        "Timeout": values["timeout"] * _SECOND,
        "Retries": values["retries"],
    }
    if check.get("startPeriod"):
        found["StartPeriod"] = check["startPeriod"] * _SECOND
    return found


def _copy(source: Mapping[str, Any], target: Json, **names: str) -> None:
    for name, docker_name in names.items():
        value = source.get(name)
        if value not in (None, "", [], {}, False):
            target[docker_name] = value
