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


def test_volumes_of_a_launch_are_there_when_user_data_run_and_stay(machines: Machines, zone: str) -> None:
    mappings = [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 1}},
    ]
    user_data = (
        "#!/bin/sh\nmkfs.ext4 -q /dev/xvdf\nmount /dev/xvdf /mnt\necho data > /mnt/file\necho root > /opt/file\n"
    )
    subnet = machines.subnet(zone)
    first = machines.launch(BlockDeviceMappings=mappings, UserData=user_data, SubnetId=subnet)
    assert machines.run(first, "cat /mnt/file; df -BG --output=size / | tail -1").split() == ["data", "10G"]
    root, data, goes = (each["Ebs"]["VolumeId"] for each in machines.get(first)["BlockDeviceMappings"])
    machines.terminate(first)
    for each in (root, data):
        machines.until(each, "available")
    eventually(lambda: not machines.exists(goes))

    second = machines.launch(SubnetId=subnet)
    machines.attach(root, second, "/dev/sdf")
    machines.attach(data, second, "/dev/sdg")
    machines.run(second, "mount /dev/sdf /mnt; cat /mnt/root/opt/file; umount /mnt; mount /dev/sdg /mnt; cat /mnt/file")
    machines.ec2.modify_volume(VolumeId=machines.root(second), Size=12)
    machines.stop(second)
    machines.start(second)
    assert machines.run(second, "df -BG --output=size / | tail -1") == "12G"
    machines.terminate(second)
    machines.delete(root, data)


def test_a_host_is_repaired_by_its_root_volume(machines: Machines, instance: str, zone: str) -> None:
    broken = machines.launch(SubnetId=machines.subnet(zone))
    root = machines.root(broken)
    machines.stop(broken)
    machines.ec2.detach_volume(VolumeId=root)
    machines.until(root, "available")
    machines.attach(root, instance, "/dev/sdr")
    machines.run(instance, "mount /dev/sdr /mnt; echo repaired > /mnt/root/opt/file; umount /mnt")
    machines.ec2.detach_volume(VolumeId=root)
    machines.until(root, "available")
    machines.attach(root, broken, "/dev/xvda")
    machines.start(broken)
    assert machines.run(broken, "cat /opt/file") == "repaired"
    machines.terminate(broken)
    machines.until(root, "available")  # what is attached by hand does not go with the instance
    machines.delete(root)


def test_an_image_boots_with_what_was_on_the_instance(machines: Machines, zone: str) -> None:
    subnet = machines.subnet(zone)
    source = machines.launch(
        SubnetId=subnet, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    )
    machines.run(source, "mkfs.ext4 -q /dev/xvdf; mount /dev/xvdf /mnt; echo data > /mnt/file; echo root > /opt/file")
    before = machines.state(source).pid
    images = {
        "live": machines.ec2.create_image(InstanceId=source, Name="live", NoReboot=True)["ImageId"],
        "down": machines.ec2.create_image(InstanceId=source, Name="down")["ImageId"],
    }
    for image in images.values():
        eventually(lambda image=image: machines.describe_image(image)["State"] == "available")  # type: ignore[misc]
    eventually(lambda: (state := machines.state(source)).ready and state.pid != before)
    machines.terminate(source)
    for image in images.values():
        made = machines.launch(ImageId=image, SubnetId=subnet, UserData="#!/bin/sh\necho new > /opt/new\n")
        assert machines.run(made, "mount /dev/xvdf /mnt; cat /opt/file /mnt/file /opt/new").split() == [
            "root",
            "data",
            "new",
        ]
        machines.terminate(made)
        machines.ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    eventually(lambda: not machines.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"])
    eventually(lambda: not list((machines.platform.state_dir / "snapshots").iterdir()))
