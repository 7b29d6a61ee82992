"""Real EC2 instances of the platform's tests, and commands in them."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

from dryport.host.client import HostClient, HostUnavailable
from dryport.host.messages import InstanceState
from tests.conftest import Platform
from tests.platform.support import eventually

PLAIN = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


class Machines:
    """Launches instances; ``run`` is as its root, bound as everything in it is."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.ec2 = platform.client("ec2")
        self.image: str = platform.client("ssm").get_parameter(Name=PLAIN)["Parameter"]["Value"]

    def launch(self, **request: Any) -> str:
        """A new instance, once its boot is complete."""
        asked = {"ImageId": self.image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **request}
        made: str = self.ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
        self.booted(made)
        return made

    def booted(self, instance_id: str) -> None:
        """Wait until it runs and its boot is complete."""
        eventually(lambda: self.get(instance_id)["State"]["Name"] == "running" and self.state(instance_id).ready)

    def get(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][
            0
        ]
        return found

    def describe_image(self, image_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_images(ImageIds=[image_id])["Images"][0]
        return found

    def state(self, instance_id: str) -> InstanceState:
        async def ask() -> InstanceState:
            client = HostClient(self.platform.config.run_dir / "host.sock")
            try:
                return (await client.instances()).get(instance_id, InstanceState(boot=0, running=False))
            except HostUnavailable:  # a test has killed it
                return InstanceState(boot=0, running=False)
            finally:
                await client.close()

        return asyncio.run(ask())

    def run(self, instance_id: str, command: str) -> str:
        """What a shell in it prints. Raises AssertionError where it fails."""
        script = f"echo 0 > /sys/fs/cgroup/devices/cgroup.procs; {command}"
        pid = str(eventually(lambda: self.state(instance_id).pid))
        enter = ["nsenter", "-t", pid, "-m", "-p", "-i", "-u", "-n", "-C", "--", "sh", "-ec", script]
        done = subprocess.run(enter, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def stop(self, instance_id: str) -> None:
        self.ec2.stop_instances(InstanceIds=[instance_id])
        eventually(lambda: self.get(instance_id)["State"]["Name"] == "stopped")

    def start(self, instance_id: str) -> None:
        self.ec2.start_instances(InstanceIds=[instance_id])
        self.booted(instance_id)

    def terminate(self, instance_id: str) -> None:
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        eventually(lambda: self.get(instance_id)["State"]["Name"] == "terminated")

    def volume(self, zone: str, **request: Any) -> str:
        """A new volume that is available."""
        made: str = self.ec2.create_volume(AvailabilityZone=zone, **request)["VolumeId"]
        self.until(made, "available")
        return made

    def describe(self, volume_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]
        return found

    def exists(self, volume_id: str) -> bool:
        known = [{"Name": "volume-id", "Values": [volume_id]}]
        return bool(self.ec2.describe_volumes(Filters=known)["Volumes"])

    def root(self, instance_id: str) -> str:
        """The id of its root volume."""
        mapping = self.get(instance_id)["BlockDeviceMappings"]
        found: str = next(each["Ebs"]["VolumeId"] for each in mapping if each["DeviceName"] == "/dev/xvda")
        return found

    def subnet(self, zone: str) -> str:
        """A subnet of a zone."""
        wanted = [{"Name": "availability-zone", "Values": [zone]}]
        found: str = self.ec2.describe_subnets(Filters=wanted)["Subnets"][0]["SubnetId"]
        return found

    def until(self, volume_id: str, state: str) -> None:
        eventually(lambda: self.describe(volume_id)["State"] == state)

    def attach(self, volume_id: str, instance_id: str, device: str = "/dev/sdf") -> None:
        self.ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
        eventually(lambda: self.describe(volume_id)["Attachments"][0]["State"] == "attached")

    def snapshot(self, volume_id: str) -> str:
        """A completed snapshot."""
        made: str = self.ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
        eventually(
            lambda: self.ec2.describe_snapshots(SnapshotIds=[made])["Snapshots"][0]["State"] == "completed",
        )
        return made

    def delete(self, *volume_ids: str) -> None:
        for each in volume_ids:
            self.ec2.delete_volume(VolumeId=each)
        for each in volume_ids:
            eventually(lambda each=each: not self.exists(each))  # type: ignore[misc]
