"""The control websocket: what the control plane wants, acknowledged as AWS's agent does it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from dryport.agent.acs.backoff import Backoff
from dryport.agent.acs.registration import HASH, VERSION, Registration, decoded
from dryport.agent.acs.websocket import HandshakeRefused, Inactive, connect
from dryport.agent.connect.ways import Reached
from dryport.agent.engine import block_volumes
from dryport.agent.engine.engine import Engine
from dryport.agent.identity import Identity, NoCredentials
from dryport.agent.model import TaskStatus
from dryport.agent.payload import Attachment, Credentials, NetworkInterface, decode_task
from dryport.agent.state import State
from dryport.client import ApiError, Client, Unreachable

log = logging.getLogger("dryport.agent.acs")
_SILENCE = 60.0, 120.0  # seconds after which a silent connection is dropped, at random between these
_LIFE = 30 * 60.0, 35 * 60.0  # seconds after which the agent closes a connection itself
Json = dict[str, Any]
Send = Callable[[str, Json], Any]


class Session:
    """Keeps one control websocket open. ``connected`` is called whenever it is."""

    def __init__(
        self,
        *,
        client: Client,
        registration: Registration,
        identity: Identity,
        engine: Engine,
        state: State,
        runtime_version: str,
        connected: Callable[[], None],
    ) -> None:
        self._client = client
        self._registration = registration
        self._identity = identity
        self._engine = engine
        self._state = state
        self._runtime_version = runtime_version
        self._connected = connected
        self._backoff = Backoff(random.random)
        self._first = True
        self._timeline = int(state.load("manifest").get("timeline", b"0"))

    async def run(self) -> None:
        """Connect, serve, connect again, until cancelled."""
        while True:
            try:
                endpoint, _ = await self._registration.poll_endpoints()
                delay = self._backoff.after_close(await self._serve(endpoint))
            except Inactive:
                delay = self._backoff.after_inactive()
                log.warning("this container instance is inactive")
            except (ApiError, Unreachable, HandshakeRefused, NoCredentials) as error:
                delay = self._backoff.after_failure()
                log.info("no control connection: %s", error)
            await asyncio.sleep(delay)

    async def _serve(self, endpoint: str) -> int:
        query = {
            "agentHash": HASH,
            "agentVersion": VERSION,
            "clusterArn": self._identity.cluster,
            "containerInstanceArn": self._identity.instance_arn,
            "dockerVersion": f"DockerVersion: {self._runtime_version}",
            "protocolVersion": "2",
            "seqNum": "1",
            "sendCredentials": "true" if self._first else "false",
        }
        socket = await connect(self._client, endpoint, query, self._identity.credentials())
        self._first = False
        self._connected()
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[Json] = asyncio.Queue()
        worker = loop.create_task(self._work(inbox, socket))
        end = loop.time() + random.uniform(*_LIFE)
        try:
            while (left := end - loop.time()) > 0:
                try:
                    frame = await socket.receive(min(left, random.uniform(*_SILENCE)))
                except TimeoutError:
                    break
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                await self._take(frame.data, inbox, socket)
        except ConnectionError as error:
            log.info("the control connection broke: %s", error)
        finally:
            worker.cancel()
            await socket.close()
        return socket.close_code or aiohttp.WSCloseCode.ABNORMAL_CLOSURE

    async def _take(self, text: str, inbox: asyncio.Queue[Json], socket: aiohttp.ClientWebSocketResponse) -> None:
        frame = decoded(text)
        if frame is None or not isinstance(frame.get("message"), dict):
            log.warning("a frame that is no message came")
        elif frame.get("type") == "HeartbeatMessage":
            # Answered even while the engine waits for its runtime's daemon or for the disk.
            await _send(socket, "HeartbeatAckRequest", {"messageId": frame["message"].get("messageId", "")})
        else:
            inbox.put_nowait(frame)

    async def _work(self, inbox: asyncio.Queue[Json], socket: aiohttp.ClientWebSocketResponse) -> None:
        async def send(kind: str, answer: Json) -> None:
            await _send(socket, kind, answer)

        try:
            while True:
                frame = await inbox.get()
                try:
                    await self._answer(str(frame.get("type")), frame["message"], send)
                except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
                    log.warning("a %s could not be read: %r", frame.get("type"), error)
        except ConnectionError as error:
            log.info("the control connection broke: %s", error)
        except Exception:
            log.exception("the control connection is given up, and what came on it is asked for again")
        finally:
            await socket.close()  # an agent that only answered heartbeats would be taken for one that works

    async def _answer(self, kind: str, message: Json, send: Send) -> None:
        match kind:
            case "PayloadMessage":
                await self._payload(message, send)
            case "IAMRoleCredentialsMessage":
                await self._credentials(message, send)
            case "AttachTaskNetworkInterfacesMessage":
                await self._attach(message, send)
            case "ConfirmAttachmentMessage":
                await self._confirm(message, send)
            case "DryportServiceConnectEndpointsMessage":
                await self._engine.reach(message["taskArn"], msgspec.convert(message["reached"], Reached))
            case "TaskManifestMessage":
                await self._manifest(message, send)
            case "TaskStopVerificationAck":
                for task in message.get("stopTasks", ()):
                    self._engine.stop(task["taskArn"])
            case "StageUpdateMessage" | "PerformUpdateMessage":
                answer = self._addressed(message) | {"reason": "Updates are disabled"}
                await send("NackRequest", answer)
            case _:
                log.info("a %s is of no meaning here", kind)

    async def _payload(self, message: Json, send: Send) -> None:
        for name in ("messageId", "clusterArn", "containerInstanceArn"):
            message[name]
        accepted = True
        for raw in message.get("tasks") or ():
            try:
                task = decode_task(msgspec.json.encode(raw))
            except msgspec.MsgspecError as error:
                accepted = False
                if isinstance(raw, dict) and (arn := raw.get("arn")):
                    self._engine.refuse(str(arn), f"UnrecognizedTaskError: {error}")
                continue
            await self._engine.want(task)
            for role in (task.role_credentials, task.execution_role_credentials):
                if role is not None:
                    await self._acknowledge_credentials(message, role, send)
        if accepted:
            await send("AckRequest", self._addressed(message))

    async def _credentials(self, message: Json, send: Send) -> None:
        role = msgspec.convert(message["roleCredentials"], Credentials)
        if self._engine.renew(message["taskArn"], message["roleType"], role):
            await self._state.flushed()
            await self._acknowledge_credentials(message, role, send)

    @staticmethod
    async def _acknowledge_credentials(message: Mapping[str, Any], role: Credentials, send: Send) -> None:
        await send(
            "IAMRoleCredentialsAckRequest",
            {"messageId": message["messageId"], "expiration": role.expiration, "credentialsId": role.credentials_id},
        )

    async def _attach(self, message: Json, send: Send) -> None:
        timeout = float(message["waitTimeoutMs"]) / 1000
        interfaces = msgspec.convert(message["elasticNetworkInterfaces"], list[NetworkInterface])
        if timeout <= 0 or not interfaces:
            raise ValueError("waitTimeoutMs and elasticNetworkInterfaces are required")
        for interface in interfaces:
            self._engine.attach(message["taskArn"], interface, timeout)
        await send("AckRequest", self._addressed(message))

    async def _confirm(self, message: Json, send: Send) -> None:
        timeout = float(message["waitTimeoutMs"]) / 1000
        attachment = msgspec.convert(message["attachment"], Attachment)
        if attachment.attachment_type == block_volumes.TYPE:
            await self._engine.confirm(message["taskArn"], attachment, timeout)
        else:
            log.info("an attachment of type %s is of no meaning here", attachment.attachment_type)
        await send("AckRequest", self._addressed(message))

    async def _manifest(self, message: Json, send: Send) -> None:
        timeline = int(message["timeline"])
        if timeline <= self._timeline:
            log.info("manifest %s is not newer than %s", timeline, self._timeline)
            return
        self._timeline = timeline
        self._state.put("manifest", "timeline", str(timeline).encode())
        await send("AckRequest", self._addressed(message))
        wanted = {task["taskArn"]: task.get("desiredStatus") for task in message.get("tasks") or ()}
        candidates = [
            {"taskArn": arn, "taskClusterArn": record.payload.task_cluster_arn, "desiredStatus": "STOPPED"}
            for arn, record in self._engine.records.items()
            if record.desired is not TaskStatus.STOPPED and wanted.get(arn) != "RUNNING"
        ]
        if candidates:
            answer = {"messageId": message["messageId"], "stopCandidates": candidates}
            await send("TaskStopVerificationMessage", answer)

    def _addressed(self, message: Mapping[str, Any]) -> Json:
        return {
            "cluster": message.get("clusterArn") or self._identity.cluster,
            "containerInstance": message.get("containerInstanceArn") or self._identity.instance_arn,
            "messageId": message["messageId"],
        }


async def _send(socket: aiohttp.ClientWebSocketResponse, kind: str, message: Json) -> None:
    await socket.send_str(msgspec.json.encode({"type": kind, "message": message}).decode())
