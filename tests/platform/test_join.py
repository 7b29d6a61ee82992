"""``dryport join``: a machine with Docker becomes a container instance, and keeps its tasks."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Platform
from tests.platform.support import docker, eventually

pytestmark = pytest.mark.platform


class Joined:
    """A ``dryport join`` of this machine."""

    def __init__(self, platform: Platform, cluster: str) -> None:
        self.platform = platform
        self.cluster = cluster
        self.state_dir = Path(tempfile.mkdtemp(prefix="dpj-", dir="/tmp"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "dryport.cli.main", "join", self.platform.endpoint]
        with (self.state_dir / "log").open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--cluster", self.cluster, "--state-dir", str(self.state_dir)],
                env={**os.environ, **self.platform.aws_environment()},
                stdout=output,
                stderr=output,
            )

    def end(self, signal_number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signal_number)
            self.process.wait(30)


@pytest.fixture
def joined(platform: Platform) -> Iterator[Joined]:
    platform.client("ecs").create_cluster(clusterName="edge")
    made = Joined(platform, "edge")
    made.start()
    yield made
    made.end()
    shutil.rmtree(made.state_dir)


def test_a_machine_with_docker_joins_and_keeps_its_task(platform: Platform, joined: Joined, busybox: str) -> None:
    ecs = platform.client("ecs")
    instances = eventually(lambda: ecs.list_container_instances(cluster="edge")["containerInstanceArns"])
    container = {
        "name": "web",
        "image": busybox,
        "memory": 64,
        "command": ["sh", "-c", "echo hi > /www/index.html; exec httpd -f -p 80 -h /www"],
        "portMappings": [{"containerPort": 80}],
    }
    ecs.register_task_definition(
        family="edge", requiresCompatibilities=["EXTERNAL"], networkMode="bridge", containerDefinitions=[container]
    )
    answer = ecs.run_task(cluster="edge", launchType="EXTERNAL", taskDefinition="edge")
    assert not answer["failures"]
    arn = answer["tasks"][0]["taskArn"]
    assert answer["tasks"][0]["containerInstanceArn"] == instances[0]

    def running() -> dict[str, object] | None:
        task = ecs.describe_tasks(cluster="edge", tasks=[arn])["tasks"][0]
        assert task["lastStatus"] != "STOPPED", task
        return task if task["lastStatus"] == "RUNNING" else None

    task = eventually(running)
    port = task["containers"][0]["networkBindings"][0]["hostPort"]  # type: ignore[index]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hi\n"
    assert "com.amazonaws.ecs.task-arn" in docker("inspect", "-f", "{{.Config.Labels}}", _container(arn))

    joined.end(signal.SIGKILL)
    eventually(lambda: not _instance(ecs, instances[0])["agentConnected"])
    joined.start()
    eventually(lambda: _instance(ecs, instances[0])["agentConnected"])
    assert eventually(running)["containers"] == task["containers"]
    ecs.stop_task(cluster="edge", task=arn)
    eventually(lambda: ecs.describe_tasks(cluster="edge", tasks=[arn])["tasks"][0]["lastStatus"] == "STOPPED")
    assert _container(arn) == "" or docker("inspect", "-f", "{{.State.Running}}", _container(arn)) == "false"
    ecs.deregister_container_instance(cluster="edge", containerInstance=instances[0])
    if found := docker("ps", "-aq", "--filter", f"label=com.amazonaws.ecs.task-arn={arn}"):
        docker("rm", "-f", *found.split())


def _instance(ecs: object, arn: str) -> dict[str, object]:
    answer = ecs.describe_container_instances(cluster="edge", containerInstances=[arn])  # type: ignore[attr-defined]
    found: dict[str, object] = answer["containerInstances"][0]
    return found


def _container(task_arn: str) -> str:
    return docker("ps", "-aq", "--filter", f"label=com.amazonaws.ecs.task-arn={task_arn}")


def test_join_says_what_is_missing(platform: Platform) -> None:
    command = [sys.executable, "-m", "dryport.cli.main", "join"]
    without = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run([*command, platform.endpoint], capture_output=True, text=True, env=without)
    assert done.returncode == 1
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    with_keys = {**without, **platform.aws_environment()}
    done = subprocess.run([*command, "http://127.0.0.1:9"], capture_output=True, text=True, env=with_keys)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
