"""``/etc/ecs/ecs.config`` as user data writes it: what the agent makes of it, as a user of the API sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dryport.agent.runtime.docker.runtime import DockerRuntime
from dryport.agent.runtime.image_gc import Cleanup
from tests.conftest import Platform
from tests.platform.fleet import CLUSTER, Fleet
from tests.platform.support import Tasks

pytestmark = pytest.mark.platform

CONFIG = """
ECS_CLUSTER=instances
ECS_INSTANCE_ATTRIBUTES={"rack": "7", "stack": "prod"}
ECS_CONTAINER_INSTANCE_TAGS={"team": "yard", "both": "own"}
ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM=ec2_instance
ECS_RESERVED_PORTS=[22, 8443]
ECS_RESERVED_PORTS_UDP=[53]
ECS_RESERVED_MEMORY=256
ECS_DISABLE_PRIVILEGED=true
ECS_ENABLE_TASK_IAM_ROLE=false
ECS_AVAILABLE_LOGGING_DRIVERS=["json-file"]
ECS_DYNAMIC_HOST_PORT_RANGE=41000-41099
ECS_CONTAINER_STOP_TIMEOUT=soon
ECS_WARM_POOLS_CHECK=true
ECS_LOGLEVEL=debug
"""
USER_DATA = f"#!/bin/sh\ncat >> /etc/ecs/ecs.config <<'END'{CONFIG}END\n"


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Fleet:
    return Fleet(platform, tasks.image, group="configured")


@pytest.fixture(scope="module")
def instance(fleet: Fleet) -> Iterator[str]:
    tags = [{"Key": "owner", "Value": "ops"}, {"Key": "both", "Value": "instance's"}]
    tagged = {"TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]}
    made = fleet.launch(UserData=USER_DATA, **tagged)["InstanceId"]
    yield made
    fleet.terminate(made)


def test_what_the_instance_registers(fleet: Fleet, instance: str) -> None:
    registered = fleet.container_instance(instance)
    attributes = {each["name"]: each.get("value") for each in registered["attributes"]}
    assert (attributes["rack"], attributes["stack"]) == ("7", "prod")
    prefix = "com.amazonaws.ecs.capability."
    drivers = {name.removeprefix(prefix + "logging-driver.") for name in attributes if "logging-driver" in name}
    assert drivers == {"json-file"}
    assert not {prefix + "privileged-container", prefix + "task-iam-role"} & set(attributes)
    resources = {each["name"]: each for each in registered["registeredResources"]}
    assert set(resources["PORTS"]["stringSetValue"]) == {"22", "8443"}
    assert resources["PORTS_UDP"]["stringSetValue"] == ["53"]
    offered = int(fleet.inside(instance, "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ | sed -n s/DRYPORT_MEMORY=//p"))
    assert resources["MEMORY"]["integerValue"] == offered - 256
    listed = fleet.ecs.list_tags_for_resource(resourceArn=registered["containerInstanceArn"])["tags"]
    tags = {each["key"]: each["value"] for each in listed}
    assert {name: tags.get(name) for name in ("team", "both", "owner")} == {
        "team": "yard",
        "both": "own",
        "owner": "ops",
    }


def test_what_is_not_in_force_is_said_in_the_log(fleet: Fleet, instance: str) -> None:
    log = fleet.inside(instance, "cat", "/var/log/ecs/ecs-agent.log")
    assert "ECS_CONTAINER_STOP_TIMEOUT is ignored and its default in force: 'soon' is no duration" in log
    assert "ECS_WARM_POOLS_CHECK is not acted on: there are no warm pools" in log


def test_tasks_that_the_settings_forbid_are_not_placed(fleet: Fleet, instance: str) -> None:
    fleet.define("privileged", "sleep 60", privileged=True)
    fleet.define("reserved", "sleep 60", portMappings=[{"containerPort": 80, "hostPort": 8443}])
    for family, reason in (("privileged", "ATTRIBUTE"), ("reserved", "RESOURCE:PORTS")):
        answer = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition=family)
        assert [each["reason"] for each in answer["failures"]] == [reason]


def test_dynamic_ports_come_from_the_range_and_ranges_are_told(fleet: Fleet, instance: str) -> None:
    mappings = [
        {"containerPort": 80},
        {"containerPortRange": "9000-9009"},
        {"containerPortRange": "9000-9001", "protocol": "udp"},
    ]
    arn = fleet.run("ports", "trap 'exit 0' TERM; while true; do sleep 0.2; done", portMappings=mappings)
    bindings = fleet.running(arn)["containers"][0]["networkBindings"]
    single = [each["hostPort"] for each in bindings if "hostPort" in each]
    assert len(bindings) == 3 and len(single) == 1 and 41000 <= single[0] <= 41099
    taken = {str(single[0])}
    for each in bindings:
        if text := each.get("hostPortRange"):
            first, last = map(int, text.split("-"))
            size = {"9000-9009": 10, "9000-9001": 2}[each["containerPortRange"]]
            assert first >= 41000 and last == first + size - 1 <= 41099
            if each["protocol"] == "tcp":
                taken |= {str(port) for port in range(first, last + 1)}
    left = {each["name"]: each for each in fleet.container_instance(instance)["remainingResources"]}
    assert taken <= set(left["PORTS"]["stringSetValue"])
    fleet.stop(arn)
    assert "level=debug" in fleet.inside(instance, "cat", "/var/log/ecs/ecs-agent.log")


async def test_what_is_not_of_tasks_is_removed_where_that_is_wanted(
    fleet: Fleet, instance: str, tmp_path: Path
) -> None:
    """On the instance's own Docker: what an agent with such settings does in one cycle."""
    arn = fleet.run("stays", "sleep 600", stopTimeout=2)
    fleet.running(arn)
    archive = "tar -C /usr/bin -c busybox"
    for name in ("stray:1", "kept:1", "used:1"):
        fleet.inside(instance, "sh", "-c", f'{archive} | docker import -c \'CMD ["/busybox", "true"]\' - {name}')
    fleet.inside(instance, "docker", "tag", "stray:1", "stray:2")
    fleet.inside(instance, "docker", "run", "--name", "over", "stray:1")
    fleet.inside(instance, "docker", "run", "-d", "--name", "lasting", "used:1", "/busybox", "sleep", "600")
    cleanup = Cleanup(untracked=True, untracked_age=0, container_age=0, excluded=("kept:1",), per_cycle=50)
    runtime = DockerRuntime(
        tmp_path,
        f"/proc/{fleet.init(instance)}/root/run/docker.sock",
        instance_id="other",
        cleanup=cleanup,
        exclude_ipv6=True,
        nvidia_runtime="nvidia",
    )
    try:
        await runtime._collector.collect()
    finally:
        await runtime.close()
    names = fleet.inside(instance, "docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert "kept:1" in names and "used:1" in names and not {"stray:1", "stray:2"} & set(names)
    assert fleet.inside(instance, "docker", "ps", "-a", "--format", "{{.Names}}").split().count("over") == 0
    assert arn in fleet.containers(instance).values()
    fleet.inside(instance, "docker", "rm", "-f", "lasting")
    fleet.stop(arn)
