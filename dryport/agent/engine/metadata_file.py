"""The file that describes a container, inside it, where the instance's settings want one.

Source: "Amazon ECS container metadata file", developer guide. It is written when the container is made and again
once it runs, with what is known only then; the container sees a directory, so that the second one is seen.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from dryport.agent.engine.host import Host
from dryport.agent.model import ContainerRecord, TaskRecord
from dryport.agent.payload import Container
from dryport.agent.runtime import ContainerSpec, ContainerState, Mount

VARIABLE = "ECS_CONTAINER_METADATA_FILE"
_NAME = "ecs-container-metadata.json"
_INSIDE = "/opt/ecs/metadata"


def add(host: Host, record: TaskRecord, container: Container, spec: ContainerSpec) -> ContainerSpec:
    """The specification with the file, as far as it can be told before the container runs. Raises OSError."""
    if not host.settings.container_metadata:
        return spec
    state = record.containers[container.name]
    _write(host, record, state, document(host, record, container, state))
    inside = f"{_INSIDE}/{state.endpoint_id}"
    mount = Mount(target=inside, source=str(_directory(host, record, state)), read_only=True)
    return replace(spec, mounts=[*spec.mounts, mount], environment=spec.environment | {VARIABLE: f"{inside}/{_NAME}"})


def complete(host: Host, record: TaskRecord, container: Container, seen: ContainerState) -> None:
    """Tell the rest: the container runs. Raises OSError."""
    if host.settings.container_metadata:
        state = record.containers[container.name]
        told = document(host, record, container, state)
        told["PortMappings"] = [
            {
                "ContainerPort": each["containerPort"],
                "HostPort": each["hostPort"],
                "BindIp": each["bindIP"],
                "Protocol": each["protocol"],
            }
            for each in seen.network_bindings
            if "containerPort" in each
        ]
        _write(host, record, state, told | {"MetadataFileStatus": "READY"})


def remove(host: Host, task_id: str) -> None:
    """Delete a task's files."""
    shutil.rmtree(_root(host) / task_id, ignore_errors=True)


def document(host: Host, record: TaskRecord, container: Container, state: ContainerRecord) -> dict[str, Any]:
    """What is known beforehand."""
    task = record.payload
    return {
        "Cluster": host.identity.cluster,
        "ContainerInstanceARN": host.identity.instance_arn,
        "TaskARN": record.arn,
        "TaskDefinitionFamily": task.family,
        "TaskDefinitionRevision": task.version,
        "ContainerID": state.id,
        "ContainerName": container.name,
        "DockerContainerName": f"/{state.id}",
        "ImageID": state.image_digest,
        "ImageName": container.image,
        "AvailabilityZone": task.availability_zone or host.identity.availability_zone,
        "Networks": [{"NetworkMode": task.network_mode or "bridge"}],
    }


def _root(host: Host) -> Path:
    return host.settings.state_dir / "metadata"


def _directory(host: Host, record: TaskRecord, state: ContainerRecord) -> Path:
    return _root(host) / record.payload.id / state.name


def _write(host: Host, record: TaskRecord, state: ContainerRecord, content: dict[str, Any]) -> None:
    directory = _directory(host, record, state)
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f".{_NAME}"
    unfinished.write_bytes(msgspec.json.encode(content))
    os.chmod(unfinished, 0o644)
    unfinished.rename(directory / _NAME)
