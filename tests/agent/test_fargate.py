"""The agent on containerd, as the whole platform runs it: logs and tasks through kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.agent.conftest import busybox_archive
from tests.conftest import Platform
from tests.platform.support import Tasks, eventually, push

pytestmark = pytest.mark.platform


@pytest.fixture
def fargate(own_platform: Platform) -> Iterator[Tasks]:
    image = f"dryport-agent-test/fargate:{uuid.uuid4().hex[:8]}"
    command = ["docker", "import", "-c", "ENV PATH=/bin", "-", image]
    subprocess.run(command, input=busybox_archive(), check=True, capture_output=True, timeout=60)
    yield Tasks(own_platform, push(own_platform, image, "agent"))
    subprocess.run(["docker", "rmi", "-f", image], capture_output=True, timeout=60)


def test_no_line_is_lost_when_the_agent_is_killed(fargate: Tasks) -> None:
    count = 300
    script = f"i=0; while test $i -lt {count}; do echo line $i; i=$((i+1)); usleep 20000; done; exit 9"
    arn = fargate.run(fargate.define(fargate.container(script)))[0]
    eventually(lambda: fargate.output(arn))
    for _ in range(2):
        os.kill(fargate.platform.pid("agent"), signal.SIGKILL)
        time.sleep(2)
    task = fargate.until(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 9
    # A batch whose answer the killed agent did not see may be there twice; none is missing.
    assert set(fargate.output(arn)) == {f"line {i}" for i in range(count)}


def test_what_a_task_learns_of_itself(fargate: Tasks) -> None:
    """Its zone is that of its subnet; how often its container was restarted is there where it has a policy."""
    policy = {"restartPolicy": {"enabled": True, "restartAttemptPeriod": 60}}
    script = "wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task; echo; wget -qO- $ECS_CONTAINER_METADATA_URI_V4"
    arn = fargate.run(fargate.define(fargate.container(script) | policy))[0]
    stopped = fargate.until(arn, "STOPPED")
    task, container = (json.loads(line) for line in fargate.output(arn))
    assert task["AvailabilityZone"] == stopped["availabilityZone"] != ""
    assert container["RestartCount"] == 0
