"""What a task needs before its containers can be made: network, limits, volumes, secrets, environment files, log
groups. All of it is fetched and set up at once."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from dryport.agent.engine import block_volumes, envfile, file_systems, metadata_file, sandbox, secrets
from dryport.agent.engine.errors import RESOURCE, TaskFailure, because
from dryport.agent.engine.host import Host
from dryport.agent.engine.network import directory_of
from dryport.agent.engine.spec import MEBIBYTE, Surroundings
from dryport.agent.metadata.urls import injected_environment
from dryport.agent.model import TaskRecord
from dryport.agent.payload import Container, Task
from dryport.aws import arn
from dryport.client import PATIENCE, ApiError, Credentials, Unreachable
from dryport.host import cgroups

_DEVICE_TIMEOUT = 20.0  # seconds until a volume's device must be there
_MIN_MEMORY = 4 * MEBIBYTE


class Provisioned(msgspec.Struct):
    """What was fetched: secrets by provider and ``valueFrom``, environment files' variables by container."""

    secrets: dict[tuple[str, str], str]
    files: dict[str, dict[str, str]]


def execution_credentials(record: TaskRecord) -> Credentials | None:
    """The execution role's credentials in the client's form."""
    role = record.execution_credentials
    return Credentials(role.access_key_id, role.secret_access_key, role.session_token or None) if role else None


def cgroup_of(host: Host, task: Task) -> str:
    """The path of a task's cgroup, or "" where nothing bounds the task as a whole."""
    limited = task.fargate or host.settings.task_limits
    return f"dryport/{host.settings.slug}/{task.id}" if limited and (task.cpu or task.memory) else ""


async def provision(
    host: Host, record: TaskRecord, fetched: Callable[[Provisioned], None], *, again: bool = False
) -> None:
    """Set up and fetch everything. Raises TaskFailure; the first one counts, the rest is cancelled.

    ``fetched`` is called as soon as containers can be made, which is before they can run. ``again``: an agent before
    this one may have done some of it.
    """
    try:
        async with asyncio.TaskGroup() as group:
            holder = group.create_task(sandbox.create(host, record))
            group.create_task(resume(host, record, holder, again=again))
            found = await _fetch(host, record, holder)
            fetched(found)
            await host.logs.prepare(record, found.secrets)  # its options may be secrets
        return
    except* TaskFailure as failures:
        # Leaving through the group keeps the others' tracebacks out of the stopped reason.
        failure = failures.exceptions[0]
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    raise failure


async def _fetch(host: Host, record: TaskRecord, holder: asyncio.Task[None]) -> Provisioned:
    """All that containers are made of."""
    async with asyncio.TaskGroup() as group:
        if record.namespace and record.sandbox is None:
            group.create_task(host.network.prepare(record.namespace))
        group.create_task(asyncio.to_thread(_local, host, record.payload))
        group.create_task(host.proxies.prepare(record.payload))
        values = group.create_task(_secrets(host, record))
        files = group.create_task(_files(host, record))
        await asyncio.shield(holder)
    return Provisioned(secrets=values.result(), files=files.result())


async def resume(
    host: Host, record: TaskRecord, holder: asyncio.Task[None] | None = None, *, again: bool = True
) -> None:
    """What also a task whose containers exist already needs again after the agent was away.

    ``holder`` is done once what holds its network namespace is made.
    """
    if record.namespace:
        if holder is not None:
            await asyncio.shield(holder)
        await host.network.prepare(record.namespace, await sandbox.start(host, record))
        await host.network.join(record.namespace, record.payload.elastic_network_interfaces or [], again=again)
    await host.proxies.lead(record)
    await host.metadata.serve(record)


def _local(host: Host, task: Task) -> None:
    if path := cgroup_of(host, task):
        memory = max(_MIN_MEMORY, task.memory * MEBIBYTE) if task.memory else None
        shares = round(task.cpu * 1024) if task.cpu else None
        pids = None if task.fargate else host.settings.task_pids
        cgroups.create(path, cpu_quota=task.cpu or None, cpu_shares=shares, memory=memory, pids=pids)
    own = directory_of(host.settings, task.id)
    for directory in map(Path, volumes(host, task).values()):
        if directory.is_relative_to(own):  # a volume with a source path is the host's affair
            directory.mkdir(parents=True, mode=0o755, exist_ok=True)
    file_systems.prepare(host.settings, task)
    for volume in block_volumes.volumes(task).values():
        block_volumes.mount(volume, _DEVICE_TIMEOUT)  # by now only where an agent before this one let go of it


