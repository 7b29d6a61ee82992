"""EFS file systems that people mount on an instance: ``mount -t efs``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform


class Place(NamedTuple):
    """An instance, a file system that it may mount, and where that lies on this machine."""

    fleet: Fleet
    instance: str
    file_system: str
    target_group: str
    directory: Path

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        command = [*self.fleet.entering(self.instance), "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def inside(self, script: str) -> str:
        done = self.run(script)
        assert done.returncode == 0, done
        return done.stdout.strip()

    def refusal(self, script: str) -> tuple[int, str]:
        done = self.run(script)
        return done.returncode, done.stderr.strip()


@pytest.fixture(scope="module")
def place(platform: Platform, tasks: Tasks) -> Iterator[Place]:
    fleet, efs = Fleet(platform, tasks.image, "mounts", "mounts"), platform.client("efs")
    made = fleet.boot(UserData="#!/bin/sh\n")
    group = fleet.ec2.create_security_group(GroupName="mount-target", Description="NFS")["GroupId"]
    file_system = efs.create_file_system(CreationToken="mounts")["FileSystemId"]
    eventually(
        lambda: efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["LifeCycleState"] != "creating"
    )
    subnet = fleet.instance(made)["SubnetId"]
    target = efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet, SecurityGroups=[group])["MountTargetId"]
    eventually(lambda: fleet.ready(made))
    yield Place(fleet, made, file_system, group, platform.state_dir / "filesystems" / file_system)
    fleet.ec2.terminate_instances(InstanceIds=[made])
    efs.delete_mount_target(MountTargetId=target)
    for point in efs.describe_access_points(FileSystemId=file_system)["AccessPoints"]:
        efs.delete_access_point(AccessPointId=point["AccessPointId"])
    efs.delete_file_system(FileSystemId=file_system)


def test_the_security_group_of_the_mount_target_decides(place: Place) -> None:
    mount = f"mount -t efs {place.file_system}:/ /mnt"
    assert place.refusal(mount) == (32, "mount.nfs4: Connection timed out")
    pair = [{"GroupId": place.fleet.group}]
    rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": pair}
    place.fleet.ec2.authorize_security_group_ingress(GroupId=place.target_group, IpPermissions=[rule])
    place.inside(mount)
    place.inside("mkdir -p /mnt/sub; echo of the instance > /mnt/sub/file")
    assert (place.directory / "sub/file").read_text() == "of the instance\n"
    place.inside('umount /mnt; [ -z "$(ls /mnt)" ]')
    code, said = place.refusal("mount -t efs fs-0123456789abcdef0:/ /mnt")
    assert code == 1 and said.startswith('Failed to resolve "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com"')


def test_a_directory_by_its_name_and_to_read_only(place: Place) -> None:
    name = f"{place.file_system}.efs.us-east-1.amazonaws.com"
    place.inside(f"mkdir -p /data; mount -t efs -o tls,iam,ro,_netdev {name}:/sub /data")
    assert place.inside("cat /data/file") == "of the instance"
    code, said = place.refusal("echo x > /data/file")
    assert code != 0 and "Read-only file system" in said
    place.inside("umount /data")
    (place.directory / "astray").symlink_to("/etc")
    assert place.refusal(f"mount -t efs {place.file_system}:/astray /data") == (32, "mount.nfs4: Not a directory")
    assert place.refusal(f"mount -t efs {place.file_system}:/sub/../.. /data") == (32, "mount.nfs4: Invalid argument")
    assert place.refusal(f"mount -t efs {place.file_system}:/none /data") == (
        32,
        "mount.nfs4: No such file or directory",
    )


def test_access_points(place: Place) -> None:
    efs = place.fleet.platform.client("efs")
    info = {"OwnerUid": 1500, "OwnerGid": 1600, "Permissions": "1770"}
    root = {"Path": "/apps/web", "CreationInfo": info}
    point = efs.create_access_point(ClientToken="one", FileSystemId=place.file_system, RootDirectory=root)
    options = f"tls,accesspoint={point['AccessPointId']}"
    place.inside(f"mkdir -p /app; mount -t efs -o {options} {place.file_system} /app")
    assert place.inside("stat -c '%u:%g %a' /app") == "1500:1600 1770"
    place.inside("chmod 700 /app; umount /app")
    place.inside(f"mount -t efs -o {options} {place.file_system}:/ /app")
    assert place.inside("stat -c %a /app; umount /app") == "700"  # it is made once
    user = {"Uid": 1500, "Gid": 1600}
    other = efs.create_access_point(ClientToken="two", FileSystemId=place.file_system, PosixUser=user)["AccessPointId"]
    mount = f"{place.file_system}:/ /app"
    code, said = place.refusal(f"mount -t efs -o tls,accesspoint={other} {mount}")
    assert code == 1 and f"access points with a POSIX user, as {other} has," in said
    denied = "mount.nfs4: access denied by server while mounting 127.0.0.1:/"
    assert place.refusal(f"mount -t efs -o tls,accesspoint=fsap-0123456789abcdef0 {mount}") == (32, denied)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("iam", 'The "iam" option requires the "tls" option'),
        ("accesspoint=fsap-12345678", 'The "accesspoint" option requires the "tls" option'),
        ("tls,accesspoint=other", "Access Point ID other is malformed"),
        ("awsprofile=me", 'The "awsprofile" option is not supported on Dryport\'s instances'),
        ("mounttargetip=10.0.0.1", 'The "mounttargetip" option is not supported on Dryport\'s instances'),
        ("region=eu-west-1", "File systems of the region eu-west-1 are not mounted from us-east-1"),
    ],
)
def test_options_that_are_refused(place: Place, options: str, said: str) -> None:
    assert place.refusal(f"mount -t efs -o {options} {place.file_system}:/ /mnt") == (1, said)


def test_who_is_no_instance_mounts_nothing(place: Place) -> None:
    claim = json.dumps({"document": "{}", "signature": "x", "fileSystemId": place.file_system})
    endpoint = place.inside("grep AWS_ENDPOINT_URL /etc/environment | cut -d= -f2").strip('"')
    answer = place.inside(f"curl -s -X POST -d '{claim}' {endpoint}/_dryport/mounts")
    assert answer == '{"message":"the instance is not known by its identity document","code":1}'


def test_what_fstab_names_is_mounted_at_the_next_boot(place: Place) -> None:
    place.inside(f"echo '{place.file_system}:/ /mnt efs _netdev,tls 0 0' >> /etc/fstab")
    before: Any = place.fleet.init(place.instance)
    place.fleet.ec2.reboot_instances(InstanceIds=[place.instance])
    eventually(lambda: place.fleet.init(place.instance) != before and place.fleet.ready(place.instance))
    assert place.inside("cat /mnt/sub/file") == "of the instance"
