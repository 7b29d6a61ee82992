"""Container agents without containers, by the thousand in one process: real signed calls, real websockets.

What they say is what AWS's agent says: they register, connect both websockets, answer heartbeats, acknowledge payloads
and credentials, report RUNNING and STOPPED, and publish metrics and status every 20 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from dryport.aws import sigv4

REGION = "us-east-1"
TARGET = "AmazonEC2ContainerServiceV20141113"
PERIOD = 20.0  # seconds between metrics
CAPABILITIES = [
    *(f"com.amazonaws.ecs.capability.docker-remote-api.1.{number}" for number in range(17, 33)),
    *(f"com.amazonaws.ecs.capability.logging-driver.{name}" for name in ("json-file", "awslogs", "none")),
    *(f"ecs.capability.secrets.{name}.environment-variables" for name in ("ssm", "asm")),
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "com.amazonaws.ecs.capability.ecr-auth",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.container-restart-policy",
    "ecs.capability.env-files.s3",
    "ecs.capability.full-sync",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.task-eni",
]
Json = dict[str, Any]


class Refused(Exception):
    """A call or a handshake that was not answered as it should."""


@dataclass
class Counts:
    """What all agents together have done."""

    registered: int = 0
    connected: int = 0
    payloads: int = 0
    running: int = 0
    stopped: int = 0
    heartbeats: int = 0
    retries: int = 0
    latencies: list[float] = field(default_factory=list)  # of SubmitTaskStateChange, seconds


@dataclass(frozen=True)
class Platform:
    """Where the control plane is, and the agents' access key."""

    port: int
    key: str
    secret: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def sign(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        signed = sigv4.sign(
            method,
            path,
            query,
            headers,
            body,
            access_key_id=self.key,
            secret=self.secret,
            token=None,
            region=REGION,
            service="ecs",
            now=time.time(),
        )
        return {**headers, **signed}


class Caller:
    """Signed calls over one connection that stays open, one at a time."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, operation: str, request: Json) -> Json:
        """One call. Raises Refused; the caller decides whether to ask again."""
        body = json.dumps(request).encode()
        headers = {
            "host": self._platform.host,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{TARGET}.{operation}",
        }
        headers = self._platform.sign("POST", "/", "", headers, body)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        frame = f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body
        async with self._lock:
            stale = self._streams is not None  # the server may have ended it meanwhile
            while True:
                try:
                    status, answer = await self._exchange(frame)
                    break
                except (OSError, asyncio.IncompleteReadError) as error:
                    self.close()
                    if not stale:
                        raise Refused(f"{operation}: {error!r}") from error
                    stale = False
        if status != 200:
            raise Refused(f"{operation}: {status} {answer[:300]!r}")
        return json.loads(answer or b"{}")

    async def _exchange(self, frame: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._platform.port)
        reader, writer = self._streams
        writer.write(frame)
        status, headers = await _head(reader)
        return status, await reader.readexactly(int(headers.get("content-length", "0")))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Socket:
    """A websocket (RFC 6455): text frames, as a client sends and reads them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, platform: Platform, path: str, parameters: dict[str, str]) -> Socket:
        """Open with a signed handshake. Raises Refused."""
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())
        headers = platform.sign("GET", path, query, {"host": platform.host}, b"")
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        upgrade = (
            "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", platform.port)
        writer.write(f"GET {path}?{query} HTTP/1.1\r\n{head}{upgrade}\r\n".encode())
        status, _ = await _head(reader)
        if status != 101:
            writer.close()
            raise Refused(f"{path}: {status}")
        return cls(reader, writer)

    def send(self, text: str) -> None:
        data = text.encode()
        length = len(data)
        if length < 126:
            head = bytes((0x81, 0x80 | length))
        elif length < 1 << 16:
            head = bytes((0x81, 0xFE)) + length.to_bytes(2, "big")
        else:
            head = bytes((0x81, 0xFF)) + length.to_bytes(8, "big")
        self._writer.write(head + bytes(4) + data)  # masked with zeros

    async def receive(self) -> str | None:
        """The next text; ``None`` once it is closed."""
        while True:
            try:
                first, second = await self._reader.readexactly(2)
                length = second & 0x7F
                if length > 125:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                data = await self._reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError):
                return None
            if first & 0x0F == 0x1:
                return data.decode()
            if first & 0x0F == 0x8:
                return None

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        """End it as a link that is cut does."""
        self._writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


