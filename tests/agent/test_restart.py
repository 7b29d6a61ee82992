"""kill -9 of the agent and of the control plane, at every point: nothing is lost, nothing is run twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.agent.conftest import Agent, container, docker, task
from tests.agent.control import Control

pytestmark = pytest.mark.platform


def statuses(control: Control, arn: str) -> list[str]:
    return [change["status"] for change in control.changes(arn)]


async def test_a_running_task_goes_on_and_its_end_is_told(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "while ! test -e /tmp/end; do sleep 0.1; done; exit 5", image))
    await control.payload(wanted)
    name = (await control.status(wanted["arn"], "RUNNING"))["containers"][0]["runtimeId"]
    registered = control.instance
    await agent.kill()
    await agent.start()
    await control.until(lambda: len(control.queries) == 2)
    assert control.calls("RegisterContainerInstance")[1]["containerInstanceArn"] == registered
    assert control.queries[1]["sendCredentials"] == "true"
    assert docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", name) == "running 0"
    docker("exec", name, "touch", "/tmp/end")
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["containers"][-1]["exitCode"] == 5
    # RUNNING may come twice: the agent may have been killed before it had the answer.
    assert list(dict.fromkeys(statuses(control, wanted["arn"]))) == ["RUNNING", "STOPPED"]


async def test_an_end_in_the_agents_absence_is_told(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "while ! test -e /tmp/end; do sleep 0.1; done; exit 5", image))
    await control.payload(wanted)
    name = (await control.status(wanted["arn"], "RUNNING"))["containers"][0]["runtimeId"]
    await agent.kill()
    docker("exec", name, "touch", "/tmp/end")
    assert docker("wait", name) == "5"
    await agent.start()
    assert (await control.status(wanted["arn"], "STOPPED"))["containers"][-1]["exitCode"] == 5


async def test_killed_while_a_stop_waits(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "trap '' TERM; while :; do sleep 0.1; done", image, stopTimeout=3))
    await control.payload(wanted)
    await control.status(wanted["arn"], "RUNNING")
    await control.payload({"arn": wanted["arn"], "desiredStatus": "STOPPED", "containers": []})
    await control.until(lambda: len(control.messages("AckRequest")) == 2)
    await agent.kill()
    await agent.start()
    assert (await control.status(wanted["arn"], "STOPPED"))["containers"][-1]["exitCode"] == 137


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 0.6])
async def test_killed_while_it_starts_a_task(agent: Agent, control: Control, image: str, after: float) -> None:
    wanted = task(container("main", "echo once; sleep 1; exit 4", image))
    await control.payload(wanted)
    await control.until(lambda: control.messages("AckRequest"))  # from here on the agent answers for it
    await asyncio.sleep(after)  # wherever it is then
    await agent.kill()
    await agent.start()
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert stopped["containers"][-1]["exitCode"] == 4
    assert docker("logs", stopped["containers"][-1]["runtimeId"]) == "once"
    told = statuses(control, wanted["arn"])
    assert told == sorted(told)  # RUNNING comes before STOPPED
    assert "RUNNING" in told


async def test_what_is_told_while_the_control_plane_is_away_comes_later(
    agent: Agent, control: Control, image: str
) -> None:
    wanted = task(container("main", "sleep 2; exit 6", image))
    await control.payload(wanted)
    await control.status(wanted["arn"], "RUNNING")
    await control.stop()
    await asyncio.sleep(3)
    await agent.kill()
    await agent.start()
    await asyncio.sleep(1)
    await control.start()
    assert (await control.status(wanted["arn"], "STOPPED"))["containers"][-1]["exitCode"] == 6
    assert statuses(control, wanted["arn"]) == ["RUNNING", "STOPPED"]


async def test_a_refused_change_is_tried_again_and_a_hopeless_one_dropped(
    agent: Agent, control: Control, image: str
) -> None:
    control.refusals["SubmitTaskStateChange"] = (500, {"__type": "ServerException", "message": "later"})
    wanted = task(container("main", "exit 0", image))
    await control.payload(wanted)
    await control.until(lambda: len(control.calls("SubmitTaskStateChange:refused")) >= 2)
    control.refusals["SubmitTaskStateChange"] = (400, {"__type": "InvalidParameterException", "message": "no"})
    await control.until(lambda: control.calls("SubmitTaskStateChange:refused")[-1]["status"] == "STOPPED")
    del control.refusals["SubmitTaskStateChange"]
    other = task(container("main", "exit 0", image))
    await control.payload(other)
    await control.status(other["arn"], "STOPPED")
    assert statuses(control, wanted["arn"]) == []


async def test_a_payload_that_comes_twice_runs_once(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "sleep 1", image))
    await control.payload(wanted)
    await control.payload(wanted)
    await control.status(wanted["arn"], "STOPPED")
    await control.payload(wanted)
    await control.until(lambda: len(control.messages("AckRequest")) == 3)
    names = docker("ps", "-aq", "--filter", f"label=com.amazonaws.ecs.task-arn={wanted['arn']}").split()
    assert len(names) == 1


async def test_a_manifest_without_the_task_stops_it_once_confirmed(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "trap 'exit 0' TERM; while :; do sleep 0.1; done", image))
    await control.payload(wanted)
    await control.status(wanted["arn"], "RUNNING")
    manifest = await control.send("TaskManifestMessage", {"timeline": 50, "tasks": []})
    await control.until(lambda: control.messages("TaskStopVerificationMessage"))
    asked = control.messages("TaskStopVerificationMessage")[0]
    assert asked["messageId"] == manifest
    assert [c["taskArn"] for c in asked["stopCandidates"]] == [wanted["arn"]]
    stop = {"messageId": manifest, "stopTasks": [{"taskArn": wanted["arn"]}]}
    await control.send("TaskManifestMessage", {"timeline": 50, "tasks": []})  # not newer: discarded
    await control.send("TaskStopVerificationAck", stop)
    await control.status(wanted["arn"], "STOPPED")
    assert len(control.messages("TaskStopVerificationMessage")) == 1


@pytest.mark.parametrize("code", [1001, 1011, 4000])
async def test_the_control_connection_comes_back(agent: Agent, control: Control, code: int) -> None:
    await control.close_socket(code)
    await control.until(lambda: len(control.queries) == 2)
    assert control.queries[1]["sendCredentials"] == "false"


async def test_a_container_of_the_agents_that_it_does_not_know_goes(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "sleep 100", image))
    await control.payload(wanted)
    name = (await control.status(wanted["arn"], "RUNNING"))["containers"][0]["runtimeId"]
    await agent.kill()
    for file in agent.state_dir.glob("agent.db*"):
        file.unlink()
    await agent.start()
    async with asyncio.timeout(20):
        while docker("ps", "-aq", "--filter", f"name={name}"):  # noqa: ASYNC110 (Docker tells nobody here)
            await asyncio.sleep(0.2)


async def test_bad_frames_and_payloads_do_no_harm(agent: Agent, control: Control, image: str) -> None:
    assert control._socket is not None
    for text in ("", "no json", "[]", '{"type": "PayloadMessage"}', '{"type": 1, "message": {}}'):
        await control._socket.send_str(text)
    bad = task(container("main", "true", image), volumes=7)
    cycle = task(
        container("a", "true", image, dependsOn=[{"containerName": "b", "condition": "START"}]),
        container("b", "true", image, dependsOn=[{"containerName": "a", "condition": "START"}]),
    )
    await control.payload(bad)
    await control.payload(cycle)
    assert "volumes" in (await control.status(bad["arn"], "STOPPED"))["reason"]
    assert "cycle" in (await control.status(cycle["arn"], "STOPPED"))["reason"]
    good = task(container("main", "exit 0", image))
    await control.payload(good)
    await control.status(good["arn"], "STOPPED")
