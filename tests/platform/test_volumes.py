"""EBS volumes as block devices in real instances."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.conftest import Platform
from tests.platform.machines import Machines
from tests.platform.support import eventually

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def machines(platform: Platform) -> Machines:
    return Machines(platform)


@pytest.fixture(scope="module")
def instance(machines: Machines) -> Iterator[str]:
    made = machines.launch()
    yield made
    machines.terminate(made)


@pytest.fixture(scope="module")
def zone(machines: Machines, instance: str) -> str:
    found: str = machines.get(instance)["Placement"]["AvailabilityZone"]
    return found


def test_data_survive_all_that_happens_to_a_host(machines: Machines, instance: str, zone: str) -> None:
    volume = machines.volume(zone, Size=1, VolumeType="gp3")
    machines.attach(volume, instance)
    machines.run(instance, "mkfs.ext4 -q /dev/xvdf; mount /dev/sdf /mnt; echo kept > /mnt/file")
    machines.ec2.detach_volume(VolumeId=volume)
    eventually(lambda: machines.describe(volume)["Attachments"][0]["State"] == "busy")
    machines.run(instance, "umount /mnt")
    machines.until(volume, "available")
    assert "df" not in machines.run(instance, "ls /dev")

    machines.attach(volume, instance, "/dev/xvdk")
    machines.stop(instance)
    machines.start(instance)
    assert machines.run(instance, "mount /dev/xvdk /mnt; cat /mnt/file; umount /mnt") == "kept"
    machines.ec2.reboot_instances(InstanceIds=[instance])
    before = machines.state(instance).pid
    eventually(lambda: (state := machines.state(instance)).ready and state.pid != before)
    assert machines.run(instance, "mount /dev/xvdk /mnt; cat /mnt/file") == "kept"

    for process in ("control", "host"):
        os.kill(machines.platform.pid(process), signal.SIGKILL)
    machines.run(instance, "echo more >> /mnt/file; sync; umount /mnt")
    eventually(lambda: _answers(machines))
    machines.ec2.detach_volume(VolumeId=volume)
    machines.until(volume, "available")
    machines.attach(volume, instance)
    assert machines.run(instance, "mount /dev/xvdf /mnt; cat /mnt/file; umount /mnt") == "kept\nmore"
    machines.ec2.detach_volume(VolumeId=volume, Force=True)
    machines.until(volume, "available")
    machines.delete(volume)


def _answers(machines: Machines) -> bool:
    try:
        return bool(machines.ec2.describe_regions())
    except Exception:
        return False


def test_a_snapshot_of_a_mounted_volume_becomes_a_larger_one(machines: Machines, instance: str, zone: str) -> None:
    volume = machines.volume(zone, Size=1)
    machines.attach(volume, instance)
    machines.run(instance, "mkfs.ext4 -q /dev/xvdf; mount /dev/xvdf /mnt; echo saved > /mnt/file")
    snapshot = machines.snapshot(volume)
    machines.run(instance, "echo later > /mnt/file; umount /mnt")
    copy = machines.volume(zone, SnapshotId=snapshot, Size=2)
    machines.ec2.delete_snapshot(SnapshotId=snapshot)
    machines.attach(copy, instance, "/dev/sdg")
    assert machines.run(instance, "mount /dev/sdg /mnt; cat /mnt/file; umount /mnt") == "saved"
    machines.ec2.modify_volume(VolumeId=copy, Size=3)
    eventually(lambda: machines.run(instance, "blockdev --getsize64 /dev/xvdg") == str(3 << 30))
    machines.run(instance, "e2fsck -fp /dev/sdg; resize2fs /dev/sdg; mount /dev/sdg /mnt")
    assert int(machines.run(instance, "df --output=size -k /mnt | tail -1; umount /mnt")) > 2_500_000
    for each in (volume, copy):
        machines.ec2.detach_volume(VolumeId=each)
        machines.until(each, "available")
    machines.delete(volume, copy)