class Agent:
    """One of them. ``tasks`` are what runs, by ARN, with their payloads."""

    def __init__(self, platform: Platform, cluster: str, number: int, counts: Counts) -> None:
        self._platform = platform
        self._cluster = cluster
        self._number = number
        self._counts = counts
        self._caller = Caller(platform)
        self._doing: set[asyncio.Task[None]] = set()
        self.arn = ""
        self.tasks: dict[str, Json] = {}

    async def run(self) -> None:
        """Register and serve until cancelled, coming back whenever a connection ends."""
        await self._register()
        self._counts.registered += 1
        first = True
        while True:
            await self._again("DiscoverPollEndpoint", {"containerInstance": self.arn, "cluster": self._cluster})
            acs = await self._open("/acs/ws", "containerInstanceArn", {"sendCredentials": str(first).lower()})
            tcs = await self._open("/tcs/ws", "containerInstance", {})
            first = False
            self._counts.connected += 1
            publishing = asyncio.create_task(self._publish(tcs))
            try:
                await self._serve(acs)
            finally:
                self._counts.connected -= 1
                publishing.cancel()
                acs.close()
                tcs.close()

    async def _register(self) -> None:
        zone = f"{REGION}{'abc'[self._number % 3]}"
        values = {"ecs.os-type": "linux", "ecs.cpu-architecture": "x86_64", "ecs.availability-zone": zone}
        resources = [
            {"name": "CPU", "type": "INTEGER", "integerValue": 4096},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": 16_000},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "2375", "2376", "51678", "51679"]},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ]
        request = {
            "cluster": self._cluster,
            "clientToken": str(uuid.uuid4()),
            "attributes": [
                *({"name": name} for name in CAPABILITIES),
                *({"name": name, "value": value} for name, value in values.items()),
            ],
            "totalResources": resources,
            "instanceIdentityDocument": "",
            "instanceIdentityDocumentSignature": "",
        }
        answer = await self._again("RegisterContainerInstance", request)
        self.arn = answer["containerInstance"]["containerInstanceArn"]

    async def _open(self, path: str, member: str, more: dict[str, str]) -> Socket:
        parameters = {
            "agentHash": "simulated",
            "agentVersion": "1.105.1",
            "cluster": self._cluster,
            "clusterArn": self._cluster,
            member: self.arn,
            "dockerVersion": "DockerVersion: 20.10.24",
            "protocolVersion": "2",
            "seqNum": "1",
            **more,
        }
        delay = 0.1
        while True:
            try:
                return await Socket.open(self._platform, path, parameters)
            except (Refused, OSError, asyncio.IncompleteReadError):
                self._counts.retries += 1
                await asyncio.sleep(delay)
                delay = min(2.0, delay * 2)

    async def _again(self, operation: str, request: Json) -> Json:
        """A call, until it is answered."""
        delay = 0.1
        while True:
            try:
                return await self._caller.call(operation, request)
            except Refused:
                self._counts.retries += 1
                await asyncio.sleep(delay)
                delay = min(2.0, delay * 2)

    async def _serve(self, acs: Socket) -> None:
        def say(kind: str, message: Json) -> None:
            acs.send(json.dumps({"type": kind, "message": message}))

        while (text := await acs.receive()) is not None:
            frame = json.loads(text)
            kind, message = frame["type"], frame["message"]
            if kind == "HeartbeatMessage":
                self._counts.heartbeats += 1
                say("HeartbeatAckRequest", {"messageId": message["messageId"]})
                continue
            if kind == "TaskStopVerificationAck":
                for task in message["stopTasks"]:
                    self._stop(task["taskArn"])
                continue
            acknowledgement = {
                "cluster": self._cluster,
                "containerInstance": self.arn,
                "messageId": message["messageId"],
            }
            if kind == "PayloadMessage":
                for task in message["tasks"]:
                    self._take(task)
                    for role in ("roleCredentials", "executionRoleCredentials"):
                        if role in task:
                            taken = {name: task[role][name] for name in ("credentialsId", "expiration")}
                            say("IAMRoleCredentialsAckRequest", {"messageId": message["messageId"], **taken})
            if kind in ("PayloadMessage", "TaskManifestMessage", "AttachTaskNetworkInterfacesMessage"):
                say("AckRequest", acknowledgement)
            if kind == "TaskManifestMessage":
                wanted = {each["taskArn"] for each in message["tasks"] if each["desiredStatus"] == "RUNNING"}
                strays = [{"taskArn": each, "taskClusterArn": ""} for each in self.tasks if each not in wanted]
                if strays:
                    answer = {"messageId": message["messageId"], "stopCandidates": strays}
                    say("TaskStopVerificationMessage", answer)

    def _take(self, task: Json) -> None:
        if task["desiredStatus"] == "STOPPED":
            self._stop(task["arn"])
        elif task["arn"] not in self.tasks:
            self._counts.payloads += 1
            self.tasks[task["arn"]] = task
            self._report(task, "RUNNING")

    def end(self, task_arn: str) -> None:
        """A task ends by itself."""
        self._stop(task_arn)

    def _stop(self, task_arn: str) -> None:
        task = self.tasks.pop(task_arn, None)
        if task is not None:
            self._report(task, "STOPPED")

    def _report(self, task: Json, status: str) -> None:
        doing = asyncio.create_task(self._submit(task, status))
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)

    async def _submit(self, task: Json, status: str) -> None:
        ended = {"exitCode": 0} if status == "STOPPED" else {}
        containers = [
            {"containerName": each["name"], "status": status, "runtimeId": os.urandom(32).hex(), **ended}
            for each in task["containers"]
        ]
        request = {
            "cluster": self._cluster,
            "task": task["arn"],
            "status": status,
            "reason": "",
            "containers": containers,
        }
        began = time.monotonic()
        await self._again("SubmitTaskStateChange", request)
        self._counts.latencies.append(time.monotonic() - began)
        if status == "RUNNING":
            self._counts.running += 1
        else:
            self._counts.stopped += 1

    async def _publish(self, tcs: Socket) -> None:
        async def listen() -> None:
            while await tcs.receive() is not None:
                pass

        listening = asyncio.create_task(listen())
        try:
            await asyncio.sleep(self._number % 200 * PERIOD / 200)  # agents do not all start at once
            while True:
                for kind, message in self._telemetry():
                    body = json.dumps({"type": kind, "message": message}).encode()
                    headers = self._platform.sign("GET", "/tcs/ws", "", {"host": self._platform.host}, body)
                    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                    tcs.send(f"{head}\r\n{body.decode()}")
                await asyncio.sleep(PERIOD)
        finally:
            listening.cancel()

    def _telemetry(self) -> list[tuple[str, Json]]:
        now = time.time()
        metadata = {"cluster": self._cluster, "containerInstance": self.arn, "messageId": str(uuid.uuid4())}
        statistics = {"max": 1, "min": 0, "sampleCount": 4, "sum": 2}
        tasks = [
            {
                "taskArn": task["arn"],
                "taskDefinitionFamily": task["family"],
                "taskDefinitionVersion": task["version"],
                "containerMetrics": [
                    {"containerName": each["name"], "cpuStatsSet": statistics, "memoryStatsSet": statistics}
                    for each in task["containers"]
                ],
            }
            for task in list(self.tasks.values())[:10]
        ]
        status = {"type": "ContainerRuntime", "status": "OK", "lastUpdated": now, "lastStatusChange": now}
        return [
            ("PublishMetricsRequest", {"metadata": {**metadata, "idle": not tasks, "fin": True}, "taskMetrics": tasks}),
            ("PublishInstanceStatusRequest", {"metadata": metadata, "statuses": [status], "timestamp": now}),
        ]
