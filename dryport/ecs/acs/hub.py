"""All agents' connections: the websocket handshakes, and the watch that wakes the sessions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from msgspec.structs import replace

from dryport.control.context import Context
from dryport.ecs.acs.handshake import admit
from dryport.ecs.acs.model import TASK_GRANTS
from dryport.ecs.acs.session import Session
from dryport.ecs.acs.telemetry import Telemetry
from dryport.ecs.connect import traffic
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS, Task
from dryport.ecs.services.model import SERVICES, Service
from dryport.gateway.http import Upgrade, WebSocket
from dryport.servicediscovery.model import SERVICES as CLOUD_MAP_SERVICES
from dryport.store import Change, StoreUnavailable, Transaction

_WATCHED = (TASKS, TASK_GRANTS, CONTAINER_INSTANCES, CLOUD_MAP_SERVICES, SERVICES)
_GOING_AWAY = 1001  # RFC 6455 section 7.4.1: the agent comes back at once
_HANG_UP_SECONDS = 2.0
log = logging.getLogger("dryport.ecs.acs")


class Hub:
    """Implements ``control.context.Loop``, and the handlers of ``/acs/ws`` and ``/tcs/ws``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._sessions: dict[str, Session] = {}
        self._connections: dict[asyncio.Task[Any], WebSocket] = {}
        self.telemetry = Telemetry(context)

    async def run(self) -> None:
        """Wake sessions for what changes, until cancelled; then end the connections."""
        try:
            async with self._store.watch(*_WATCHED) as watch:
                await self._store.transact(self._nobody_is_connected)
                async for changes in watch:
                    for change in changes:
                        self._route(change)
        finally:
            await self._hang_up()

    async def acs(self, upgrade: Upgrade) -> None:
        """Handle an agent's control connection."""
        context = self._context
        now = context.clock.time()
        handshake = admit(self._store.reader, context.random, upgrade, "containerInstanceArn", "ecs:Poll", now)
        if handshake is None:
            return
        instance, query = handshake.instance, handshake.query
        socket = await self._accept(upgrade)
        session = Session(
            self._context,
            socket,
            instance.arn,
            endpoint=handshake.endpoint,
            versions={
                "agent_version": query.get("agentVersion", ""),
                "agent_hash": query.get("agentHash", ""),
                "docker_version": query.get("dockerVersion", ""),
            },
            send_credentials=query.get("sendCredentials") == "true",
        )
        previous = self._sessions.get(instance.arn)
        self._sessions[instance.arn] = session
        if previous is not None:
            # The agent has come back before the end of its last connection was noticed.
            previous.end()
        try:
            await session.run()
        except StoreUnavailable as error:
            log.warning("%s cannot be served: %s", instance.arn, error)
        finally:
            await session.close()
            if self._sessions.get(instance.arn) is session:
                del self._sessions[instance.arn]
                # At the very end there may be no store any more to wait for; the next start resets the flag.
                with contextlib.suppress(StoreUnavailable, TimeoutError):
                    async with asyncio.timeout(_HANG_UP_SECONDS):
                        await self._store.transact(lambda tx: self._disconnected(tx, instance.arn))

    async def tcs(self, upgrade: Upgrade) -> None:
        """Handle an agent's telemetry connection."""
        action, now = "ecs:StartTelemetrySession", self._context.clock.time()
        handshake = admit(self._store.reader, self._context.random, upgrade, "containerInstance", action, now)
        if handshake is not None:
            await self.telemetry.serve(await self._accept(upgrade), handshake.instance.arn)

    async def _accept(self, upgrade: Upgrade) -> WebSocket:
        socket = await upgrade.accept()
        task = asyncio.current_task()
        if task is not None:
            self._connections[task] = socket
            task.add_done_callback(lambda done: self._connections.pop(done, None))
        return socket

    async def _hang_up(self) -> None:
        connections = dict(self._connections)
        for socket in connections.values():
            with contextlib.suppress(ConnectionError):
                await socket.close(_GOING_AWAY)
        for session in self._sessions.values():
            session.end()
        if connections:
            await asyncio.wait(connections, timeout=_HANG_UP_SECONDS)

    def _route(self, change: Change[Any]) -> None:
        item = change.new if change.new is not None else change.old
        if change.table.name == CONTAINER_INSTANCES.name:
            session = self._sessions.get(change.key)
            instance = self._store.reader.get(CONTAINER_INSTANCES, change.key)
            if session and session.connected and (instance is None or not instance.agent_connected):
                session.end()  # somebody knows that the machine is gone, or wants it gone
            return
        if change.table.name == CLOUD_MAP_SERVICES.name:
            # Somebody is reached elsewhere: each change of a service's instances changes its revision.
            self._wake_clients(change.key)
            return
        if change.table.name == SERVICES.name:
            names = item.connect_services if item is not None else ()
            for each in names if _shifted(change.old, change.new) else ():
                self._wake_clients(each)
            return
        task = item if change.table.name == TASKS.name else self._store.reader.get(TASKS, change.key)
        if task is None:
            return
        if change.table.name == TASKS.name and (change.new is None or task.last_status == "STOPPED"):
            self.telemetry.forget(task.arn)
        self._wake(task)

    def _wake_clients(self, cloud_map_service: str) -> None:
        for each in self._store.reader.find(TASKS, "connect", cloud_map_service):
            self._wake(each)

    def _wake(self, task: Task) -> None:
        session = self._sessions.get(task.instance_arn or "")
        if session:
            session.look_at((task.arn,))

    def _nobody_is_connected(self, tx: Transaction) -> None:
        for instance in tx.all(CONTAINER_INSTANCES):
            if instance.agent_connected and instance.arn not in self._sessions:
                tx.put(CONTAINER_INSTANCES, replace(instance, agent_connected=False))

    def _disconnected(self, tx: Transaction, instance_arn: str) -> None:
        instance = tx.get(CONTAINER_INSTANCES, instance_arn)
        if instance is not None and instance_arn not in self._sessions:
            tx.put(CONTAINER_INSTANCES, replace(instance, agent_connected=False))


def _shifted(old: Service | None, new: Service | None) -> bool:
    """Whether the traffic of a service goes elsewhere than before."""
    return any(traffic.shares(old, test=test) != traffic.shares(new, test=test) for test in (False, True))
