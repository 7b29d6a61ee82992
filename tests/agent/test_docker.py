"""The agent on Docker: what a task of a container instance is and does."""

from __future__ import annotations

import pytest

from tests.agent.conftest import Agent, container, docker, task
from tests.agent.control import Control

pytestmark = pytest.mark.platform


async def test_a_task_runs_and_its_exit_code_is_told(agent: Agent, control: Control, image: str) -> None:
    wanted = task(container("main", "exit 7", image))
    message = await control.payload(wanted)
    stopped = await control.status(wanted["arn"], "STOPPED")
    assert [c["exitCode"] for c in stopped["containers"]] == [7]
    assert stopped["reason"] == ""
    assert stopped["executionStoppedAt"]
    running = control.changes(wanted["arn"])[0]
    assert running["status"] == "RUNNING"
    assert running["pullStartedAt"] <= running["pullStoppedAt"]
    name = running["containers"][0]["runtimeId"]
    assert name.startswith("ecs-hello-3-main-")
    assert control.messages("AckRequest")[0]["messageId"] == message
    assert docker("inspect", "--format", '{{index .Config.Labels "com.amazonaws.ecs.task-arn"}}', name) == wanted["arn"]
