"""What AWS's own agent was recorded to say is understood; what it was recorded to be told is what it is told now.

``transcript.jsonl`` is a recording of the agent that AWS publishes, of both directions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import WSServerHandshakeError
from yarl import URL

from dryport.client.client import signature
from dryport.ecs.model import CONTAINER_INSTANCES
from tests.ecs.control.conftest import MakeAgent
from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent

RECORDS = [json.loads(line) for line in (Path(__file__).parent / "transcript.jsonl").read_text().splitlines()]
ROLE = "arn:aws:iam::000000000000:role/"
ECR_IMAGE = "000000000000.dkr.ecr.us-east-1.localhost:4566/test/busybox:1"
# Members that only the recording's small backend wrote, always null.
_RECORDED_NULLS = {"taskRoleArn"}
_SOMETIMES = {"CapAdd", "CapDrop"}  # empty lists that not every recorded payload has


def recorded_api(operation: str) -> list[dict[str, Any]]:
    return [r["body"] for r in RECORDS if r["kind"] == "api" and r["target"].endswith(f"20141113.{operation}")]


def recorded_starts() -> list[dict[str, Any]]:
    tasks = [
        task
        for record in RECORDS
        if record["kind"] == "acs->" and record["raw"]["type"] == "PayloadMessage"
        for task in record["raw"]["message"]["tasks"]
    ]
    return [task for task in tasks if task["desiredStatus"] == "RUNNING" and task["networkMode"] == "bridge"]


def definition_of(task: dict[str, Any]) -> dict[str, Any]:
    """The task definition whose payload was recorded."""
    containers = []
    for container in task["containers"]:
        config = json.loads(container["dockerConfig"]["config"])
        log = json.loads(container["dockerConfig"]["hostConfig"])["LogConfig"]
        definition: dict[str, Any] = {
            "name": container["name"],
            "image": ECR_IMAGE if "registryAuthentication" in container else container["image"],
            "essential": True,
            "cpu": container["cpu"],
            "memory": container["memory"],
            "command": container["command"],
            "environment": [{"name": name, "value": value} for name, value in container["environment"].items()],
            "portMappings": container["portMappings"],
            "secrets": [{"name": s["name"], "valueFrom": s["valueFrom"]} for s in container.get("secrets", [])],
        }
        if "Healthcheck" in config:
            check = config["Healthcheck"]
            definition |= {
                "user": config["User"],
                "workingDirectory": config["WorkingDir"],
                "dockerLabels": config["Labels"],
                "healthCheck": {
                    "command": check["Test"],
                    "interval": check["Interval"] // 10**9,
                    "timeout": check["Timeout"] // 10**9,
                    "retries": check["Retries"],
                },
            }
        if log["Type"] == "awslogs":
            options = {k: v for k, v in log["Config"].items() if k not in ("awslogs-stream", "awslogs-endpoint")}
            options["awslogs-stream-prefix"] = log["Config"]["awslogs-stream"].split("/")[0]
            definition["logConfiguration"] = {"logDriver": "awslogs", "options": options}
        containers.append(definition)
    body: dict[str, Any] = {"containerDefinitions": containers, "networkMode": task["networkMode"]}
    for member, role in (("roleCredentials", "taskRoleArn"), ("executionRoleCredentials", "executionRoleArn")):
        if member in task:
            body[role] = task[member]["roleArn"]
    return body


def shape(value: Any) -> Any:
    """The keys and types of a JSON value; strings that hold JSON objects are looked into."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key not in _RECORDED_NULLS | _SOMETIMES}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        return ("json", shape(json.loads(value)))
    return type(value).__name__


@pytest.mark.parametrize("number", range(len(recorded_starts())))
async def test_payloads_have_the_recorded_shape(plane: Plane, agent: MakeAgent, number: int) -> None:
    recorded = recorded_starts()[number]
    external = await agent("demo", obedient=False)
    definition = await plane.define(f"hello{number}", **definition_of(recorded))
    task_arn = await plane.run_task(definition, external.arn)
    sent = await plane.until(lambda: external.tasks.get(task_arn), "payload")
    assert plane.task(task_arn).last_status == "PENDING"
    message = next(m for m in external.of_type("PayloadMessage") if m["tasks"][0]["arn"] == task_arn)
    recorded_message = next(
        record["raw"]["message"]
        for record in RECORDS
        if record["kind"] == "acs->" and record["raw"]["message"].get("tasks") == [recorded]
    )
    assert set(message) == set(recorded_message)
    container, wanted = sent["containers"][0], recorded["containers"][0]
    for secret in container.get("secrets", ()):
        assert secret.pop("target") == "CONTAINER"  # the recording's backend left it to the agent
    assert shape(sent) == shape(recorded)
    for member in ("command", "environment", "cpu", "memory", "portMappings", "essential"):
        assert container[member] == wanted[member]
    assert json.loads(container["dockerConfig"]["config"]) == json.loads(wanted["dockerConfig"]["config"])
    options = json.loads(container["dockerConfig"]["hostConfig"])["LogConfig"]["Config"]
    if options:
        assert options["awslogs-stream"] == f"ecs/main/{task_arn.rsplit('/', 1)[-1]}"
        assert options["awslogs-endpoint"] == plane.endpoint
        authentication = container["registryAuthentication"]["ecrAuthData"]
        assert authentication["endpointOverride"] == plane.endpoint


