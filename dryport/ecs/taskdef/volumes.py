"""Volumes and what mounts them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dryport.ecs.model import Json
from dryport.ecs.taskdef.refusal import refusal

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_KINDS = (
    "host",
    "dockerVolumeConfiguration",
    "efsVolumeConfiguration",
    "s3filesVolumeConfiguration",
    "fsxWindowsFileServerVolumeConfiguration",
)


def normalize(volumes: Iterable[Json]) -> list[Json]:
    """The task's volumes with what ECS fills in; one without any configuration is a host volume."""
    if not volumes:
        return []
    normal = [_normalize(volume) for volume in volumes]
    names = [volume["name"] for volume in normal]
    if len(set(names)) != len(names):
        raise refusal("Volume names must be unique within a task definition.")
    if sum(bool(volume.get("configuredAtLaunch")) for volume in normal) > 1:
        raise refusal("Only one volume can be configured at launch.")
    return normal


def check_mounts(containers: Iterable[Json], volumes: Iterable[Json]) -> None:
    """Refuse mount points of unknown volumes and ``volumesFrom`` of unknown containers."""
    containers = list(containers)
    if not volumes and not any(container["mountPoints"] or container["volumesFrom"] for container in containers):
        return
    known = {volume["name"] for volume in volumes}
    names = {container["name"] for container in containers}
    mounted: set[str] = set()
    for container in containers:
        for mount in container["mountPoints"]:
            source = mount.get("sourceVolume")
            if source not in known:
                raise refusal(f"Unknown volume '{source}'.")
            if not mount.get("containerPath"):
                raise refusal("Invalid 'mountPoints' setting. 'containerPath' must be specified.")
            mounted.add(source)
        for other in container["volumesFrom"]:
            source = other.get("sourceContainer")
            if source not in names or source == container["name"]:
                raise refusal(f"Invalid 'volumesFrom' setting. Unknown container: '{source}'")
    for volume in volumes:
        if volume.get("configuredAtLaunch") and volume["name"] not in mounted:
            raise refusal(f"Volumes [{volume['name']}] are not referenced by any of the containers.")


def _normalize(volume: Json) -> Json:
    normal = dict(volume)
    name = volume.get("name")
    if name is None or not _NAME.fullmatch(name):
        raise refusal(f"Invalid volume name '{name or ''}'.")
    kinds = [kind for kind in _KINDS if kind in volume]
    if len(kinds) > 1 or (kinds and volume.get("configuredAtLaunch")):
        raise refusal(f"Invalid 'volumes' setting. Volume '{name}' can only have one configuration.")
    if "dockerVolumeConfiguration" in volume:
        normal["dockerVolumeConfiguration"] = _docker(name, volume["dockerVolumeConfiguration"])
    elif "efsVolumeConfiguration" in volume:
        normal["efsVolumeConfiguration"] = _efs(volume["efsVolumeConfiguration"])
    elif not kinds and not volume.get("configuredAtLaunch"):
        normal["host"] = {}
    return normal


def _docker(name: str, configuration: Json) -> Json:
    normal = {"scope": "task", "driver": "local", **configuration}
    if normal["scope"] == "task" and "autoprovision" in configuration:
        raise refusal(f"Invalid 'volumes' setting. Volume '{name}': autoprovision needs the shared scope.")
    return normal


def _efs(configuration: Json) -> Json:
    normal = {"rootDirectory": "/", **configuration}
    encrypted = configuration.get("transitEncryption") == "ENABLED"
    authorization = configuration.get("authorizationConfig", {})
    if authorization.get("iam") == "ENABLED" and not encrypted:
        raise refusal("EFS IAM authorization requires TransitEncryption to be enabled.")
    if "transitEncryptionPort" in configuration and not encrypted:
        raise refusal("TransitEncryptionPort requires that TransitEncryption is enabled.")
    if "accessPointId" in authorization and normal["rootDirectory"] != "/":
        raise refusal('When using an EFS access point, the root directory must either be set to "/" or be omitted.')
    return normal
