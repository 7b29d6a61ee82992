"""The container agent as a process: ``python -m dryport.agent.main --endpoint URL --state-dir DIR …``."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

import aiohttp
import uvloop

from dryport.agent import gpus, own_log
from dryport.agent import settings as agent_settings
from dryport.agent.acs.registration import Registration, RegistrationRefused
from dryport.agent.acs.session import Session
from dryport.agent.connect.proxies import Proxies
from dryport.agent.engine.engine import Engine
from dryport.agent.engine.host import Host
from dryport.agent.engine.images import Images
from dryport.agent.engine.network import Network
from dryport.agent.engine.ports import Ports
from dryport.agent.engine.submit import Submitter
from dryport.agent.identity import Identity, NoCredentials
from dryport.agent.logs.service import Logs
from dryport.agent.managed import Keeper
from dryport.agent.metadata.server import Metadata
from dryport.agent.runtime import Runtime, RuntimeFailure, factory
from dryport.agent.runtime.image_gc import Cleanup
from dryport.agent.settings import Settings
from dryport.agent.state import State
from dryport.agent.tcs.session import Telemetry
from dryport.client import Client
from dryport.host import cgroups

log = logging.getLogger("dryport.agent")
DOCKER_SOCKET = "/var/run/docker.sock"
TASKS_CGROUP = "dryport"  # of all tasks on Fargate of this machine
REFUSED = 5  # exit status: the control plane will not have this agent; starting it again is of no use


def runtime_of(settings: Settings) -> Runtime:
    """The runtime that the settings name."""
    return factory.make(
        settings.runtime,
        settings.state_dir,
        instance_id=settings.slug,
        containerd_socket=settings.runtime_address,
        containerd_registries=settings.runtime_root,
        docker_socket=str(settings.runtime_address or DOCKER_SOCKET),
        exclude_ipv6_bindings=settings.exclude_ipv6_bindings,
        nvidia_runtime=settings.nvidia_runtime,
        cleanup=Cleanup(
            enabled=settings.image_cleanup,
            interval=settings.image_cleanup_interval,
            minimum_age=settings.image_minimum_age,
            per_cycle=settings.images_per_cycle,
            untracked=settings.untracked_cleanup,
            untracked_age=settings.untracked_image_age,
            excluded=settings.untracked_excluded,
            container_age=settings.task_cleanup_wait,
        ),
    )


async def run(settings: Settings) -> None:
    """Be the agent until cancelled. Raises RegistrationRefused, NoCredentials, OSError."""
    if settings.managed_identity is None:
        await _run_as(Identity(settings.credentials_file), settings)
        return
    credentials_file = settings.state_dir / "credentials.json"
    keeper = Keeper(settings.managed_identity, credentials_file)
    await keeper.renew()
    async with asyncio.TaskGroup() as group:
        group.create_task(keeper.run())
        group.create_task(_run_as(Identity(credentials_file), settings))


async def _run_as(identity: Identity, settings: Settings) -> None:
    identity.credentials()
    state = State(settings.state_dir / "agent.db")
    runtime = runtime_of(settings)
    # No limit of connections: a call must not wait for another one's slow answer.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)) as session:
        client = Client(session, settings.endpoint, settings.region)
        try:
            await _run(settings, identity, state, runtime, client)
        finally:
            await state.close()
            await runtime.close()


async def _run(settings: Settings, identity: Identity, state: State, runtime: Runtime, client: Client) -> None:
    submitter = Submitter(client, identity)
    metadata = Metadata(settings, runtime, client, identity)
    docker = settings.runtime == "docker"
    logs = Logs(state, runtime, client, identity, docker=docker, execution_role=settings.awslogs_execution_role)
    offered = gpus.find(settings.gpu_support) if docker else gpus.NONE
    registration = Registration(settings, state, client, identity, offered)
    registration.remembered()
    proxies = Proxies(settings, runtime)
    host = Host(
        settings=settings,
        state=state,
        runtime=runtime,
        client=client,
        identity=identity,
        images=Images(settings, runtime, client, identity),
        network=Network(settings),
        logs=logs,
        metadata=metadata,
        ports=Ports(settings.dynamic_host_ports),
        proxies=proxies,
        health_changed=lambda: None,
    )
    engine = Engine(host, submitter)
    engine.load()
    version = await _runtime_version(runtime)
    telemetry = Telemetry(
        client=client,
        registration=registration,
        identity=identity,
        runtime=runtime,
        records=engine.records,
        runtime_version=version,
        interval=settings.metrics_interval if settings.metrics else None,
        cpus=(settings.cpu or (os.cpu_count() or 1) * 1024) / 1024,
        proxies=proxies,
    )
    host.health_changed = telemetry.health_changed
    control = Session(
        client=client,
        registration=registration,
        identity=identity,
        engine=engine,
        state=state,
        runtime_version=version,
        connected=submitter.online,
    )

    async def connect() -> None:
        await registration.register()
        async with asyncio.TaskGroup() as connections:
            connections.create_task(control.run())
            connections.create_task(telemetry.run())

    if settings.runtime == "docker":
        await metadata.serve_host(engine.records)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            group.create_task(connect())
    finally:
        await logs.close()
        await metadata.close()


async def _runtime_version(runtime: Runtime) -> str:
    try:
        return await runtime.ping()
    except RuntimeFailure as failure:
        log.warning("the %s daemon is away: %s", runtime.name, failure.message)
        return "unknown"


async def _until_signal(settings: Settings) -> None:
    work = asyncio.ensure_future(run(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def _lock(state_dir: Path) -> int:
    """Hold the state directory for this process alone. Raises BlockingIOError where another agent has it."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(state_dir / "agent.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _give_way(settings: Settings) -> None:
    """Have the tasks that serve get the processor before those that are started, and before this process.

    In a cgroup, since Linux would weigh each conmon, which begins a session, with what it starts as much as all of
    this process otherwise (autogroup, sched(7)).
    """
    cpus = os.cpu_count() or 1
    try:
        cgroups.create(TASKS_CGROUP, cpu_shares=1024 * cpus)
        cgroups.enter(settings.cgroup, cpu_shares=128 * cpus)
    except OSError as error:
        log.warning("what starts tasks gets as much of the processors as they do: %s", error)


def main() -> int:
    """Run the agent; the process's exit status."""
    settings = agent_settings.load(sys.argv[1:], os.environ)
    faulthandler.register(signal.SIGUSR2)  # where every thread is, to standard error
    try:
        own_log.configure(settings)
    except OSError as failure:
        print(f"dryport agent: {settings.log_file}: {failure}", file=sys.stderr)
        return 1
    try:
        lock = _lock(settings.state_dir)
    except BlockingIOError:
        print(f"another agent uses {settings.state_dir}", file=sys.stderr)
        return 1
    if settings.runtime != "docker":
        _give_way(settings)
    status = 0
    try:
        uvloop.run(_until_signal(settings))
    except* (RegistrationRefused, NoCredentials) as group:
        for error in _flat(group):
            print(f"dryport agent: {error}", file=sys.stderr)
        status = REFUSED
    os.close(lock)
    return status


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


if __name__ == "__main__":
    sys.exit(main())
