"""A container's OCI runtime specification (``config.json``, version 1.0.2) from what the engine asked for. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.agent.runtime.interface import ContainerSpec, Image, Mount, Resources, RuntimeFailure
from dryport.agent.runtime.oci import defaults
from dryport.agent.runtime.oci.devices import Device
from dryport.agent.runtime.oci.users import Identity

INIT = "/sbin/docker-init"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine adds to a container's specification; paths are the host's.

    A namespace is "" for one of its own, "host" for the host's, otherwise the path of the one to join.
    """

    root: str
    identity: Identity = Identity()
    network: str = ""
    pid: str = ""
    ipc: str = ""
    shm: str = ""  # what becomes /dev/shm; "" for none
    init: str = ""  # the binary that becomes the first process, where the container asks for one
    devices: list[Device] = []
    seccomp: dict[str, Any] | None = None


def build(spec: ContainerSpec, image: Image, around: Surroundings) -> dict[str, Any]:
    """The whole of ``config.json``. Raises RuntimeFailure for what cannot be."""
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": process(spec, image, around),
        "root": {"path": around.root, "readonly": spec.read_only_root},
        "mounts": _mounts(spec, around),
        "annotations": {"dryport.container": spec.id},
        "linux": _linux(spec, around),
    }
    if spec.hostname:
        config["hostname"] = spec.hostname
    return config


def process(spec: ContainerSpec, image: Image, around: Surroundings) -> dict[str, Any]:
    """The ``process`` part: what runs, as whom, with which rights."""
    argv = spec.argv if spec.argv is not None else image.entry_point + image.command
    if not argv:
        raise RuntimeFailure("CannotCreateContainerError", "no command specified")
    if spec.init:
        argv = [INIT, "--", *argv]
    granted = list(capabilities(spec))
    # A process of another user starts with none of them in effect, and may gain them only through file capabilities.
    effective = granted if around.identity.uid == 0 else []
    made: dict[str, Any] = {
        "terminal": spec.terminal,
        "user": {
            "uid": around.identity.uid,
            "gid": around.identity.gid,
            "additionalGids": around.identity.additional,
        },
        "args": argv,
        "env": [f"{name}={value}" for name, value in environment(spec, image, around.identity).items()],
        "cwd": spec.working_directory or image.working_directory or "/",
        "capabilities": {"bounding": granted, "effective": effective, "permitted": effective},
        "noNewPrivileges": _no_new_privileges(spec.security_options),
        "oomScoreAdj": 0,
    }
    if spec.ulimits:
        made["rlimits"] = [
            {"type": f"RLIMIT_{limit.name.upper()}", "soft": _unlimited(limit.soft), "hard": _unlimited(limit.hard)}
            for limit in spec.ulimits
        ]
    return made


def environment(spec: ContainerSpec, image: Image, identity: Identity) -> dict[str, str]:
    """The image's variables under the container's own, and those that Docker adds."""
    base = {"PATH": defaults.PATH}
    if spec.hostname:
        base["HOSTNAME"] = spec.hostname
    if spec.terminal:
        base["TERM"] = "xterm"
    merged = {**base, **image.environment, **spec.environment}
    merged.setdefault("HOME", identity.home)
    return merged


def capabilities(spec: ContainerSpec) -> tuple[str, ...]:
    """Docker's default set, changed by what the container adds and drops; ``ALL`` is meant as Docker means it."""
    if spec.privileged:
        return defaults.ALL_CAPABILITIES
    add = {_capability(name) for name in spec.add_capabilities}
    drop = {_capability(name) for name in spec.drop_capabilities}
    if "CAP_ALL" in add:
        chosen = set(defaults.ALL_CAPABILITIES)
    elif "CAP_ALL" in drop:
        chosen = set()
    else:
        chosen = set(defaults.CAPABILITIES)
    chosen = (chosen - drop) | (add - {"CAP_ALL"}) if "CAP_ALL" not in add else chosen - drop
    unknown = sorted((add | drop) - set(defaults.ALL_CAPABILITIES) - {"CAP_ALL"})
    if unknown:
        raise RuntimeFailure("CannotCreateContainerError", f'invalid capability: "{unknown[0]}"')
    return tuple(name for name in defaults.ALL_CAPABILITIES if name in chosen)


