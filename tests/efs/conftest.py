"""EFS behind the real gateway, its file systems made by a driver of the tests'."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.ec2.room import room as ec2_room
from dryport.efs.room import room_on
from tests.served import Served


class Driver:
    """Knows file systems by their ids; ``away`` is what the next verb raises."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}
        self.mounted: list[tuple[str, str]] = []
        self.away: Exception | None = None

    async def ensure_file_system(self, file_system_id: str) -> None:
        self._answer()
        self.made.setdefault(file_system_id, 4096)

    async def delete_file_system(self, file_system_id: str) -> None:
        self._answer()
        self.made.pop(file_system_id, None)

    async def measure_file_system(self, file_system_id: str) -> int:
        self._answer()
        return self.made[file_system_id]

    async def mount_file_system(self, instance_id: str, file_system_id: str) -> None:
        self._answer()
        self.mounted.append((instance_id, file_system_id))

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver()


@pytest.fixture(scope="module")
def served(driver: Driver) -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-efs-"))
    made = Served(state_dir, [ec2_room, lambda context: room_on(context, driver)])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="module")
def efs(served: Served) -> Any:
    return served.client("efs")


@pytest.fixture(scope="module")
def ec2(served: Served) -> Any:
    return served.client("ec2")


@pytest.fixture
def file_system(efs: Any, driver: Driver, request: pytest.FixtureRequest) -> Iterator[str]:
    """An available file system, which goes with its mount targets."""
    made = efs.create_file_system(CreationToken=request.node.name[:64])["FileSystemId"]
    wait_until(efs, made)
    yield made
    for target in efs.describe_mount_targets(FileSystemId=made)["MountTargets"]:
        efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    efs.delete_file_system(FileSystemId=made)


def wait_until(efs: Any, file_system_id: str, state: str = "available") -> dict[str, Any]:
    """Wait for a state of a file system."""
    while True:
        found = efs.describe_file_systems(FileSystemId=file_system_id)["FileSystems"][0]
        if found["LifeCycleState"] == state:
            return dict(found)
