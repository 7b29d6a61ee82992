"""A container agent without containers: it speaks the real protocol on real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from dryport.client.client import ApiError, Client, Credentials, Unreachable, signature
from tests.ecs.control.plane import Plane

ATTRIBUTES = [{"name": "ecs.capability.task-iam-role"}, {"name": "ecs.os-type", "value": "linux"}]
RESOURCES = [
    {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
    {"name": "MEMORY", "type": "INTEGER", "integerValue": 4096},
    {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
    {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
]


class SimulatedAgent:
    """Registers, connects, answers. ``received`` holds every message in order; ``payloads`` what ran, by task.

    With ``obedient`` it reports RUNNING for what it is to start and STOPPED for what it is to stop by itself.
    ``tasks`` survives reconnects as an agent's own state does.
    """

    def __init__(self, plane: Plane, cluster: str = "dryport-fargate", *, obedient: bool = True) -> None:
        self.plane = plane
        self.credentials = Credentials(plane.key.access_key_id, plane.key.secret_access_key)
        self.cluster = cluster
        self.obedient = obedient
        self.arn = ""
        self.received: list[dict[str, Any]] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.status: dict[str, str] = {}
        self.acknowledge = True
        self.deaf = False  # nothing comes through, in or out
        self._registration: dict[str, Any] = {}
        self._next_port = 32_767
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._loop: asyncio.Task[None] | None = None
        self._reports: set[asyncio.Task[Any]] = set()

    @property
    def client(self) -> Client:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return Client(self._session, self.plane.endpoint, "us-east-1")

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return await self.client.call("ecs", operation, request, self.credentials)

    async def register(self, **more: Any) -> dict[str, Any]:
        # The machine stays the same, whatever the agent forgets.
        self._registration = more = more or self._registration
        request = {"cluster": self.cluster, "attributes": ATTRIBUTES, "totalResources": RESOURCES, **more}
        if self.arn:
            request["containerInstanceArn"] = self.arn
        instance: dict[str, Any] = (await self.call("RegisterContainerInstance", **request))["containerInstance"]
        self.arn = instance["containerInstanceArn"]
        return instance

    async def connect(self, *, send_credentials: bool = False) -> None:
        """Open the control connection and serve it in the background."""
        poll = await self.call("DiscoverPollEndpoint", containerInstance=self.arn, cluster=self.cluster)
        query = {
            "agentHash": "a8b3e7d3",
            "agentVersion": "1.105.1",
            "clusterArn": self.cluster,
            "containerInstanceArn": self.arn,
            "dockerVersion": "DockerVersion: 20.10.24",
            "protocolVersion": "2",
            "sendCredentials": str(send_credentials).lower(),
            "seqNum": "1",
        }
        self._socket = await self._open(poll["endpoint"], query)
        self._loop = asyncio.create_task(self._serve(self._socket))

    async def telemetry(self) -> aiohttp.ClientWebSocketResponse:
        poll = await self.call("DiscoverPollEndpoint", containerInstance=self.arn, cluster=self.cluster)
        return await self._open(poll["telemetryEndpoint"], {"cluster": self.cluster, "containerInstance": self.arn})

    async def _open(self, endpoint: str, query: dict[str, str], tamper: str = "") -> aiohttp.ClientWebSocketResponse:
        url = URL(f"{endpoint}/ws?{urlencode(query)}", encoded=True)
        headers = {"host": url.authority}
        headers |= signature("GET", url, headers, b"", self.credentials, "ecs", "us-east-1")
        if tamper:
            headers = {name: value.replace("Signature=", f"Signature={tamper}") for name, value in headers.items()}
        session = self.client.session
        return await session.ws_connect(url, headers=headers, timeout=aiohttp.ClientWSTimeout(ws_close=0.5))

    async def disconnect(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        self._socket = self._loop = None

    async def close(self) -> None:
        await self.disconnect()
        for report in self._reports:
            report.cancel()
        await asyncio.gather(*self._reports, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def connected(self) -> bool:
        return self._loop is not None and not self._loop.done()

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [each["message"] for each in self.received if each["type"] == kind]

    async def report(self, task_arn: str, status: str, **more: Any) -> dict[str, Any]:
        """One SubmitTaskStateChange, its containers at the same status."""
        containers = [{"containerName": c["name"], "status": status} for c in self.tasks[task_arn]["containers"]]
        if status == "RUNNING":
            containers = [{**each, "runtimeId": f"run-{each['containerName']}"} for each in containers]
            bound = [self._bindings(each) for each in self.tasks[task_arn]["containers"]]
            containers = [{**each, **ports} for each, ports in zip(containers, bound, strict=True)]
        if status == "STOPPED":
            containers = [{**each, "exitCode": 0} for each in containers]
            more = {"executionStoppedAt": time.time(), **more}
        request = {"cluster": self.cluster, "task": task_arn, "status": status, "reason": "", "containers": containers}
        return await self.call("SubmitTaskStateChange", **{**request, **more})

    def _bindings(self, container: dict[str, Any]) -> dict[str, Any]:
        """The ports that Docker would give a container."""
        found = []
        for each in container.get("portMappings") or ():
            self._next_port += not each.get("hostPort")
            port = each.get("hostPort") or self._next_port
            found.append(
                {"bindIP": "0.0.0.0", "containerPort": each["containerPort"], "hostPort": port, "protocol": "tcp"}
            )
        return {"networkBindings": found} if found else {}

    async def report_until_taken(self, task_arn: str, status: str) -> None:
        """As an agent does: again and again until the answer comes, dropped where it is refused for good."""
        while True:
            try:
                await self.report(task_arn, status)
                return
            except Unreachable:
                await asyncio.sleep(0.02)
            except ApiError as error:
                if not error.retryable:
                    return
                await asyncio.sleep(0.02)

    async def send(self, kind: str, message: dict[str, Any]) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_str(json.dumps({"type": kind, "message": message}))

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            if frame.type != aiohttp.WSMsgType.TEXT:
                break
            if self.deaf:
                continue
            received = json.loads(frame.data)
            self.received.append(received)
            await self._answer(received["type"], received["message"])

    async def _answer(self, kind: str, message: dict[str, Any]) -> None:
        ack = {"cluster": self.cluster, "containerInstance": self.arn, "messageId": message.get("messageId")}
        if kind == "HeartbeatMessage":
            await self.send("HeartbeatAckRequest", {"messageId": message["messageId"]})
        elif kind == "PayloadMessage":
            for task in message["tasks"]:
                self._take(task)
            if self.acknowledge:
                await self.send("AckRequest", ack)
        elif kind == "TaskManifestMessage":
            await self.send("AckRequest", ack)
            wanted = {each["taskArn"] for each in message["tasks"] if each["desiredStatus"] == "RUNNING"}
            lacking = [
                {"taskArn": task_arn, "taskClusterArn": self.tasks[task_arn]["taskClusterArn"]}
                for task_arn, status in self.status.items()
                if status != "STOPPED" and task_arn not in wanted
            ]
            if lacking:
                answer = {"messageId": message["messageId"], "stopCandidates": lacking}
                await self.send("TaskStopVerificationMessage", answer)
        elif kind == "TaskStopVerificationAck":
            for each in message["stopTasks"]:
                self._stop(each["taskArn"])
        elif kind == "AttachTaskNetworkInterfacesMessage":
            await self.send("AckRequest", ack)

    def _take(self, task: dict[str, Any]) -> None:
        task_arn = task["arn"]
        if task["desiredStatus"] == "STOPPED":
            self.tasks.setdefault(task_arn, task)
            self._stop(task_arn)
        elif task_arn not in self.tasks:
            self.tasks[task_arn] = task
            self.status[task_arn] = "PENDING"
            if self.obedient:
                self._go(task_arn, "RUNNING")

    def _stop(self, task_arn: str) -> None:
        if self.obedient:
            self._go(task_arn, "STOPPED")

    def _go(self, task_arn: str, status: str) -> None:
        self.status[task_arn] = status
        report = asyncio.create_task(self.report_until_taken(task_arn, status))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)