def volumes(host: Host, task: Task) -> dict[str, str]:
    """The host's directory of each of the task's volumes; one without a source path lives as long as the task."""
    own = directory_of(host.settings, task.id) / "volumes"
    shared = {name: str(file_systems.place(host.settings, task.id, name)) for name in file_systems.volumes(task)}
    shared |= {name: str(volume.place) for name, volume in block_volumes.volumes(task).items()}
    return {
        volume.name: (volume.host.source_path if volume.host else "") or str(own / volume.name)
        for volume in task.volumes or ()
    } | shared


def surroundings(host: Host, record: TaskRecord, container: Container, found: Provisioned) -> Surroundings:
    """What one container gets from its task and host. Raises msgspec.DecodeError for a malformed configuration."""
    task, state = record.payload, record.containers[container.name]
    shared = file_systems.volumes(task)
    volumes_of_host = [each for each in task.volumes or () if each.name not in shared and each.type != "attachment"]
    interfaces = task.elastic_network_interfaces or []
    files = host.network.files(task.id, interfaces[0], container) if record.namespace else []
    log_driver, log_options = _log_driver(host, container, found)
    injected = injected_environment(host.settings, record, state)
    return Surroundings(
        weak=found.files.get(container.name, {}) | injected.weak,
        strong=secrets.environment(container, found.secrets) | injected.strong,
        network=_network(record),
        cgroup_parent=f"/{cgroup}" if (cgroup := cgroup_of(host, task)) else "",
        volumes=volumes(host, task),
        own=frozenset(v.name for v in volumes_of_host if v.host is None or not v.host.source_path),
        users=file_systems.users(task),
        files=[*files, *host.proxies.mounts(task, container)],
        hostname=interfaces[0].private_dns_name if record.namespace and record.sandbox is None else "",
        ids={name: c.id for name, c in record.containers.items()},
        log_driver=log_driver,
        log_options=log_options,
        bound_storage=host.settings.runtime != "docker",
    )


def _network(record: TaskRecord) -> str:
    """The network that the task's containers join, where it has one of its own."""
    if record.sandbox is not None:
        return f"container:{record.sandbox.id}"
    return f"/run/netns/{record.namespace}" if record.namespace else ""


def _log_driver(host: Host, container: Container, found: Provisioned) -> tuple[str, dict[str, str]]:
    """The driver that the runtime is asked for and its options; "": it keeps the output, for the agent to ship."""
    config: dict[str, Any] = container.host_config().get("LogConfig") or {}
    driver = str(config.get("Type") or "")
    if host.logs.keeps(driver):
        return "", {}
    options = {str(name): str(value) for name, value in (config.get("Config") or {}).items()}
    return driver, options | secrets.log_options(container, found.secrets)


async def _secrets(host: Host, record: TaskRecord) -> dict[tuple[str, str], str]:
    if not any(c.secrets for c in record.payload.containers or ()):
        return {}
    credentials = execution_credentials(record)
    if credentials is None:
        raise TaskFailure(f"{RESOURCE}: unable to pull secrets or registry auth: the task has no execution role")
    return await secrets.fetch(record.payload, host.client, credentials)


async def _files(host: Host, record: TaskRecord) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    credentials = execution_credentials(record) or host.identity.credentials()
    for container in record.payload.containers or ():
        parsed = [await _file(host, file.value, credentials) for file in container.environment_files or ()]
        found[container.name] = envfile.merge(parsed)
    return found


async def _file(host: Host, value: str, credentials: Credentials) -> dict[str, str]:
    parts = arn.parse(value)
    bucket, _, key = (parts.resource if parts else "").partition("/")
    if not key:
        raise TaskFailure(f"{RESOURCE}: failed to download env files: invalid s3 arn {value}")
    try:
        content = await host.client.get_object(bucket, key, credentials, patience=PATIENCE)
        return envfile.parse(content.decode())
    except (ApiError, Unreachable) as error:
        why = because(error)
    except UnicodeDecodeError:
        why = "the file is not UTF-8"
    raise TaskFailure(f"{RESOURCE}: failed to download env files: file download command: {value}: {why}")


async def release(host: Host, record: TaskRecord) -> None:
    """Let go of network and limits: the containers no longer run."""
    await host.metadata.end(record.arn)
    host.ports.release(container.id for container in record.containers.values())
    await asyncio.to_thread(host.proxies.forget, record.payload)
    await sandbox.remove(host, record)
    if record.namespace:
        await host.network.leave(record.namespace, record.payload.elastic_network_interfaces or [])
    await asyncio.to_thread(file_systems.release, host.settings, record.payload.id)
    await asyncio.to_thread(block_volumes.release, record.payload.id)
    if path := cgroup_of(host, record.payload):
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.to_thread(cgroups.delete, path)


def remove_files(host: Host, task_id: str) -> None:
    """Delete a task's files and its own volumes."""
    shutil.rmtree(directory_of(host.settings, task_id), ignore_errors=True)
    metadata_file.remove(host, task_id)
