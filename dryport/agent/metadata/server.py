"""The metadata and credentials endpoints: a socket a task inside its namespace, or one for all on a Docker host.

A task's socket answers for that task only. On a Docker host, where tasks share it, ids cannot be guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from dryport.agent.acs.registration import VERSION
from dryport.agent.identity import Identity
from dryport.agent.metadata import documents
from dryport.agent.metadata.protection import protection
from dryport.agent.metadata.urls import ADDRESS, LISTENER_PORT, PORT
from dryport.agent.model import ContainerRecord, TaskRecord
from dryport.agent.runtime import ContainerStats, Runtime, RuntimeFailure
from dryport.agent.settings import Settings
from dryport.client import ApiError, Client, Unreachable
from dryport.host import sockets, task_endpoint
from dryport.host.nft import NftError

log = logging.getLogger("dryport.agent")
_ENDPOINT = "endpoint"
_OPEN_AGAIN = 5.0  # seconds between attempts to have the endpoint's address
Tasks = Callable[[], Iterable[TaskRecord]]


class Refused(Exception):
    """The endpoint's own answer to a bad request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Metadata:
    """Serves every task's metadata."""

    def __init__(self, settings: Settings, runtime: Runtime, client: Client, identity: Identity) -> None:
        self._settings = settings
        self._runtime = runtime
        self._client = client
        self._identity = identity
        self._servers: dict[str, asyncio.Server] = {}
        self._handlers: dict[str, web.Server] = {}
        self._samples: dict[str, ContainerStats] = {}
        self._opening: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def serve(self, record: TaskRecord) -> None:
        """Open a task's own socket, where it has a namespace of its own; it may be open already."""
        if not record.namespace or record.arn in self._servers:
            return
        listener = await asyncio.to_thread(sockets.listen_in, record.namespace, ADDRESS, LISTENER_PORT)
        await self._listen(record.arn, lambda: (record,), sock=listener)

    async def serve_host(self, records: Mapping[str, TaskRecord]) -> None:
        """Open the host's sockets, for tasks that have no namespace of their own. Raises OSError."""

        def shared() -> list[TaskRecord]:
            return list(records.values())

        await self._listen("host", shared, port=self._settings.metadata_port)
        if not await self._open_endpoint(shared):
            self._opening = asyncio.get_running_loop().create_task(self._keep_opening(shared))
        introspect = self._introspection(records)
        handler = web.Server(introspect)
        self._handlers["introspection"] = handler
        loop = asyncio.get_running_loop()
        self._servers["introspection"] = await loop.create_server(
            handler, "127.0.0.1", self._settings.introspection_port
        )

    async def _keep_opening(self, tasks: Tasks) -> None:
        opened = False
        while not opened and not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _OPEN_AGAIN)
            opened = not self._closing.is_set() and await self._open_endpoint(tasks, told=True)

    async def _open_endpoint(self, tasks: Tasks, *, told: bool = False) -> bool:
        """Answer at the task endpoint's address to what the host itself and its containers ask.

        False while it cannot be: Docker is away, or another agent of this machine has the address. ``told``: that was
        said already.
        """
        try:
            bridge = await self._runtime.bridge()
            listener = await asyncio.to_thread(task_endpoint.open, ADDRESS, PORT, LISTENER_PORT, bridge)
        except (OSError, RuntimeFailure, NftError) as error:
            level = logging.DEBUG if told else logging.WARNING
            log.log(level, "tasks of the bridge and host modes have no metadata at %s: %s", ADDRESS, error)
            return False
        await self._listen(_ENDPOINT, tasks, sock=listener)
        return True

    async def _listen(self, name: str, tasks: Tasks, *, sock: object = None, port: int = 0) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._handle(request, tasks)

        handler = web.Server(handle, access_log=None)
        loop = asyncio.get_running_loop()
        if sock is not None:
            server = await loop.create_server(handler, sock=sock)  # type: ignore[call-overload]
        else:
            server = await loop.create_server(handler, "127.0.0.1", port)
        self._servers[name], self._handlers[name] = server, handler

    async def end(self, task: str) -> None:
        """Close a task's socket."""
        server, handler = self._servers.pop(task, None), self._handlers.pop(task, None)
        if server is not None:
            server.close()
        if handler is not None:
            await handler.shutdown(timeout=0)

    def forget(self, container: str) -> None:
        """A container is gone: let go of its last counters."""
        self._samples.pop(container, None)

    async def close(self) -> None:
        """Close every socket."""
        self._closing.set()
        if self._opening is not None:
            await self._opening  # what it is doing must not be left half done
        opened = _ENDPOINT in self._servers
        for name in list(self._servers):
            await self.end(name)
        if opened:
            await asyncio.to_thread(task_endpoint.close, ADDRESS, LISTENER_PORT)

    async def _handle(self, request: web.BaseRequest, tasks: Tasks) -> web.StreamResponse:
        try:
            document = await self._route(request, tasks)
        except Refused as refused:
            return _json(refused.text, refused.status)
        except (RuntimeFailure, ApiError, Unreachable) as error:
            log.info("metadata %s: %s", request.path, error)
            return _json(str(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        return document if isinstance(document, web.StreamResponse) else _json(document)

    async def _route(self, request: web.BaseRequest, tasks: Tasks) -> object:
        parts = request.path.strip("/").split("/")
        if request.method == "GET" or (request.method == "PUT" and parts[0] == "api"):
            match parts:
                case ["v4" | "v3" as version, endpoint, *rest]:
                    return await self._metadata(int(version[1]), endpoint, rest, tasks)
                case ["v2", "credentials", id]:
                    return _credentials(id, tasks)
                case ["v2", "metadata" | "stats" as what, *rest]:
                    return await self._version2(what, rest, tasks)
                case ["api", endpoint, "task-protection", "v1", "state"]:
                    record, _ = _find(endpoint, tasks)
                    status, body = await protection(request, record, self._client)
                    return _json(body, status)
                case _:
                    pass
        raise Refused(HTTPStatus.NOT_FOUND, "404 page not found")

    async def _metadata(self, version: int, endpoint: str, rest: list[str], tasks: Tasks) -> object:
        record, container = _find(endpoint, tasks)
        zone = self._identity.availability_zone
        match rest:
            case []:
                return documents.container(record, container, version=version)
            case ["task"]:
                return documents.task(record, zone, version=version)
            case ["taskWithTags"]:
                return documents.task(record, zone, version=version) | await self._tags(record)
            case ["stats"]:
                return await self._stats(container)
            case ["task", "stats"]:
                return {c.id: await self._stats(c) for c in record.containers.values()}
            case _:
                raise Refused(HTTPStatus.NOT_FOUND, "404 page not found")

    async def _version2(self, what: str, rest: list[str], tasks: Tasks) -> object:
        if tasks_share(tasks):
            raise Refused(HTTPStatus.BAD_REQUEST, "unable to get task: version 2 serves awsvpc tasks only")
        record = next(iter(tasks()))
        chosen = [c for c in record.containers.values() if rest in ([], [c.id])]
        if not chosen:
            raise Refused(HTTPStatus.BAD_REQUEST, f"unable to find container '{rest[0]}'")
        if what == "stats":
            found = {c.id: await self._stats(c) for c in chosen}
            return found if not rest else found[rest[0]]
        if rest:
            return documents.container(record, chosen[0], version=2)
        return documents.task(record, self._identity.availability_zone, version=2)

    async def _stats(self, container: ContainerRecord) -> object:
        now = await self._runtime.stats(container.id)
        if now is None:
            return None
        before = self._samples.get(container.id)
        self._samples[container.id] = now
        return documents.stats(now, before, container.name, container)

    async def _tags(self, record: TaskRecord) -> dict[str, object]:
        found: dict[str, object] = {}
        for name, arn in (("TaskTags", record.arn), ("ContainerInstanceTags", self._identity.instance_arn)):
            request = {"resourceArn": arn}
            answer = await self._client.call("ecs", "ListTagsForResource", request, self._identity.credentials())
            if tags := answer.get("tags"):
                found[name] = {tag["key"]: tag.get("value", "") for tag in tags}
        return found

    def _introspection(
        self, records: Mapping[str, TaskRecord]
    ) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            tasks = [_introspected(record) for record in records.values()]
            match request.path.rstrip("/"):
                case "/v1/metadata":
                    return _json(
                        {
                            "Cluster": self._identity.cluster,
                            "ContainerInstanceArn": self._identity.instance_arn,
                            "Version": f"Dryport ECS Agent - v{VERSION}",
                        }
                    )
                case "/v1/tasks":
                    wanted = request.query
                    if arn := wanted.get("taskarn"):
                        tasks = [t for t in tasks if t["Arn"] == arn]
                    elif id := wanted.get("dockerid"):
                        tasks = [t for t in tasks if any(c["DockerId"].startswith(id) for c in t["Containers"])]
                    else:
                        return _json({"Tasks": tasks})
                    return _json(tasks[0]) if tasks else _json({}, HTTPStatus.BAD_REQUEST)
                case "" | "/v1":
                    return _json({"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]})
                case _:
                    return _json("404 page not found", HTTPStatus.NOT_FOUND)

        return handle


def tasks_share(tasks: Tasks) -> bool:
    """Whether the socket is the host's: there a task is known only by an id that cannot be guessed."""
    records = list(tasks())
    return len(records) != 1 or not records[0].namespace


def _find(endpoint: str, tasks: Tasks) -> tuple[TaskRecord, ContainerRecord]:
    for record in tasks():
        for container in record.containers.values():
            if container.endpoint_id == endpoint:
                return record, container
    raise Refused(
        HTTPStatus.BAD_REQUEST,
        f"unable to get container metadata: unable to get docker ID from v3 endpoint ID: {endpoint}",
    )


def _credentials(id: str, tasks: Tasks) -> object:
    for record in tasks():
        role = record.role_credentials
        if role is not None and role.credentials_id == id:
            return {
                "RoleArn": role.role_arn,
                "AccessKeyId": role.access_key_id,
                "SecretAccessKey": role.secret_access_key,
                "Token": role.session_token,
                "Expiration": role.expiration,
            }
    body = {
        "code": "InvalidIdInRequest",
        "message": "CredentialsV2Request: Credentials not found",
        "HTTPErrorCode": 400,
    }
    return _json(body, HTTPStatus.BAD_REQUEST)


def _introspected(record: TaskRecord) -> documents.Json:
    document = documents.task(record, "", version=3)
    containers = [
        {"DockerId": c.id, "DockerName": c.id, "Name": c.name} for c in record.containers.values() if c.created_at
    ]
    return {
        "Arn": record.arn,
        "DesiredStatus": document["DesiredStatus"],
        "KnownStatus": document["KnownStatus"],
        "Family": record.payload.family,
        "Version": record.payload.version,
        "Containers": containers,
    }


def _json(value: object, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
