"""GPUs: found in the file of the images or told by the driver, registered, given to containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dryport.agent import gpus
from dryport.agent.acs.registration import total_resources
from dryport.agent.engine import accept, spec
from dryport.agent.model import ContainerRecord
from dryport.agent.payload import Association, Container, Task
from dryport.agent.runtime import Image
from dryport.agent.runtime.docker.spec import gpu_config
from dryport.agent.settings import Settings


def card(root: Path, minor: int, uuid: str, *, node: bool = True) -> None:
    """What NVIDIA's driver tells of a card."""
    directory = root / "proc/driver/nvidia/gpus" / f"0000:00:{minor:02x}.0"
    directory.mkdir(parents=True)
    lines = ["Model: \t\t Tesla T4", f"GPU UUID: \t {uuid}", f"Device Minor: \t {minor}", "Blacklisted:\t No"]
    (directory / "information").write_text("\n".join(lines) + "\n")
    (root / "dev").mkdir(exist_ok=True)
    if node:
        (root / "dev" / f"nvidia{minor}").touch()


def test_the_driver_tells_of_those_whose_nodes_are_there(tmp_path: Path) -> None:
    for minor, uuid in ((10, "GPU-c"), (1, "GPU-a"), (2, "GPU-b")):
        card(tmp_path, minor, uuid)
    card(tmp_path, 3, "GPU-anothers", node=False)
    version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
    (tmp_path / "proc/driver/nvidia/version").write_text(version)
    found = gpus.find(None, tmp_path)
    assert found == gpus.Gpus("535.183.01", ["GPU-a", "GPU-b", "GPU-c"])
    assert gpus.find(False, tmp_path) == gpus.NONE


def test_the_images_file_comes_first(tmp_path: Path) -> None:
    card(tmp_path, 0, "GPU-driver")
    file = tmp_path / gpus.INFO
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"DriverVersion": "1.2", "GPUIDs": ["GPU-file"]}))
    assert gpus.find(True, tmp_path) == gpus.Gpus("1.2", ["GPU-file"])


def test_what_is_wanted_and_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert gpus.find(None, tmp_path) == gpus.NONE and not caplog.records
    assert gpus.find(True, tmp_path) == gpus.NONE
    assert "ECS_ENABLE_GPU_SUPPORT" in caplog.text
    file = tmp_path / gpus.INFO
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert gpus.find(True, tmp_path) == gpus.NONE and "cannot be read" in caplog.text


def test_they_are_a_resource() -> None:
    settings = Settings(endpoint="", state_dir=Path("/s"))
    assert "GPU" not in {each["name"] for each in total_resources(settings, gpus.NONE)}
    (found,) = [each for each in total_resources(settings, gpus.Gpus("", ["a", "b"])) if each["name"] == "GPU"]
    assert found == {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["a", "b"]}


def test_a_container_sees_its_own() -> None:
    containers = [Container(name=name, image="i", command=["x"]) for name in ("one", "two", "none")]
    given = {"GPU-1": "one", "GPU-2": "two", "GPU-3": "two"}
    task = Task(
        arn="a/b/c",
        containers=containers,
        associations=[Association(type="gpu", name=name, containers=[owner]) for name, owner in given.items()],
    )

    def made(container: Container) -> Any:
        record = ContainerRecord(name=container.name, id=container.name, endpoint_id="e")
        return spec.build(task, container, record, Image(reference="i", digest="d"), spec.Surroundings())

    one, two, none = map(made, containers)
    assert (one.gpus, one.environment["NVIDIA_VISIBLE_DEVICES"]) == (["GPU-1"], "GPU-1")
    assert (two.gpus, two.environment["NVIDIA_VISIBLE_DEVICES"]) == (["GPU-2", "GPU-3"], "GPU-2,GPU-3")
    assert none.gpus == [] and "NVIDIA_VISIBLE_DEVICES" not in none.environment
    assert gpu_config(two.gpus, "nvidia", {"runc", "nvidia"}) == {"Runtime": "nvidia"}
    (request,) = gpu_config(two.gpus, "nvidia", {"runc"})["DeviceRequests"]
    assert request == {"Driver": "nvidia", "DeviceIDs": ["GPU-2", "GPU-3"], "Capabilities": [["gpu"]]}


def test_fargate_has_none() -> None:
    task = Task(
        arn="a/b/c",
        launch_type="FARGATE",
        containers=[Container(name="one", image="i")],
        associations=[Association(type="gpu", name="GPU-1", containers=["one"])],
    )
    assert accept.refusal(task, docker=False) == "GPUs are not supported on Fargate"