async def test_interfaces_are_announced_in_the_recorded_shape(plane: Plane, agent: MakeAgent) -> None:
    recorded = next(
        record["raw"]["message"]
        for record in RECORDS
        if record["kind"] == "acs->" and record["raw"]["type"] == "AttachTaskNetworkInterfacesMessage"
    )
    fargate = await agent()
    task_arn = await plane.run_task(await plane.define_fargate())
    await plane.until(lambda: task_arn in fargate.tasks, "payload")
    kinds = [each["type"] for each in fargate.received]
    assert kinds.index("AttachTaskNetworkInterfacesMessage") < kinds.index("PayloadMessage")
    (message,) = fargate.of_type("AttachTaskNetworkInterfacesMessage")
    assert shape(message) == shape(recorded)
    assert fargate.tasks[task_arn]["elasticNetworkInterfaces"] == message["elasticNetworkInterfaces"]
    assert fargate.tasks[task_arn]["containers"][0]["portMappings"] == []


async def test_the_recorded_agent_registers(plane: Plane) -> None:
    first, again = recorded_api("RegisterContainerInstance")[:2]
    real = SimulatedAgent(plane, "default")
    request = {**first, "cluster": ""}
    registered = (await real.call("RegisterContainerInstance", **request))["containerInstance"]
    assert registered["containerInstanceArn"].startswith(
        "arn:aws:ecs:us-east-1:000000000000:container-instance/default/"
    )
    echoed = {(each["name"], each.get("value")) for each in registered["attributes"]}
    assert {(each["name"], each.get("value")) for each in first["attributes"]} <= echoed
    real.arn = registered["containerInstanceArn"]
    request = {**again, "cluster": "default", "containerInstanceArn": real.arn}
    registered = (await real.call("RegisterContainerInstance", **request))["containerInstance"]
    assert registered["containerInstanceArn"] == real.arn
    # The custom attribute that the agent leaves out the second time is still there.
    assert {"name": "stack", "value": "conf"} in registered["attributes"]
    poll = await real.call("DiscoverPollEndpoint", containerInstance=real.arn, cluster="default", zoneId="")
    assert poll["endpoint"] == f"{plane.endpoint}/acs"
    assert poll["telemetryEndpoint"] == f"{plane.endpoint}/tcs"
    await real.connect(send_credentials=True)
    instance = await plane.until(
        lambda: (i := plane.store.reader.get(CONTAINER_INSTANCES, real.arn)) and i.agent_connected and i, "connected"
    )
    assert (instance.agent_version, instance.agent_hash) == ("1.105.1", "a8b3e7d3")
    assert instance.capacity == "EXTERNAL"
    await real.close()


async def test_the_recorded_reports_are_understood(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo", obedient=False)
    definition = await plane.define()
    arns: dict[str, str] = {}
    for report in recorded_api("SubmitTaskStateChange"):
        recorded_arn = report["task"]
        if recorded_arn not in arns:
            arns[recorded_arn] = await plane.run_task(definition, external.arn)
            await plane.until_status(arns[recorded_arn], "PENDING")
        answer = await external.call("SubmitTaskStateChange", **{**report, "task": arns[recorded_arn]})
        assert answer["acknowledgment"]
        task = plane.task(arns[recorded_arn])
        assert task.last_status == report["status"]
        container = report["containers"][0]
        assert task.containers[0].exit_code == container.get("exitCode", task.containers[0].exit_code)
        assert task.containers[0].image_digest == container.get("imageDigest", task.containers[0].image_digest)
        assert task.containers[0].network_bindings == container.get(
            "networkBindings", task.containers[0].network_bindings
        )
    exit_codes = {plane.task(arn).containers[0].exit_code for arn in arns.values()}
    assert {7, 137} <= exit_codes


async def test_the_recorded_telemetry_is_acknowledged(plane: Plane, agent: MakeAgent) -> None:
    external = await agent("demo", obedient=False)
    socket = await external.telemetry()
    answers = {
        "PublishMetricsRequest": "AckPublishMetric",
        "PublishHealthRequest": "AckPublishHealth",
        "PublishInstanceStatusRequest": "AckPublishInstanceStatus",
    }
    frames = [record for record in RECORDS if record["kind"] == "tcs<-"]
    assert {record["raw"]["type"] for record in frames} == set(answers)
    for record in frames:
        await socket.send_str(f"{record['head']}\r\n\r\n{json.dumps(record['raw'])}")
        assert json.loads((await socket.receive()).data)["type"] == answers[record["raw"]["type"]]
    await socket.close()


async def test_who_may_open_a_socket(plane: Plane) -> None:
    real = SimulatedAgent(plane, "default")
    await real.register()
    query = {"containerInstanceArn": real.arn}
    with pytest.raises(WSServerHandshakeError) as refused:
        await real._open(f"{plane.endpoint}/acs", query, tamper="0")
    assert refused.value.status == 403
    await real.call("DeregisterContainerInstance", cluster="default", containerInstance=real.arn)
    with pytest.raises(WSServerHandshakeError) as refused:
        await real.connect()
    assert refused.value.status == 400
    # AWS's agent waits an hour where it reads this.
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    url = URL(f"{plane.endpoint}/acs/ws?{urlencode(query)}", encoded=True)
    signed = signature("GET", url, {"host": url.authority}, b"", real.credentials, "ecs", "us-east-1")
    headers = {**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **signed}
    async with real.client.session.get(url, headers=headers) as answer:
        assert answer.status == 400
        assert "InactiveInstanceException" in await answer.json(content_type=None)
    await real.register()
    await real.connect()
    await plane.until(lambda: real.received, "heartbeat")
    await real.close()
