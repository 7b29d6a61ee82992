"""The agent on containerd, as the whole platform runs it: logs and tasks through kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.agent.conftest import busybox_archive
from tests.conftest import Platform
from tests.platform.support import Tasks, eventually, push

pytestmark = pytest.mark.platform
IMAGE = "dryport-agent-test/fargate:latest"


@pytest.fixture
def fargate(own_platform: Platform) -> Iterator[Tasks]:
    command = ["docker", "import", "-c", "ENV PATH=/bin", "-", IMAGE]
    subprocess.run(command, input=busybox_archive(), check=True, capture_output=True, timeout=60)
    yield Tasks(own_platform, push(own_platform, IMAGE, "agent"))
    subprocess.run(["docker", "rmi", "-f", IMAGE], capture_output=True, timeout=60)


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
