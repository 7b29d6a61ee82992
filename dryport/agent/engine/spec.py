"""The runtime's container specification from the control plane's payload: pure functions.

Docker's own names are those of its Engine API (``HostConfig``, ``Config``), in which the payload speaks.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from typing import Any

import msgspec

from dryport.agent.model import ContainerRecord
from dryport.agent.payload import Container, Task
from dryport.agent.runtime import ContainerSpec, Image, Mount, Resources, Ulimit, User

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
_MIN_SHARES = 2
_FARGATE_NOFILE = 65535  # open files, soft and hard
_FARGATE_STORAGE = 20  # GiB, where the task definition does not say
_VISIBLE_GPUS = "NVIDIA_VISIBLE_DEVICES"  # NVIDIA's runtime gives a container these and no others
_LABEL = "com.amazonaws.ecs."


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a container gets from its host and task rather than from its definition.

    ``environment`` holds what is fetched (secrets) and injected, by how strongly it counts: ``weak`` loses to the
    definition's own, ``strong`` wins. ``volumes`` maps a volume's name to its directory on the host; the ``own`` ones
    are the task's, empty at first.
    """

    weak: dict[str, str] = {}
    strong: dict[str, str] = {}
    network: str = ""
    cgroup_parent: str = ""
    volumes: dict[str, str] = {}
    own: frozenset[str] = frozenset()
    users: dict[str, User] = {}  # as whom volumes are used, where that is given
    files: list[Mount] = []  # resolv.conf, hosts, hostname
    hostname: str = ""
    ids: dict[str, str] = {}  # the task's other containers, by name
    log_driver: str = ""
    log_options: dict[str, str] = {}
    bound_storage: bool = False


class SpecError(Exception):
    """The payload asks for what this agent will not or cannot do; the text says what."""


def build(
    task: Task, container: Container, record: ContainerRecord, image: Image, around: Surroundings
) -> ContainerSpec:
    """The specification of one container. Raises SpecError."""
    try:
        config, host = container.config(), container.host_config()
        command = container.override_command() or container.command
    except msgspec.MsgspecError as error:
        raise SpecError(f"the container's configuration is malformed: {error}") from error
    gpus = task.gpus(container.name)
    visible = {_VISIBLE_GPUS: ",".join(gpus)} if gpus else {}
    if task.fargate and host.get("Privileged"):
        raise SpecError("privileged containers are not supported on Fargate")
    return ContainerSpec(
        id=record.id,
        name=container.name,
        image=container.image,
        argv=argv(container.entry_point, command, image),
        environment=image.environment | around.weak | (container.environment or {}) | around.strong | visible,
        working_directory=str(config.get("WorkingDir") or image.working_directory),
        user=str(config.get("User") or image.user),
        hostname=str(config.get("Hostname") or around.hostname),
        labels=labels(task, container.name, config),
        mounts=[*around.files, *mounts(task, container, around), *tmpfs(host)],
        ulimits=ulimits(host, fargate=task.fargate),
        resources=resources(container, host, around.cgroup_parent),
        read_only_root=bool(host.get("ReadonlyRootfs")),
        privileged=bool(host.get("Privileged")),
        init=bool(host.get("Init")),
        terminal=bool(config.get("Tty")),
        interactive=bool(config.get("OpenStdin")),
        add_capabilities=[str(c) for c in host.get("CapAdd") or ()],
        drop_capabilities=[str(c) for c in host.get("CapDrop") or ()],
        devices=devices(host),
        gpus=gpus,
        sysctls={str(k): str(v) for k, v in (host.get("Sysctls") or {}).items()},
        security_options=[str(o) for o in host.get("SecurityOpt") or ()],
        network=around.network or str(host.get("NetworkMode") or task.network_mode or "bridge"),
        published_ports=published_ports(task, container),
        # Where files are given, they have all of this.
        dns_servers=[str(s) for s in host.get("Dns") or () if not around.files],
        dns_search=[str(s) for s in host.get("DnsSearch") or () if not around.files],
        extra_hosts=[] if around.files else extra_hosts(host),
        links=links(container, around.ids),
        pid_mode=shared_mode(task.pid_mode, record, around.ids),
        ipc_mode=shared_mode(task.ipc_mode, record, around.ids),
        log_driver=around.log_driver,
        log_options=around.log_options,
        stop_signal=str(config.get("StopSignal") or image.stop_signal or "SIGTERM"),
        root_size=storage(task) if around.bound_storage else None,
    )


def argv(entry_point: list[str] | None, command: list[str] | None, image: Image) -> list[str]:
    """Entry point and command merged with the image's as Docker does it: an entry point of one's own drops the
    image's command; ``[""]`` drops the image's entry point. Raises SpecError where nothing is left to run."""
    if entry_point:
        merged = [*([] if entry_point == [""] else entry_point), *(command or ())]
    else:
        merged = [*image.entry_point, *(command or image.command)]
    if not merged:
        raise SpecError("no command specified")
    return merged


