"""A small control plane for agents: the API calls that an agent makes, ACS and TCS, in this process."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from aiohttp import WSMsgType, web

Json = dict[str, Any]
T = TypeVar("T")
CLUSTER = "arn:aws:ecs:us-east-1:000000000000:cluster/test"


class Control:
    """Serves one agent on loopback. ``api``, ``control`` and ``telemetry`` hold what has come, in order."""

    def __init__(self) -> None:
        self.api: list[tuple[str, Json]] = []
        self.control: list[Json] = []
        self.telemetry: list[Json] = []
        self.queries: list[dict[str, str]] = []
        self.refusals: dict[str, tuple[int, Json]] = {}  # operation: status and body of the answer
        self.parameters: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        self.groups: dict[str, dict[str, list[Json]]] = {}
        self.instance = ""
        self.port = 0
        self._socket: web.WebSocketResponse | None = None
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._sequence = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/", self._call)
        app.router.add_get("/acs/ws", self._acs)
        app.router.add_get("/tcs/ws", self._tcs)
        app.router.add_get("/{bucket}/{key:.+}", self._object)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket = None

    async def until(self, what: Callable[[], T | Literal[False] | None], timeout: float = 30.0) -> T:
        """Wait until ``what()`` is true after something has come; its value."""
        async with asyncio.timeout(timeout), self._changed:
            while not (value := what()):
                await self._changed.wait()
            return value

    async def connected(self) -> None:
        await self.until(lambda: self._socket)

    async def send(self, kind: str, message: Json) -> str:
        """Send an ACS message; its id."""
        assert self._socket is not None
        id = str(uuid.uuid4())
        addressed = {"messageId": id, "clusterArn": CLUSTER, "containerInstanceArn": self.instance}
        await self._socket.send_str(json.dumps({"type": kind, "message": addressed | message}))
        return id

    async def payload(self, *tasks: Json) -> str:
        self._sequence += 1
        return await self.send("PayloadMessage", {"seqNum": self._sequence, "tasks": list(tasks)})

    async def close_socket(self, code: int) -> None:
        assert self._socket is not None
        await self._socket.close(code=code)

    def calls(self, operation: str) -> list[Json]:
        return [body for name, body in self.api if name == operation]

    def changes(self, task: str) -> list[Json]:
        """What was submitted of a task, in order."""
        return [body for body in self.calls("SubmitTaskStateChange") if body.get("task") == task]

    async def status(self, task: str, status: str, timeout: float = 60.0) -> Json:
        """Wait for the change to a status of a task."""
        return await self.until(
            lambda: next((c for c in self.changes(task) if c.get("status") == status), None), timeout
        )

    def messages(self, kind: str) -> list[Json]:
        return [frame["message"] for frame in self.control if frame["type"] == kind]

    def lines(self, group: str, stream: str) -> list[str]:
        return [event["message"] for event in self.groups.get(group, {}).get(stream, [])]

    async def _note(self, where: list[Any], what: Any) -> None:
        async with self._changed:
            where.append(what)
            self._changed.notify_all()

    async def _call(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        body = await request.json()
        status, answer = self.refusals.get(operation) or self._answer(operation, body)
        await self._note(self.api, (operation if status < 300 else f"{operation}:refused", body))
        return web.json_response(answer, status=status)

    def _answer(self, operation: str, body: Json) -> tuple[int, Json]:
        handler = getattr(self, f"_{operation}", None)
        return handler(body) if handler else (200, {"acknowledgment": "ok"})

    def _RegisterContainerInstance(self, body: Json) -> tuple[int, Json]:
        self.instance = (
            body.get("containerInstanceArn")
            or self.instance
            or f"{CLUSTER}/instance".replace(":cluster", ":container-instance")
        )
        return 200, {"containerInstance": {"containerInstanceArn": self.instance, "attributes": body["attributes"]}}

    def _DiscoverPollEndpoint(self, body: Json) -> tuple[int, Json]:
        return 200, {"endpoint": f"{self.endpoint}/acs", "telemetryEndpoint": f"{self.endpoint}/tcs"}

    def _ListTagsForResource(self, body: Json) -> tuple[int, Json]:
        return 200, {"tags": [{"key": "team", "value": "port"}]}

    def _GetAuthorizationToken(self, body: Json) -> tuple[int, Json]:
        token = base64.b64encode(b"AWS:password").decode()
        return 200, {"authorizationData": [{"authorizationToken": token, "expiresAt": 4e9}]}

    def _GetParameters(self, body: Json) -> tuple[int, Json]:
        found = [{"Name": n, "Value": self.parameters[n]} for n in body["Names"] if n in self.parameters]
        return 200, {"Parameters": found, "InvalidParameters": [n for n in body["Names"] if n not in self.parameters]}

    def _GetSecretValue(self, body: Json) -> tuple[int, Json]:
        if body["SecretId"] not in self.secrets:
            message = "Secrets Manager can't find the specified secret."
            return 400, {"__type": "ResourceNotFoundException", "Message": message}
        return 200, {"SecretString": self.secrets[body["SecretId"]]}

    def _CreateLogGroup(self, body: Json) -> tuple[int, Json]:
        self.groups.setdefault(body["logGroupName"], defaultdict(list))
        return 200, {}

    def _CreateLogStream(self, body: Json) -> tuple[int, Json]:
        if body["logGroupName"] not in self.groups:
            return 400, {"__type": "ResourceNotFoundException", "message": "The specified log group does not exist."}
        return 200, {}

    def _PutLogEvents(self, body: Json) -> tuple[int, Json]:
        self.groups[body["logGroupName"]][body["logStreamName"]] += body["logEvents"]
        return 200, {}

    async def _object(self, request: web.Request) -> web.Response:
        key = f"{request.match_info['bucket']}/{request.match_info['key']}"
        if key not in self.objects:
            text = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            return web.Response(text=text, status=404)
        return web.Response(body=self.objects[key])

    async def _acs(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.queries.append(dict(request.query))
        self._socket = socket
        await self._note([], None)
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                await self._note(self.control, json.loads(frame.data))
        if self._socket is socket:
            self._socket = None
        return socket

    async def _tcs(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                head, _, text = frame.data.partition("\r\n\r\n")
                assert head.startswith("Authorization: AWS4-HMAC-SHA256 ")
                await self._note(self.telemetry, json.loads(text))
                await socket.send_str(json.dumps({"type": "AckPublishMetric", "message": {"message": "OK"}}))
        return socket
