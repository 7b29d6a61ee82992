"""Lifecycle hooks that are Lambda functions, invoked over HTTP at a server of this test's."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from dryport.control.config import Forward
from dryport.ecs.services import hooks, stages
from dryport.ecs.services.model import Hook
from dryport.iam.model import IDENTITIES
from tests.ecs.control.plane import Plane
from tests.ecs.control.shifted import BLUE_GREEN, Shifted
from tests.ecs.control.test_balancers import drains
from tests.iam.accounts import document, statement
from tests.iam.stored import put_roles

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:check"
ROLE = "arn:aws:iam::000000000000:role/hooks"
HOOK: dict[str, Any] = {"hookTargetArn": FUNCTION, "roleArn": ROLE}


class Lambda:
    """A server of Lambda's Invoke API, which answers with what it was given; the last answer again and again."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answers: list[Any] = [{"hookStatus": "SUCCEEDED"}]
        self.error = ""
        known = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                known.paths.append(unquote(self.path))
                known.events.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                answer = known.answers.pop(0) if len(known.answers) > 1 else known.answers[0]
                body = json.dumps(answer).encode()
                self.send_response(200)
                if known.error:
                    self.send_header("X-Amz-Function-Error", known.error)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def functions() -> Iterator[Lambda]:
    made = Lambda()
    yield made
    made.close()


@pytest.fixture
async def world(tmp_path: Path, functions: Lambda, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shifted]:
    monkeypatch.setattr(stages, "SETTLE", 0.3)
    plane = Plane(tmp_path, rooms=[drains])
    plane.config = replace(plane.config, forwards=(Forward(service="lambda", to=functions.url),))
    await plane.start()
    made = Shifted(plane)
    await made.begin()
    await plane.store.transact(_role)
    yield made
    await made.host.close()
    await plane.stop()


def _role(tx: Any) -> None:
    put_roles(tx, "ecs", "hooks")
    role = next(each for each in tx.all(IDENTITIES) if each.name == "hooks")
    may = document(statement("Allow", "lambda:InvokeFunction", FUNCTION))
    tx.put(IDENTITIES, replace(role, inline={"may": may}))


def hooked(*names: str, **more: Any) -> dict[str, Any]:
    return {**BLUE_GREEN, "lifecycleHooks": [{**HOOK, "lifecycleStages": list(names), **more}]}


async def test_each_stage_waits_for_its_function(world: Shifted, functions: Lambda) -> None:
    """Which is told what AWS tells, under its role; one that is in progress is asked again with what it gave back."""
    await world.made()
    functions.answers = [
        {"hookStatus": "IN_PROGRESS", "callBackDelay": 0, "hookDetails": {"seen": 1}},
        {"hookStatus": "SUCCEEDED"},
    ]
    asked = hooked("POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", hookDetails={"bucket": "b"})
    await world.update(forceNewDeployment=True, deploymentConfiguration=asked)
    blue, green = (each["arn"] for each in reversed((await world.service())["currentServiceRevisions"]))
    await world.well(world.first)
    await world.complete()
    assert functions.paths == [f"/2015-03-31/functions/{FUNCTION}/invocations"] * 4
    first, again, test, production = functions.events
    last = (await world.history())[0]
    assert first == {
        "executionId": first["executionId"],
        "lifecycleStage": "POST_SCALE_UP",
        "resourceArn": last["serviceDeploymentArn"],
        "executionDetails": {
            "serviceArn": (await world.service())["serviceArn"],
            "targetServiceRevisionArn": green,
            "testTrafficWeights": {},
            "productionTrafficWeights": {},
        },
        "hookDetails": {"bucket": "b"},
    }
    assert again["executionId"] == first["executionId"] and again["hookDetails"] == {"bucket": "b", "seen": 1}
    assert test["executionDetails"]["testTrafficWeights"] == {green: 100, blue: 0}
    assert production["executionDetails"]["productionTrafficWeights"] == {green: 100, blue: 0}
    assert test["hookDetails"] == {"bucket": "b"}
    shown = last["lifecycleHookDetails"]
    assert [each["status"] for each in shown] == ["SUCCEEDED"] * 3
    assert {each["targetArn"] for each in shown} == {FUNCTION} and shown[0]["hookId"].startswith("ecs-lambda-")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"hookStatus": "FAILED"}, f"Lifecycle hook target {FUNCTION} returned FAILED status."),
        ({}, f"ECS was unable to parse the response from {FUNCTION} due to HookStatus must not be null"),
    ],
)
async def test_one_that_fails_brings_traffic_back(
    world: Shifted, functions: Lambda, answer: dict[str, Any], words: str
) -> None:
    await world.made()
    functions.answers = [answer]
    asked = hooked("POST_PRODUCTION_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=asked)
    await world.well(world.first)
    await world.complete()
    last = (await world.history())[0]
    assert last["status"] == "ROLLBACK_SUCCESSFUL" and last["lifecycleHookDetails"][0]["status"] == "FAILED"
    stage = "POST_PRODUCTION_TRAFFIC_SHIFT"
    assert last["statusReason"] == f"Service deployment rolled back because {stage} lifecycle hook(s) failed. {words}"
    assert world.weights(world.production) == {"first": 0, "second": 100} == world.weights(world.test)


@pytest.mark.parametrize("answer", [{"hookStatus": "SUCCEEDED"}, {"hookStatus": "FAILED"}])
async def test_those_of_shifts_run_again_where_they_are_undone(
    world: Shifted, functions: Lambda, answer: dict[str, Any]
) -> None:
    """The traffic does not wait for them, green's tasks do; one that fails keeps nobody from going back."""
    await world.made()
    again = [{"hookStatus": "IN_PROGRESS", "callBackDelay": 1}, answer]
    functions.answers = [*[{"hookStatus": "SUCCEEDED"}] * 2, {"hookStatus": "FAILED"}, *again, answer]
    stages_of = ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=hooked(*stages_of))
    blue, green = (each["arn"] for each in reversed((await world.service())["currentServiceRevisions"]))
    await world.well(world.first)
    await world.plane.until(lambda: len(functions.events) == 4, "the shift is undone")
    assert world.weights(world.production) == {"first": 0, "second": 100} == world.weights(world.test)
    assert len(world.states(world.first)) == len(world.states(world.second))
    await world.complete()
    last = (await world.history())[0]
    assert last["status"] == "ROLLBACK_SUCCESSFUL" and world.targets(world.first) == []
    asked = [each["lifecycleStage"] for each in functions.events]
    assert asked == [*stages_of, "PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT"]
    for event, kind in ((functions.events[3], "production"), (functions.events[5], "test")):
        assert event["resourceArn"] == last["serviceDeploymentArn"]
        details = event["executionDetails"]
        assert details["targetServiceRevisionArn"] == green
        assert details[f"{kind}TrafficWeights"] == {blue: 100, green: 0}
    status = "SUCCEEDED" if answer["hookStatus"] == "SUCCEEDED" else "FAILED"
    assert [each["status"] for each in last["lifecycleHookDetails"]] == ["SUCCEEDED"] * 2 + ["FAILED"] + [status] * 2
    [before] = [each for each in await world.history() if each["status"] == "SUCCESSFUL"]
    assert not before.get("lifecycleHookDetails")