def resources(wanted: Resources, devices: list[Device], *, privileged: bool) -> dict[str, Any]:
    """``linux.resources``; runc translates it for whichever version of cgroups the machine has."""
    made: dict[str, Any] = {
        "devices": [{"allow": True, "access": "rwm"}]
        if privileged
        else [{"allow": False, "access": "rwm"}, *(device.rule() for device in devices)]
    }
    memory = {
        "limit": wanted.memory,
        "reservation": wanted.memory_reservation,
        "swap": wanted.swap,
        "swappiness": wanted.swappiness,
    }
    if memory := {name: value for name, value in memory.items() if value is not None}:
        made["memory"] = memory
    cpu: dict[str, object] = {}
    if wanted.cpu_shares is not None:
        cpu["shares"] = max(2, wanted.cpu_shares)
    if wanted.cpu_quota is not None:
        cpu |= {"period": defaults.CPU_PERIOD, "quota": max(1000, round(wanted.cpu_quota * defaults.CPU_PERIOD))}
    if wanted.cpuset:
        cpu["cpus"] = wanted.cpuset
    if cpu:
        made["cpu"] = cpu
    if wanted.pids is not None:
        made["pids"] = {"limit": wanted.pids}
    return made


def _linux(spec: ContainerSpec, around: Surroundings) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "namespaces": _namespaces(around),
        "cgroupsPath": f"{spec.resources.cgroup_parent.rstrip('/') or '/dryport'}/{spec.id}",
        "resources": resources(spec.resources, around.devices, privileged=spec.privileged),
        "sysctl": spec.sysctls,
        "devices": [device.node() for device in around.devices],
        "rootfsPropagation": "private",
    }
    if not spec.privileged:
        linux["maskedPaths"] = list(defaults.MASKED_PATHS)
        linux["readonlyPaths"] = list(defaults.READ_ONLY_PATHS)
        if around.seccomp is not None:
            linux["seccomp"] = around.seccomp
    return linux


def _namespaces(around: Surroundings) -> list[dict[str, str]]:
    made = [{"type": "mount"}, {"type": "uts"}]
    for kind, where in (("network", around.network), ("pid", around.pid), ("ipc", around.ipc)):
        if where != "host":
            made.append({"type": kind, "path": where} if where else {"type": kind})
    return made


def _mounts(spec: ContainerSpec, around: Surroundings) -> list[dict[str, Any]]:
    made = defaults.mounts(privileged=spec.privileged, own_network=around.network != "host")
    if around.shm:
        options = ["rbind", "rprivate", "rw", "nosuid", "noexec", "nodev"]
        made.append({"destination": "/dev/shm", "type": "bind", "source": around.shm, "options": options})
    if around.init:
        made.append({"destination": INIT, "type": "bind", "source": around.init, "options": ["bind", "ro"]})
    # A mount below another one has to come after it.
    own = sorted(spec.mounts, key=lambda mount: [part for part in mount.target.split("/") if part])
    replaced = {mount.target.rstrip("/") for mount in own}
    made = [mount for mount in made if mount["destination"] not in replaced]
    return made + [_mount(mount) for mount in own]


def _mount(mount: Mount) -> dict[str, Any]:
    access = "ro" if mount.read_only else "rw"
    if mount.kind == "tmpfs":
        options = mount.options or ["nosuid", "noexec", "nodev"]
        size = [f"size={mount.size}"] if mount.size else []
        return {
            "destination": mount.target,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": [*options, *size, *(["ro"] if mount.read_only else [])],
        }
    spread = [option for option in mount.options if option in _PROPAGATION] or ["rprivate"]
    rest = [option for option in mount.options if option not in _PROPAGATION]
    return {
        "destination": mount.target,
        "type": "bind",
        "source": mount.source,
        "options": ["rbind", *spread, access, *rest],
    }


_PROPAGATION = {"private", "rprivate", "shared", "rshared", "slave", "rslave"}


def _capability(name: str) -> str:
    upper = name.upper()
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"


def _no_new_privileges(options: list[str]) -> bool:
    wanted = False
    for option in options:
        match option.replace("=", ":").split(":"):
            case ["no-new-privileges"] | ["no-new-privileges", "true"]:
                wanted = True
            case ["no-new-privileges", "false"]:
                wanted = False
            case _:
                raise RuntimeFailure("CannotCreateContainerError", f"unsupported security option: {option}")
    return wanted


def _unlimited(value: int) -> int:
    return 2**64 - 1 if value < 0 else value
