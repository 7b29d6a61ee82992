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
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import docker, eventually

WITHOUT_KEYS = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
pytestmark = pytest.mark.platform


class Joined:
    """A ``dryport join`` of this machine."""

    def __init__(self, platform: Platform, cluster: str, *options: str) -> None:
        self.platform = platform
        self.cluster = cluster
        self.options = options
        # Whoever joins by an activation has no keys.
        self.keys = {} if options else platform.aws_environment()
        self.state_dir = Path(tempfile.mkdtemp(prefix="dpj-", dir="/tmp"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "dryport.cli.main", "join", self.platform.endpoint]
        with (self.state_dir / "log").open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--cluster", self.cluster, "--state-dir", str(self.state_dir), *self.options],
                env={**WITHOUT_KEYS, **self.keys},
                stdout=output,
                stderr=output,
            )

    def leave(self) -> subprocess.CompletedProcess[str]:
        """`dryport leave`."""
        command = [sys.executable, "-m", "dryport.cli.main", "leave", "--state-dir", str(self.state_dir)]
        return subprocess.run(command, env={**WITHOUT_KEYS, **self.keys}, capture_output=True, text=True, timeout=60)

    def end(self, signal_number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(signal_number)
            self.process.wait(30)
            self.process = None


def endpoint_is_free() -> bool:
    """Whether no agent of this machine has left 169.254.170.2 or rules for it."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    addresses = subprocess.run(["ip", "-br", "address", "show", "lo"], capture_output=True, text=True, check=True)
    return "dryport_task_endpoint" not in tables and "169.254.170.2/" not in addresses.stdout


@pytest.fixture
def joined(platform: Platform) -> Iterator[Joined]:
    platform.client("ecs").create_cluster(clusterName="edge")
    made = Joined(platform, "edge")
    made.start()
    yield made
    made.end()
    shutil.rmtree(made.state_dir)


def _connected(ecs: Any) -> list[str]:
    """The container instances of the cluster whose agents are there."""
    arns = ecs.list_container_instances(cluster="edge")["containerInstanceArns"]
    if not arns:
        return []
    found = ecs.describe_container_instances(cluster="edge", containerInstances=arns)["containerInstances"]
    return [each["containerInstanceArn"] for each in found if each["agentConnected"]]


def test_a_machine_with_docker_joins_and_keeps_its_task(platform: Platform, joined: Joined, busybox: str) -> None:
    ecs = platform.client("ecs")
    instances = eventually(lambda: _connected(ecs))
    container = {
        "name": "web",
        "image": busybox,
        "memory": 64,
        "command": [
            "sh",
            "-c",
            "cd /www; echo hi > index.html; wget -O task $ECS_CONTAINER_METADATA_URI_V4/task; exec httpd -f -h /www",
        ],
        "portMappings": [{"containerPort": 80}],
    }
    ecs.register_task_definition(
        family="edge", requiresCompatibilities=["EXTERNAL"], networkMode="bridge", containerDefinitions=[container]
    )
    answer = ecs.run_task(cluster="edge", launchType="EXTERNAL", taskDefinition="edge")
    assert not answer["failures"]
    arn = answer["tasks"][0]["taskArn"]
    assert answer["tasks"][0]["containerInstanceArn"] == instances[0]

    def running() -> dict[str, Any] | None:
        task = ecs.describe_tasks(cluster="edge", tasks=[arn])["tasks"][0]
        assert task["lastStatus"] != "STOPPED", task
        return task if task["lastStatus"] == "RUNNING" else None

    task = eventually(running)
    port = task["containers"][0]["networkBindings"][0]["hostPort"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hi\n"
    connection.request("GET", "/task")
    assert arn.encode() in connection.getresponse().read()
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
    assert not endpoint_is_free()
    joined.end()
    assert endpoint_is_free()
    if found := docker("ps", "-aq", "--filter", f"label=com.amazonaws.ecs.task-arn={arn}"):
        docker("rm", "-f", *found.split())


def test_a_machine_joins_by_an_activation_and_leaves(platform: Platform, busybox: str) -> None:
    ecs, ssm = platform.client("ecs"), platform.client("ssm")
    ecs.create_cluster(clusterName="far")
    activation = ssm.create_activation(IamRole="ecsAnywhereRole")
    given = ("--activation-id", activation["ActivationId"], "--activation-code", activation["ActivationCode"])
    joined = Joined(platform, "far", *given)
    joined.start()
    try:
        (arn,) = eventually(lambda: ecs.list_container_instances(cluster="far")["containerInstanceArns"])
        eventually(lambda: _instance(ecs, arn, "far")["agentConnected"])
        (machine,) = ssm.describe_instance_information()["InstanceInformationList"]
        assert _instance(ecs, arn, "far")["ec2InstanceId"] == machine["InstanceId"]
        assert machine["IamRole"] == "ecsAnywhereRole" and machine["PingStatus"] == "Online"
        for name in ("identity.json", "credentials.json"):
            assert (joined.state_dir / name).stat().st_mode & 0o777 == 0o600
        # The same machine, with an activation that is used up and needed no more.
        joined.end(signal.SIGKILL)
        joined.start()
        eventually(lambda: _instance(ecs, arn, "far")["agentConnected"])
        container = {"name": "web", "image": busybox, "memory": 16, "command": ["sleep", "600"]}
        ecs.register_task_definition(family="far", containerDefinitions=[container])
        run = ecs.run_task(cluster="far", launchType="EXTERNAL", taskDefinition="far")
        task = run["tasks"][0]["taskArn"]
        described = {"cluster": "far", "tasks": [task]}
        eventually(lambda: ecs.describe_tasks(**described)["tasks"][0]["lastStatus"] == "RUNNING")
        assert joined.leave().returncode == 1  # the agent runs
        joined.end(signal.SIGKILL)
        left = joined.leave()
        assert left.returncode == 0, left.stderr
        assert not joined.state_dir.exists() and not _container(task)
        assert endpoint_is_free()
        eventually(lambda: ecs.describe_tasks(**described)["tasks"][0]["lastStatus"] == "STOPPED")
        assert _instance(ecs, arn, "far")["status"] == "INACTIVE"
        assert ssm.describe_instance_information()["InstanceInformationList"] == []
    finally:
        joined.end()
        shutil.rmtree(joined.state_dir, ignore_errors=True)


def _instance(ecs: Any, arn: str, cluster: str = "edge") -> dict[str, Any]:
    answer = ecs.describe_container_instances(cluster=cluster, containerInstances=[arn])
    found: dict[str, Any] = answer["containerInstances"][0]
    return found


def _container(task_arn: str) -> str:
    return docker("ps", "-aq", "--filter", f"label=com.amazonaws.ecs.task-arn={task_arn}")


def test_join_says_what_is_missing(platform: Platform) -> None:
    command = [sys.executable, "-m", "dryport.cli.main", "join"]
    done = subprocess.run([*command, platform.endpoint], capture_output=True, text=True, env=WITHOUT_KEYS)
    assert done.returncode == 1
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    with_keys = {**WITHOUT_KEYS, **platform.aws_environment()}
    done = subprocess.run([*command, "http://127.0.0.1:9"], capture_output=True, text=True, env=with_keys)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