async def test_those_of_shifts_that_never_were_do_not_run(world: Shifted, functions: Lambda) -> None:
    await world.made()
    functions.answers = [{"hookStatus": "FAILED"}]
    asked = hooked("POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT")
    await world.update(forceNewDeployment=True, deploymentConfiguration=asked)
    await world.well(world.first)
    await world.complete()
    assert [each["lifecycleStage"] for each in functions.events] == ["POST_SCALE_UP"]


async def test_a_role_has_to_be_assumed_and_to_allow_it(world: Shifted, functions: Lambda) -> None:
    await world.made()
    other = "arn:aws:lambda:us-east-1:000000000000:function:other"
    for more, words in (
        ({"hookTargetArn": other}, "is not authorized to perform: lambda:InvokeFunction on resource"),
        ({"roleArn": "arn:aws:iam::000000000000:role/task"}, "ECS was unable to assume role"),
    ):
        asked = hooked("PRE_SCALE_UP", **more)
        await world.update(forceNewDeployment=True, deploymentConfiguration=asked)
        await world.complete()
        assert words in (await world.history())[0]["statusReason"]
    assert functions.events == []


async def test_a_killed_control_plane_asks_again(world: Shifted, functions: Lambda) -> None:
    await world.made()
    functions.answers = [{"hookStatus": "IN_PROGRESS", "callBackDelay": 1}, {"hookStatus": "SUCCEEDED"}]
    await world.update(forceNewDeployment=True, deploymentConfiguration=hooked("PRE_SCALE_UP"))
    await world.plane.until(lambda: functions.events, "asked")
    await world.plane.kill()
    await world.plane.start()
    await world.host.connect(send_credentials=True)
    await world.well(world.first)
    await world.complete()
    assert (await world.history())[0]["status"] == "SUCCESSFUL"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"hookTargetArn": "check"}, "hookTargetArn must be the ARN of a Lambda function"),
        ({"roleArn": ""}, "roleArn cannot be null or empty"),
        ({"timeoutConfiguration": {"timeoutInMinutes": 1441}}, "timeoutInMinutes must be between 1 and 1440"),
    ],
)
async def test_what_a_hook_needs(world: Shifted, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        await world.create(deploymentConfiguration=hooked("PRE_SCALE_UP", **more))


async def test_without_an_endpoint_they_are_refused(tmp_path: Path) -> None:
    plane = await Plane(tmp_path, rooms=[drains]).start()
    world = Shifted(plane)
    await world.begin()
    with pytest.raises(ClientError, match="dryport up --forward lambda=URL"):
        await world.create(deploymentConfiguration=hooked("PRE_SCALE_UP"))
    await world.host.close()
    await plane.stop()


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"hookStatus": "IN_PROGRESS", "callBackDelay": -1}'])
def test_answers_that_say_nothing_fail_it(body: bytes) -> None:
    hook = Hook(id="ecs-lambda-x", stage="PRE_SCALE_UP", target_arn=FUNCTION, expires_at=9.0)
    assert hooks.answered(hook, body, 1.0).status == "FAILED"
