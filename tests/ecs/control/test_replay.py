"""Everything that AWS's own agent was recorded to say, said again in its order to this control plane.

Names that a control plane gives (ARNs, ids of messages and credentials) are put in place of the recorded ones; the rest
is sent as it was recorded. What the recorded control plane said, this one has to say by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from dryport.ecr.room import room as ecr
from dryport.ecs.api.hosts import Host
from dryport.ecs.model import CONTAINER_INSTANCES, INSTANCE_HEALTH, TASKS
from dryport.logs.room import room as logs
from dryport.ssm.room import room as ssm
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent
from tests.ecs.control.test_transcript import RECORDS, definition_of, shape

Json = dict[str, Any]
CLUSTER = "conf"  # the recorded one
TELEMETRY = {
    "PublishMetricsRequest": "AckPublishMetric",
    "PublishHealthRequest": "AckPublishHealth",
    "PublishInstanceStatusRequest": "AckPublishInstanceStatus",
}
# What each call of the recorded agent must find in its answer.
ANSWERS = {
    "DiscoverPollEndpoint": {"endpoint", "telemetryEndpoint"},
    "RegisterContainerInstance": {"containerInstance"},
    "SubmitTaskStateChange": {"acknowledgment"},
    "ListTagsForResource": {"tags"},
    "GetTaskProtection": {"protectedTasks", "failures"},
    "GetAuthorizationToken": {"authorizationData"},
    "GetParameters": {"Parameters", "InvalidParameters"},
    "CreateLogStream": set(),
    "PutLogEvents": set(),
}
SERVICES = {"AmazonSSM": "ssm", "Logs_20140328": "logs", "AmazonEC2ContainerRegistry_V20150921": "ecr"}


class Replay:
    """One recorded agent. ``names`` are this control plane's, by the recorded ones."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.agent = SimulatedAgent(plane, CLUSTER)
        self.names: dict[str, str] = {}
        self.acs: aiohttp.ClientWebSocketResponse | None = None
        self.tcs: aiohttp.ClientWebSocketResponse | None = None
        self.heard: list[Json] = []
        self.done: list[str] = []
        self._listener: asyncio.Task[None] | None = None

    async def take(self, record: Json) -> None:
        """Do what the agent did, or wait for what it was told."""
        kind = record["kind"]
        if kind == "api":
            await self._call(record["target"], record["body"])
        elif kind in ("acs-connect", "tcs-connect"):
            await self._connect(kind[:3], urlsplit(record["url"]).query)
        elif kind == "acs->":
            await getattr(self, f"_told_{record['raw']['type']}")(record["raw"]["message"])
        elif kind == "acs<-":
            await self._say(record["raw"])
        elif kind == "tcs<-":
            await self._publish(record)
        elif kind.endswith("-close"):
            await self._hang_up(kind[:3])
        self.done.append(kind)

    def ours(self, value: Any) -> Any:
        """A recorded message with this control plane's names."""
        if isinstance(value, dict):
            return {key: self.ours(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.ours(item) for item in value]
        return self.names.get(value, value) if isinstance(value, str) else value

    async def close(self) -> None:
        for which in ("acs", "tcs"):
            await self._hang_up(which)
        await self.agent.close()

    async def _call(self, target: str, body: Json) -> None:
        prefix, operation = target.split(".")
        service = SERVICES.get(prefix, "ecs")
        answer = await self.agent.client.call(service, operation, self.ours(body), self.agent.credentials)
        assert answer.keys() >= ANSWERS[operation], operation
        if operation == "RegisterContainerInstance":
            self._registered(body, answer["containerInstance"])
        elif operation == "DiscoverPollEndpoint":
            assert answer == {
                "endpoint": f"{self.plane.endpoint}/acs",
                "telemetryEndpoint": f"{self.plane.endpoint}/tcs",
            }
        elif operation == "SubmitTaskStateChange":
            assert self.plane.task(self.names[body["task"]]).last_status == body["status"]

    def _registered(self, body: Json, instance: Json) -> None:
        # The agent exits where an attribute does not come back.
        echoed = {(each["name"], each.get("value", "")) for each in instance["attributes"]}
        assert {(each["name"], each.get("value", "")) for each in body["attributes"]} <= echoed
        assert ("stack", "conf") in echoed
        self.agent.arn = instance["containerInstanceArn"]
        recorded = "arn:aws:ecs:us-east-1:000000000000:container-instance/conf/d04cef55cea543b180b140d42177e3b4"
        assert self.names.setdefault(recorded, self.agent.arn) == self.agent.arn

    async def _connect(self, which: str, query: str) -> None:
        parameters = self.ours({name: values[0] for name, values in parse_qs(query).items()})
        socket = await self.agent._open(f"{self.plane.endpoint}/{which}", parameters)
        setattr(self, which, socket)
        if which == "acs":
            self.heard = []
            self._listener = asyncio.create_task(self._listen(socket))

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            self.heard.append(json.loads(frame.data))

    async def _hear(self, kind: str, wanted: Callable[[Json], bool]) -> Json:
        """The first message of a kind that is wanted; it counts as heard."""

        def found() -> Json | None:
            return next((each for each in self.heard if each["type"] == kind and wanted(each["message"])), None)

        heard = await self.plane.until(found, kind)
        self.heard.remove(heard)
        message: Json = heard["message"]
        return message

    async def _told_HeartbeatMessage(self, recorded: Json) -> None:
        if recorded["messageId"].startswith("2"):
            return  # the second came 20 s later; what is due then is tested elsewhere
        message = await self._hear("HeartbeatMessage", lambda each: True)
        assert shape(message) == shape(recorded)
        self.names[recorded["messageId"]] = message["messageId"]

    async def _told_PayloadMessage(self, recorded: Json) -> None:
        (task,) = recorded["tasks"]
        if task.get("networkMode") == "awsvpc":
            return  # test_instances has those
        if task["desiredStatus"] == "STOPPED":
            await self.plane.stop_task(self.names[task["arn"]])
        else:
            definition = await self.plane.define(f"hello{len(self.done)}", **definition_of(task))
            conf = {"arn": task["arn"], "cluster_arn": task["taskClusterArn"]}
            self.names[task["arn"]] = await self.plane.run_task(definition, self.agent.arn, **conf)
        ours = self.names[task["arn"]]
        message = await self._hear("PayloadMessage", lambda each: bool(each["tasks"][0]["arn"] == ours))
        assert set(message) == set(recorded)
        assert message["tasks"][0]["desiredStatus"] == task["desiredStatus"]
        self.names[recorded["messageId"]] = message["messageId"]
        for role in ("roleCredentials", "executionRoleCredentials"):
            if role in task and task["desiredStatus"] == "RUNNING":
                self.names[task[role]["credentialsId"]] = message["tasks"][0][role]["credentialsId"]

    async def _told_TaskManifestMessage(self, recorded: Json) -> None:
        """This control plane has told it at the connection's beginning."""
        message = await self._hear("TaskManifestMessage", lambda each: True)
        assert shape(message) == shape({**recorded, "tasks": message["tasks"]})
        assert {each["taskArn"] for each in message["tasks"]} <= set(self.names.values())
        self.names[recorded["messageId"]] = message["messageId"]

    async def _told_TaskStopVerificationAck(self, recorded: Json) -> None:
        message = await self._hear("TaskStopVerificationAck", lambda each: True)
        assert shape(message) == shape(recorded)
        assert [each["taskArn"] for each in message["stopTasks"]] == self.ours(
            [each["taskArn"] for each in recorded["stopTasks"]]
        )

    async def _told_AttachTaskNetworkInterfacesMessage(self, recorded: Json) -> None:
        """Of a later process of the agent, that had no connection recorded: test_instances has those."""

    async def _forget(self, task: str) -> None:
        await self.plane.store.transact(lambda tx: tx.delete(TASKS, task))

    async def _say(self, recorded: Json) -> None:
        if recorded["type"] == "TaskStopVerificationMessage":
            # A task that this control plane does not know.
            for each in recorded["message"]["stopCandidates"]:
                stray = self.names[each["taskArn"]]
                await self._forget(stray)
        assert self.acs is not None
        await self.acs.send_str(json.dumps(self.ours(recorded)))
        if recorded["type"] == "AckRequest":
            payload = next(
                record["raw"]["message"]
                for record in RECORDS
                if record["kind"] == "acs->"
                and record["raw"]["message"]["messageId"] == recorded["message"]["messageId"]
            )
            task_arn = self.names[payload["tasks"][0]["arn"]]
            await self.plane.until(lambda: self.plane.task(task_arn).sent, "the acknowledgement")

    async def _publish(self, record: Json) -> None:
        assert self.tcs is not None
        await self.tcs.send_str(f"{record['head']}\r\n\r\n{json.dumps(self.ours(record['raw']))}")
        answer = json.loads((await self.tcs.receive(10)).data)
        assert answer["type"] == TELEMETRY[record["raw"]["type"]]

    async def _hang_up(self, which: str) -> None:
        """As a process that is killed does."""
        socket = getattr(self, which)
        if socket is not None and (connection := socket._response.connection) is not None:
            connection.transport.abort()
        setattr(self, which, None)
        if which == "acs" and self._listener is not None:
            self._listener.cancel()


@pytest.fixture
async def replay(tmp_path: Path) -> AsyncIterator[Replay]:
    plane = await Plane(tmp_path, rooms=(logs, ssm, ecr)).start()
    made = Replay(plane)
    await plane.api("create_cluster", clusterName=CLUSTER)
    client = made.agent.client
    await client.call("logs", "CreateLogGroup", {"logGroupName": "/ecs/hello"}, made.agent.credentials)
    secret = {"Name": "/prod/pw", "Value": "hunter2", "Type": "SecureString"}
    await client.call("ssm", "PutParameter", secret, made.agent.credentials)
    yield made
    await made.close()
    await plane.stop()


async def test_the_recorded_agent_is_understood(replay: Replay) -> None:
    said = [record for record in RECORDS if record["kind"] != "imds"]
    for record in said:
        await replay.take(record)
    assert replay.done == [record["kind"] for record in said]
    reader = replay.plane.store.reader
    instance = reader.get(CONTAINER_INSTANCES, replay.agent.arn)
    assert instance is not None and instance.status == "ACTIVE" and instance.capacity == Host("EXTERNAL").capacity
    await replay.plane.until(
        lambda: not (reader.get(CONTAINER_INSTANCES, replay.agent.arn) or instance).agent_connected, "disconnected"
    )
    health = reader.get(INSTANCE_HEALTH, replay.agent.arn)
    assert health is not None and [each["status"] for each in health.results] == ["OK"]
    exits = {task.containers[0].exit_code for task in reader.all(TASKS)}
    assert {7, 137} <= exits
