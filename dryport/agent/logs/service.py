"""Every container whose output the agent ships."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from dryport.agent.engine import secrets
from dryport.agent.engine.errors import RESOURCE, TaskFailure
from dryport.agent.identity import Identity
from dryport.agent.logs import options as log_options
from dryport.agent.logs.shipper import Shipper, create
from dryport.agent.model import ContainerRecord, TaskRecord, TaskStatus
from dryport.agent.payload import Container
from dryport.agent.runtime import LogLine, Runtime
from dryport.agent.state import State
from dryport.client import ApiError, Client, Credentials, Unreachable

_DRAIN = 30.0  # seconds that a task's STOPPED waits for its last lines
_KEEP = 3600.0  # seconds that output is kept to be shipped after its task has ended
_SHIPPED = "awslogs"
_KEPT_DRIVERS = ("json-file", "none", "local", "journald")  # output that stays where the runtime keeps it


class Logs:
    """Ships output of containers with the awslogs driver, which it reads where the runtime keeps it.

    Docker's own awslogs driver is not used: what it cannot ship at once, while the platform is away, it drops.
    ``docker``: Docker has other drivers of its own. ``execution_role``: whether shipping is done as that.
    """

    def __init__(
        self,
        state: State,
        runtime: Runtime,
        client: Client,
        identity: Identity,
        *,
        docker: bool = False,
        execution_role: bool = True,
    ) -> None:
        self._state = state
        self._runtime = runtime
        self._client = client
        self._identity = identity
        self._docker = docker
        self._execution_role = execution_role
        self._running: dict[str, tuple[Shipper, asyncio.Task[None]]] = {}
        self._again: set[str] = set()

    def keeps(self, driver: str) -> bool:
        """Whether output that should go to a log driver is kept by the runtime instead, for ``docker logs`` or here."""
        return not self._docker or driver == _SHIPPED

    async def prepare(self, record: TaskRecord, values: dict[tuple[str, str], str]) -> None:
        """Make streams (and groups) before the containers start. Raises TaskFailure."""
        wanted = []
        for container in record.payload.containers or ():
            try:
                options = self._options(record, container, secrets.log_options(container, values))
            except (log_options.OptionsError, msgspec.MsgspecError) as error:
                raise TaskFailure(f"{RESOURCE}: failed to validate logger args: {error}") from error
            if options is not None:
                record.containers[container.name].log_stream = options.stream
                wanted.append(create(self._client, options, self._credentials(record)[0]))
        for result in await asyncio.gather(*wanted, return_exceptions=True):
            if isinstance(result, (ApiError, Unreachable)):
                raise TaskFailure(_missing(result)) from result
            if isinstance(result, BaseException):
                raise result

    def follow(self, record: TaskRecord, container: ContainerRecord, *, again: bool = False) -> None:
        """Ship a container's output from where shipping stopped; it may be under way already.

        ``again``: it has been started another time.
        """
        if again:
            container.log_done = False
            self._again.add(container.id)
        if container.log_done or container.id in self._running:
            return
        definition = next(c for c in record.payload.containers or () if c.name == container.name)
        try:
            options = self._options(record, definition, {})
        except (log_options.OptionsError, msgspec.MsgspecError):
            options = None  # ``prepare`` has said so
        if options is None:
            container.log_done = True
            return

        def read(cursor: str) -> AsyncIterator[LogLine]:
            return self._runtime.logs(container.id, cursor, follow=True)

        def moved(cursor: str) -> None:
            container.log_cursor = cursor
            self._save(record)

        shipper = Shipper(self._client, options, lambda: self._credentials(record), read, moved)
        work = asyncio.get_running_loop().create_task(self._ship(shipper, record, container))
        self._running[container.id] = (shipper, work)

    async def _ship(self, shipper: Shipper, record: TaskRecord, container: ContainerRecord) -> None:
        try:
            while not container.log_done:
                self._again.discard(container.id)
                await shipper.run(container.log_cursor)
                container.log_done = container.id not in self._again  # what was read may have ended with the run before
            self._save(record)
        finally:
            self._again.discard(container.id)
            self._running.pop(container.id, None)

    def ended(self, container: str) -> None:
        """A container has ended: its last lines are shipped at once."""
        if running := self._running.get(container):
            running[0].hurry()

    async def drained(self, record: TaskRecord, timeout: float = _DRAIN) -> bool:
        """Wait until all of a task's output is shipped, at most ``timeout`` seconds; whether it is."""
        for container in record.containers.values():
            if container.started_at is not None:  # what never ran has printed nothing, and never ends
                self.follow(record, container)
                self.ended(container.id)
        work = [self._running[c.id][1] for c in record.containers.values() if c.id in self._running]
        if not work:
            return True
        _, left = await asyncio.wait(work, timeout=timeout)
        return not left

    async def shipped(self, record: TaskRecord) -> None:
        """Wait until all of a task's output is shipped, or has waited too long; then give the rest up."""
        if not await self.drained(record, _KEEP):
            for container in record.containers.values():
                if running := self._running.get(container.id):
                    running[1].cancel()

    async def close(self) -> None:
        """Stop shipping; the next agent goes on."""
        work = [task for _, task in self._running.values()]
        for task in work:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*work, return_exceptions=True)

    def _options(self, record: TaskRecord, container: Container, extra: dict[str, str]) -> log_options.Options | None:
        config: dict[str, Any] = container.host_config().get("LogConfig") or {}
        driver = config.get("Type") or "json-file"
        if driver in _KEPT_DRIVERS or (self._docker and driver != _SHIPPED):
            return None
        if driver != _SHIPPED:
            raise log_options.OptionsError(f"log driver {driver} is not supported here")
        values = {str(k): str(v) for k, v in (config.get("Config") or {}).items()} | extra
        return log_options.read(values, record.containers[container.name], record.payload.id)

    def _credentials(self, record: TaskRecord) -> list[Credentials]:
        """The execution role's, and the host's own for what is left once the task and its sessions have ended."""
        role = record.execution_credentials
        if role is None or not self._execution_role:
            return [self._identity.credentials()]
        of_role = Credentials(role.access_key_id, role.secret_access_key, role.session_token or None)
        over = record.known is TaskStatus.STOPPED
        return [of_role, self._identity.credentials()] if over else [of_role]

    def _save(self, record: TaskRecord) -> None:
        if not record.cleaned:
            self._state.put("task", record.arn, msgspec.json.encode(record))


def _missing(error: ApiError | Unreachable) -> str:
    said = f"{error.code}: {error.message}" if isinstance(error, ApiError) else f"RequestError: {error}"
    return (
        f"{RESOURCE}: failed to validate logger args: create stream has been retried 1 times: "
        f"failed to create Cloudwatch log stream: {said} : exit status 1"
    )