def labels(task: Task, name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The definition's own labels and ECS's, which win."""
    own = {str(key): str(value) for key, value in (config.get("Labels") or {}).items()}
    return own | {
        _LABEL + "cluster": task.task_cluster_arn,
        _LABEL + "container-name": name,
        _LABEL + "task-arn": task.arn,
        _LABEL + "task-definition-family": task.family,
        _LABEL + "task-definition-version": task.version,
    }


def mounts(task: Task, container: Container, around: Surroundings) -> list[Mount]:
    """The container's mounts, and by ``volumesFrom`` those of others (whose own ``volumesFrom`` count too)."""
    definitions = {c.name: c for c in task.containers or ()}
    found: dict[str, Mount] = {}

    def collect(name: str, read_only: bool, seen: frozenset[str]) -> None:
        source = definitions[name]
        for inherited in source.volumes_from or ():
            if inherited.source_container in definitions and inherited.source_container not in seen:
                collect(inherited.source_container, read_only or bool(inherited.read_only), seen | {name})
        for point in source.mount_points or ():
            if point.source_volume not in around.volumes:
                raise SpecError(f"volume {point.source_volume} is not one of the task's")
            found[point.container_path] = Mount(
                target=point.container_path,
                source=around.volumes[point.source_volume],
                read_only=read_only or bool(point.read_only),
                fill=point.source_volume in around.own,
                as_user=around.users.get(point.source_volume),
            )

    collect(container.name, False, frozenset({container.name}))
    return list(found.values())


def tmpfs(host: Mapping[str, Any]) -> list[Mount]:
    """Memory file systems from Docker's ``Tmpfs`` (path to options, ``size=`` in bytes or with k, m, g)."""
    found = []
    for path, text in (host.get("Tmpfs") or {}).items():
        options = [o for o in str(text or "").split(",") if o]
        sizes = [o.removeprefix("size=") for o in options if o.startswith("size=")]
        rest = [o for o in options if not o.startswith("size=")]
        found.append(Mount(target=path, kind="tmpfs", options=rest, size=_size(sizes[-1]) if sizes else None))
    return found


def _size(text: str) -> int:
    units = {"k": 1 << 10, "m": MEBIBYTE, "g": GIBIBYTE}
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in units else (text, "")
    if not number.isdigit():
        raise SpecError(f"{text!r} is no size of a tmpfs")
    return int(number) * units.get(unit, 1)


def ulimits(host: Mapping[str, Any], *, fargate: bool) -> list[Ulimit]:
    """Resource limits; Fargate has a default for open files."""
    found = [Ulimit(name=str(u["Name"]), soft=int(u["Soft"]), hard=int(u["Hard"])) for u in host.get("Ulimits") or ()]
    if fargate and all(u.name != "nofile" for u in found):
        # A host whose own limit is lower may not be able to raise it (no CAP_SYS_RESOURCE).
        limit = min(_FARGATE_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        found.append(Ulimit(name="nofile", soft=limit, hard=limit))
    return found


def resources(container: Container, host: Mapping[str, Any], cgroup_parent: str) -> Resources:
    """What binds the container itself; 0 and absent mean no limit of its own."""

    def number(name: str) -> int | None:
        return int(host[name]) if host.get(name) else None

    swappiness = host.get("MemorySwappiness")
    return Resources(
        cgroup_parent=cgroup_parent,
        cpu_shares=max(_MIN_SHARES, container.cpu or 0),
        memory=(container.memory or 0) * MEBIBYTE or number("Memory"),
        memory_reservation=number("MemoryReservation"),
        swap=number("MemorySwap"),
        swappiness=None if swappiness is None else int(swappiness),
        pids=number("PidsLimit"),
        shm_size=number("ShmSize"),
    )


def devices(host: Mapping[str, Any]) -> list[dict[str, object]]:
    """Devices in ECS's shape from Docker's (``CgroupPermissions`` is letters of ``rwm``)."""
    names = {"r": "read", "w": "write", "m": "mknod"}
    return [
        {
            "hostPath": str(d["PathOnHost"]),
            "containerPath": str(d.get("PathInContainer") or d["PathOnHost"]),
            "permissions": [names[p] for p in d.get("CgroupPermissions") or "rwm" if p in names],
        }
        for d in host.get("Devices") or ()
    ]


def published_ports(task: Task, container: Container) -> list[dict[str, object]]:
    """Port mappings that the runtime must publish: those of the bridge mode."""
    if task.network_mode in ("awsvpc", "host", "none"):
        return []
    published: list[dict[str, object]] = []
    for port in container.port_mappings or ():
        if port.container_port_range:
            published.append({"containerPortRange": port.container_port_range, "protocol": port.protocol})
        elif port.container_port:
            published.append(
                {"containerPort": port.container_port, "hostPort": port.host_port, "protocol": port.protocol}
            )
    return published


def extra_hosts(host: Mapping[str, Any]) -> list[dict[str, str]]:
    """Host names in ECS's shape from Docker's ``name:address``."""
    pairs = [str(entry).partition(":") for entry in host.get("ExtraHosts") or ()]
    return [{"hostname": name, "ipAddress": address} for name, _, address in pairs]


def links(container: Container, ids: Mapping[str, str]) -> list[str]:
    """Links by the runtime's container ids, each with its alias."""
    found = []
    for link in container.links or ():
        name, _, alias = link.partition(":")
        found.append(f"{ids[name]}:{alias or name}")
    return found


def shared_mode(mode: str | None, record: ContainerRecord, ids: Mapping[str, str]) -> str:
    """A PID or IPC mode: ``task`` means that of the task's first container."""
    if mode != "task":
        return mode or ""
    first = next(iter(ids))
    return "" if first == record.name else f"container:{ids[first]}"


def storage(task: Task) -> int | None:
    """Bytes of ephemeral storage, where the task has a bound."""
    if task.ephemeral_storage is not None:
        return task.ephemeral_storage.size_in_gib * GIBIBYTE
    return _FARGATE_STORAGE * GIBIBYTE if task.fargate else None
