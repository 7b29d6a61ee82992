"""GPUs on instances: offered, placed, pinned; a GPU type on a machine that has none is no capacity.

The machine has no GPU: the file of the images names two, and a plain runtime bears NVIDIA's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Platform
from tests.platform.fleet import CLUSTER, Fleet
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform

USER_DATA = f"""#!/bin/sh
echo ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config
echo ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config
mkdir -p /var/lib/ecs/gpu
echo '{{"DriverVersion": "535.1", "GPUIDs": ["GPU-0a", "GPU-1b"]}}' > /var/lib/ecs/gpu/nvidia-gpu-info.json
echo '{{"runtimes": {{"nvidia": {{"path": "runc"}}}}}}' > /etc/docker/daemon.json
systemctl restart docker
"""
ONE = [{"type": "GPU", "value": "1"}]


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Fleet:
    return Fleet(platform, tasks.image, group="gpus")


@pytest.fixture(scope="module")
def instance(fleet: Fleet) -> Iterator[str]:
    made = fleet.launch(UserData=USER_DATA)["InstanceId"]
    yield made
    fleet.terminate(made)


def left(fleet: Fleet, instance: str) -> list[str]:
    """The GPUs that no task has."""
    remaining = fleet.container_instance(instance)["remainingResources"]
    found: list[str] = next(each["stringSetValue"] for each in remaining if each["name"] == "GPU")
    return found


def test_gpus_are_placed_and_pinned(fleet: Fleet, instance: str) -> None:
    registered = fleet.container_instance(instance)
    attributes = {each["name"] for each in registered["attributes"]}
    assert "ecs.capability.nvidia-driver-version.535.1" in attributes
    assert left(fleet, instance) == ["GPU-0a", "GPU-1b"]
    script = "trap 'exit 0' TERM; while true; do sleep 0.2; done"
    tasks = [fleet.run("gpu", script, resourceRequirements=ONE) for _ in range(2)]
    for arn, gpu in zip(tasks, ("GPU-0a", "GPU-1b"), strict=True):
        assert fleet.running(arn)["containers"][0]["gpuIds"] == [gpu]
        (id,) = [id for id, task in fleet.containers(instance).items() if task == arn]
        assert f"NVIDIA_VISIBLE_DEVICES={gpu}" in fleet.inside(instance, "docker", "exec", id, "env").splitlines()
        assert fleet.inside(instance, "docker", "inspect", "-f", "{{.HostConfig.Runtime}}", id) == "nvidia"
    assert left(fleet, instance) == []
    third = fleet.ecs.run_task(cluster=CLUSTER, taskDefinition="gpu")
    assert [each["reason"] for each in third["failures"]] == ["RESOURCE:GPU"]
    fleet.stop(tasks[0])
    assert left(fleet, instance) == ["GPU-0a"]
    fleet.stop(tasks[1])


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_a_gpu_type_needs_a_gpu(fleet: Fleet) -> None:
    made = fleet.ec2.run_instances(ImageId=fleet.ami, InstanceType="g4dn.xlarge", MinCount=1, MaxCount=1)
    id = made["Instances"][0]["InstanceId"]
    eventually(lambda: fleet.instance(id)["State"]["Name"] == "terminated")
    reason = fleet.instance(id)["StateReason"]
    assert reason["Code"] == "Server.InsufficientInstanceCapacity" and "0 GPUs" in reason["Message"]
