"""AWS's own agent, unmodified, on an EC2 instance of Dryport in the place of Dryport's agent.

``DRYPORT_TEST_AWS_AGENT`` names its binary (``amazon-ecs-agent``, for Linux). What AWS's package has beside it is
needed for tasks with interfaces and is looked for in the binary's directory: ``cni/`` with the plugins, which goes to
``ECS_CNI_PLUGINS_PATH``, and ``amazon-ecs-pause.tar``, the image of the pause container.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
from tests.platform.support import Tasks, eventually

BINARY = Path(os.environ.get("DRYPORT_TEST_AWS_AGENT") or "/nonexistent")
PLUGINS, PAUSE = BINARY.parent / "cni", BINARY.parent / "amazon-ecs-pause.tar"
pytestmark = [
    pytest.mark.platform,
    pytest.mark.skipif(
        "DRYPORT_TEST_AWS_AGENT" not in os.environ,
        reason="DRYPORT_TEST_AWS_AGENT does not name the binary of AWS's agent",
    ),
]
CLUSTER = "aws-agent"
HERE = "/opt/aws-agent"
# Dryport's own agent is not started: user data is executed before it.
USER_DATA = "#!/bin/sh\nsystemctl stop ecs\n"
START = f"""
set -e
export ECS_CLUSTER={CLUSTER} ECS_BACKEND_HOST=$AWS_ENDPOINT_URL ECS_DATADIR=/var/lib/ecs/aws-data ECS_CHECKPOINT=true
export ECS_LOGFILE=/var/log/ecs/aws-agent.log ECS_LOGLEVEL=debug ECS_AVAILABLE_LOGGING_DRIVERS='["json-file","awslogs"]'
export ECS_ENABLE_TASK_IAM_ROLE=true ECS_ENABLE_TASK_ENI=WITH_INTERFACES ECS_CNI_PLUGINS_PATH={HERE}/cni
export ECS_INSTANCE_ATTRIBUTES='{{"agent": "aws"}}' ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true
mkdir -p $ECS_DATADIR /var/log/ecs
unset AWS_ENDPOINT_URL
setsid {HERE}/amazon-ecs-agent > /var/log/ecs/aws-agent.out 2>&1 < /dev/null &
"""
SCRIPT = "trap 'exit 0' TERM; while true; do sleep 0.2; done"


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Fleet:
    assert BINARY.is_file(), f"DRYPORT_TEST_AWS_AGENT names {BINARY}, which is no file"
    return Fleet(platform, tasks.image, group="aws-agent", cluster=CLUSTER)


@pytest.fixture(scope="module")
def instance(fleet: Fleet) -> Iterator[str]:
    """An instance on which AWS's agent runs and is connected."""
    made = fleet.boot(UserData=USER_DATA)
    try:
        eventually(lambda: fleet.ready(made))
        put(fleet, made, BINARY, "amazon-ecs-agent")
        for file in sorted(PLUGINS.iterdir()) if PLUGINS.is_dir() else ():
            put(fleet, made, file, f"cni/{file.name}")
        if PAUSE.is_file():
            put(fleet, made, PAUSE, PAUSE.name)
            fleet.inside(made, "docker", "load", "-i", f"{HERE}/{PAUSE.name}")
        interfaces = "true" if PLUGINS.is_dir() else "false"
        environment = fleet.inside(made, "cat", "/etc/environment")
        start = f"set -a\n{environment}\nset +a\n{START.replace('WITH_INTERFACES', interfaces)}"
        fleet.inside(made, "sh", "-c", start)
        try:
            eventually(lambda: fleet.container_instance(made).get("agentConnected"), 120)
        except AssertionError:
            log = fleet.inside(made, "sh", "-c", "tail -n 60 /var/log/ecs/aws-agent.*")
            raise AssertionError(f"AWS's agent does not join:\n{log}") from None
        yield made
    finally:
        fleet.terminate(made)


def put(fleet: Fleet, instance_id: str, file: Path, name: str) -> None:
    """Copy a program into the instance."""
    target = f"{HERE}/{name}"
    command = f"mkdir -p {os.path.dirname(target)} && cat > {target} && chmod 755 {target}"
    with file.open("rb") as content:
        subprocess.run([*fleet.entering(instance_id), "sh", "-c", command], stdin=content, check=True, timeout=120)


def test_it_joins_with_what_it_is(fleet: Fleet, instance: str) -> None:
    registered = fleet.container_instance(instance)
    assert registered["versionInfo"]["agentVersion"] and registered["status"] == "ACTIVE"
    attributes = {each["name"]: each.get("value") for each in registered["attributes"]}
    assert attributes["agent"] == "aws" and attributes["ecs.instance-type"] == "t3.small"


def test_it_runs_and_stops_a_bridge_task(fleet: Fleet, instance: str) -> None:
    arn = fleet.run("bridge", SCRIPT, portMappings=[{"containerPort": 80}])
    (binding,) = fleet.running(arn)["containers"][0]["networkBindings"]
    assert binding["containerPort"] == 80 and 32768 <= binding["hostPort"] <= 60999
    assert arn in fleet.containers(instance).values()
    stopped = fleet.stop(arn)
    assert stopped["stopCode"] == "UserInitiated" and stopped["containers"][0]["exitCode"] == 0
    eventually(lambda: arn not in fleet.containers(instance).values())


@pytest.mark.skipif(
    not PLUGINS.is_dir() or not PAUSE.is_file(),
    reason=f"beside AWS's agent there are no CNI plugins ({PLUGINS}) or no image of the pause container ({PAUSE})",
)
def test_it_runs_and_stops_a_task_with_an_interface(fleet: Fleet, instance: str) -> None:
    container = {"name": "main", "image": fleet.image, "memory": 32, "command": ["sh", "-c", SCRIPT]}
    fleet.ecs.register_task_definition(family="awsvpc", networkMode="awsvpc", containerDefinitions=[container])
    subnet = fleet.instance(instance)["SubnetId"]
    answer = fleet.ecs.run_task(
        cluster=CLUSTER,
        taskDefinition="awsvpc",
        networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
    )
    assert not answer["failures"], answer["failures"]
    arn = answer["tasks"][0]["taskArn"]
    task = fleet.running(arn)
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    (id,) = [id for id, name in fleet.containers(instance, "main").items() if name == arn]
    addresses = fleet.inside(instance, "docker", "exec", id, "ip", "-o", "-4", "addr")
    assert details["privateIPv4Address"] in addresses
    assert fleet.stop(arn)["containers"][0]["exitCode"] == 0
