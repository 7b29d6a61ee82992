"""From a ``ContainerSpec`` to the body of Docker's ``POST /containers/create`` (Engine API 1.41), and back. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dryport.agent.runtime import identities
from dryport.agent.runtime.interface import ContainerSpec, Mount, RuntimeFailure, SandboxSpec

ID_LABEL = "dryport.container"
INSTANCE_LABEL = "dryport.instance"

# Kept by Docker for ``logs``; bounded like the logs of the other runtime.
_KEPT_LOG = {"Type": "json-file", "Config": {"max-size": "32m", "max-file": "4"}}


def create_body(spec: ContainerSpec, instance_id: str) -> dict[str, Any]:
    """The request that makes the container. Raises RuntimeFailure for what Docker has no way to do."""
    if spec.network.startswith("/"):
        raise RuntimeFailure(
            "CannotCreateContainerError", f"Docker joins no prepared network namespace ({spec.network})"
        )
    ports = published(spec)
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": {**spec.labels, ID_LABEL: spec.id, INSTANCE_LABEL: instance_id},
        "Tty": spec.terminal,
        "OpenStdin": spec.interactive,
        "StopSignal": spec.stop_signal,
        "ExposedPorts": {port: {} for port in ports},
        # The agent runs the health checks of ECS itself; those of the image are not ECS's.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host_config(spec, ports),
    }
    if spec.argv is not None:
        # The image's own entry point would come before it again.
        body |= {"Entrypoint": spec.argv[:1], "Cmd": spec.argv[1:]}
    for name, value in (("WorkingDir", spec.working_directory), ("User", spec.user), ("Hostname", spec.hostname)):
        if value:
            body[name] = value
    return body


def sandbox_body(spec: SandboxSpec, image: str, instance_id: str) -> dict[str, Any]:
    """The request that makes a sandbox of an image. Process 1 has no handler of signals: only SIGKILL ends it."""
    return {
        "Image": image,
        "Hostname": spec.hostname,
        "Labels": {**spec.labels, ID_LABEL: spec.id, INSTANCE_LABEL: instance_id},
        "NetworkDisabled": True,
        "StopSignal": "SIGKILL",
        "HostConfig": {
            "CapDrop": ["ALL"],
            "IpcMode": "private",
            "LogConfig": {"Type": "none", "Config": {}},
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "no"},
        },
    }


def host_config(spec: ContainerSpec, ports: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    """The ``HostConfig`` part. ``root_size`` is left out: Docker bounds a writable layer only on some file systems."""
    wanted = spec.resources
    config: dict[str, Any] = {
        "NetworkMode": spec.network or "default",
        "PidMode": spec.pid_mode,
        "IpcMode": spec.ipc_mode or "shareable",  # so that others can join it, as with the other runtime
        "PortBindings": ports,
        "Binds": [_bind(mount) for mount in identities.located(spec.id, spec.mounts) if mount.kind == "bind"],
        "Tmpfs": {mount.target: _tmpfs(mount) for mount in spec.mounts if mount.kind == "tmpfs"},
        "Ulimits": [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in spec.ulimits],
        "CgroupParent": wanted.cgroup_parent,
        "ReadonlyRootfs": spec.read_only_root,
        "Privileged": spec.privileged,
        "Init": spec.init,
        "GroupAdd": [str(number) for number in identities.groups(spec.mounts).values()],
        "CapAdd": spec.add_capabilities,
        "CapDrop": spec.drop_capabilities,
        "Devices": [_device(device) for device in spec.devices],
        "Sysctls": spec.sysctls,
        "SecurityOpt": spec.security_options,
        "Dns": spec.dns_servers,
        "DnsSearch": spec.dns_search,
        "ExtraHosts": [f"{entry['hostname']}:{entry['ipAddress']}" for entry in spec.extra_hosts],
        "Links": spec.links,
        "LogConfig": {"Type": spec.log_driver, "Config": spec.log_options} if spec.log_driver else _KEPT_LOG,
        "RestartPolicy": {"Name": "no"},
    }
    optional = {
        "CpuShares": wanted.cpu_shares,
        "NanoCpus": None if wanted.cpu_quota is None else round(wanted.cpu_quota * 1_000_000_000),
        "CpusetCpus": wanted.cpuset,
        "Memory": wanted.memory,
        "MemoryReservation": wanted.memory_reservation,
        "MemorySwap": wanted.swap,
        "MemorySwappiness": wanted.swappiness,
        "PidsLimit": wanted.pids,
        "ShmSize": wanted.shm_size,
    }
    return config | {name: value for name, value in optional.items() if value is not None}


def gpu_config(gpus: list[str], runtime: str, there: Collection[str]) -> dict[str, Any]:
    """What of ``HostConfig`` gives a container GPUs: NVIDIA's runtime where Docker has it, as ECS's agent asks for.

    Newer installations of NVIDIA's toolkit have no runtime but take a device request; Docker refuses one where there
    is no toolkit at all.
    """
    if runtime in there:
        return {"Runtime": runtime}
    return {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": gpus, "Capabilities": [["gpu"]]}]}


def published(spec: ContainerSpec) -> dict[str, list[dict[str, str]]]:
    """``PortBindings`` of ECS's port mappings; a host port of 0 is chosen by Docker.

    A ``containerPortRange`` comes with the ``hostPortRange`` that the agent has chosen.
    """
    if spec.network in ("host", "none") or spec.network.startswith("container:"):
        return {}
    made: dict[str, list[dict[str, str]]] = {}
    for mapping in spec.published_ports:
        protocol = mapping.get("protocol") or "tcp"
        if span := mapping.get("containerPortRange"):
            first, _, last = str(span).partition("-")
            hosts = int(str(mapping["hostPortRange"]).partition("-")[0])
            for offset in range(int(last) - int(first) + 1):
                made.setdefault(f"{int(first) + offset}/{protocol}", []).append({"HostPort": str(hosts + offset)})
        else:
            host = {"HostPort": str(mapping.get("hostPort") or 0)}
            made.setdefault(f"{mapping['containerPort']}/{protocol}", []).append(host)
    return made


def network_bindings(ports: dict[str, Any] | None, *, exclude_ipv6: bool) -> list[dict[str, object]]:
    """ECS's ``networkBindings`` out of Docker's ``NetworkSettings.Ports``."""
    made: list[dict[str, object]] = []
    for name, bindings in sorted((ports or {}).items()):
        port, _, protocol = name.partition("/")
        made += [
            {
                "bindIP": binding.get("HostIp") or "0.0.0.0",
                "containerPort": int(port),
                "hostPort": int(binding["HostPort"]),
                "protocol": protocol,
            }
            for binding in bindings or ()
            if not (exclude_ipv6 and ":" in (binding.get("HostIp") or ""))
        ]
    return made


def _bind(mount: Mount) -> str:
    return ":".join([mount.source, mount.target, ",".join(["ro" if mount.read_only else "rw", *mount.options])])


def _tmpfs(mount: Mount) -> str:
    size = [f"size={mount.size}"] if mount.size else []
    return ",".join([*mount.options, *size, *(["ro"] if mount.read_only else [])])


def _device(device: dict[str, object]) -> dict[str, object]:
    permissions = device.get("permissions") or ["read", "write", "mknod"]
    assert isinstance(permissions, list)
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device.get("containerPath") or device["hostPath"],
        "CgroupPermissions": "".join(each[0] for each in permissions),
    }
