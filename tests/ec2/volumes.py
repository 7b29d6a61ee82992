"""Volumes, snapshots and instances that tests have for the asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

T = TypeVar("T")
ZONE = "us-east-1a"


def eventually(probe: Callable[[], T | Literal[False] | None]) -> T:
    """The first true value that ``probe`` gives."""
    deadline = time.monotonic() + 30
    while not (value := probe()):
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.01)
    return value


def by(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": list(values)}


class Volumes:
    """Volumes and instances that are there when they are asked for."""

    def __init__(self, ec2: Any, image: str) -> None:
        self.ec2, self.image = ec2, image

    def make(self, size: int | None = 1, **more: Any) -> str:
        request = {"AvailabilityZone": ZONE, **more, **({"Size": size} if size else {})}
        made: str = self.ec2.create_volume(**request)["VolumeId"]
        self.until(made, "available")
        return made

    def get(self, volume_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
        return found

    def until(self, volume_id: str, state: str) -> dict[str, Any]:
        return eventually(lambda: (found := self.get(volume_id))["State"] == state and found)

    def attachment(self, volume_id: str, state: str) -> dict[str, Any]:
        """The attachment once it has this state."""
        return eventually(lambda: next((a for a in self.get(volume_id)["Attachments"] if a["State"] == state), None))

    def gone(self, volume_id: str) -> None:
        eventually(lambda: not self.ec2.describe_volumes(Filters=[by("volume-id", volume_id)])["Volumes"])

    def instance(self, state: str = "running", **more: Any) -> str:
        subnet = self.ec2.describe_subnets(Filters=[by("availability-zone", ZONE)])["Subnets"][0]["SubnetId"]
        usual = {"ImageId": self.image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
        made: str = self.ec2.run_instances(**{**usual, **more})["Instances"][0]["InstanceId"]
        self.until_instance(made, "running")
        if state == "stopped":
            self.ec2.stop_instances(InstanceIds=[made])
            self.until_instance(made, "stopped")
        return made

    def until_instance(self, instance_id: str, state: str) -> None:
        eventually(lambda: self.describe_instance(instance_id)["State"]["Name"] == state)

    def describe_instance(self, instance_id: str) -> dict[str, Any]:
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found

    def snapshot(self, volume_id: str, **more: Any) -> str:
        """A completed snapshot."""
        made: str = self.ec2.create_snapshot(VolumeId=volume_id, **more)["SnapshotId"]
        self.until_snapshot(made, "completed")
        return made

    def until_snapshot(self, snapshot_id: str, state: str) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            found: dict[str, Any] = self.ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
            return found if found["State"] == state else None

        found = eventually(probe)
        assert found is not None
        return found
