"""EFS volumes of tasks: shared by several at once, through access points, refused by security groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, container_of, eventually

pytestmark = pytest.mark.platform
FAILED = "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: "


class FileSystem:
    """A file system with a mount target in the zone that the tasks run in, and its directory on this machine."""

    def __init__(self, platform: Platform, tasks: Tasks) -> None:
        self.efs, self.ec2 = platform.client("efs"), platform.client("ec2")
        self.tasks = tasks
        self.id: str = self.efs.create_file_system(CreationToken="tests")["FileSystemId"]
        eventually(lambda: self.described()["LifeCycleState"] == "available")
        self.target: str = self.efs.create_mount_target(FileSystemId=self.id, SubnetId=tasks.subnets[0])[
            "MountTargetId"
        ]
        self.directory = platform.state_dir / "filesystems" / self.id

    def described(self) -> dict[str, Any]:
        return dict(self.efs.describe_file_systems(FileSystemId=self.id)["FileSystems"][0])

    def volume(self, **settings: Any) -> dict[str, Any]:
        """A task definition's volumes."""
        return {"volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": self.id, **settings}}]}

    def access_point(self, token: str, **settings: Any) -> dict[str, Any]:
        """A volume through a new access point."""
        made = self.efs.create_access_point(ClientToken=token, FileSystemId=self.id, **settings)["AccessPointId"]
        return self.volume(transitEncryption="ENABLED", authorizationConfig={"accessPointId": made})

    def container(self, script: str, **settings: Any) -> dict[str, Any]:
        mount = {"sourceVolume": "data", "containerPath": "/data"}
        return self.tasks.container(script, mountPoints=[mount], **settings)

    def remove(self) -> None:
        self.efs.delete_mount_target(MountTargetId=self.target)
        self.efs.delete_file_system(FileSystemId=self.id)
        eventually(lambda: not self.directory.exists())


@pytest.fixture(scope="module")
def shared(platform: Platform, tasks: Tasks) -> Iterator[FileSystem]:
    made = FileSystem(platform, tasks)
    yield made
    made.remove()


def mounts_below(directory: Any) -> list[str]:
    with open("/proc/self/mountinfo") as file:
        return [line for line in file if str(directory) in line.split(" ")[4]]


def test_two_tasks_share_a_file(shared: FileSystem, tasks: Tasks, platform: Platform) -> None:
    keep = "echo from the first > /data/file; until [ -e /data/over ]; do sleep 0.1; done; cat /data/over"
    first = tasks.run(tasks.define(shared.container(keep), **shared.volume()))[0]
    tasks.until(first, "RUNNING")
    answer = "until [ -s /data/file ]; do sleep 0.1; done; cat /data/file; echo from the second > /data/over"
    second = tasks.finish(shared.container(answer), **shared.volume())
    assert tasks.output(second["taskArn"]) == ["from the first"]
    tasks.until(first, "STOPPED")
    assert tasks.output(first) == ["from the second"]
    assert (shared.directory / "file").read_text() == "from the first\n"
    eventually(lambda: not mounts_below(platform.state_dir / "agent" / "efs"))


def test_a_directory_of_it(shared: FileSystem, tasks: Tasks) -> None:
    (shared.directory / "sub").mkdir()
    ended = tasks.finish(shared.container("echo below > /data/file"), **shared.volume(rootDirectory="/sub"))
    assert ended["containers"][0]["exitCode"] == 0, ended
    assert (shared.directory / "sub/file").read_text() == "below\n"
    (shared.directory / "astray").symlink_to("/etc")
    for path, said in (("/none", "No such file or directory"), ("/astray", "Not a directory")):
        ended = tasks.finish(shared.container("true"), **shared.volume(rootDirectory=path))
        assert ended["stopCode"] == "TaskFailedToStart"
        assert ended["stoppedReason"].startswith(f"{FAILED}b'mount.nfs4: mounting {shared.id}:{path} failed, ")
        assert said in ended["stoppedReason"]


def test_an_access_point_says_who_writes(shared: FileSystem, tasks: Tasks) -> None:
    user = {"Uid": 1500, "Gid": 1600, "SecondaryGids": [1700]}
    volume = shared.access_point("app", PosixUser=user, RootDirectory={"Path": "/apps/web"})
    root, group = shared.directory / "apps/web", shared.directory / "apps/web/group"
    group.mkdir(parents=True)
    (group / "file").write_text("for the group\n")
    for path, owner, mode in ((root, 1500, 0o755), (group, 7, 0o750), (group / "file", 7, 0o640)):
        os.chown(path, owner, 1700)
        path.chmod(mode)
    script = "cat /data/group/file; echo x > /data/file && mkdir /data/dir && chmod 711 /data/dir"
    for name in ("", "web", "33:33"):
        ended = tasks.finish(shared.container(script, **({"user": name} if name else {})), **volume)
        assert tasks.output(ended["taskArn"]) == ["for the group"] and ended["containers"][0]["exitCode"] == 0, name
        for each in ("file", "dir"):
            assert ((root / each).stat().st_uid, (root / each).stat().st_gid) == (1500, 1600)
        (root / "dir").rmdir()
        (root / "file").unlink()

    # Root is not root there, and the container's other users are nobody.
    (group / "file").chmod(0o600)
    script = "cat /data/group/file; chown web /data; chmod 777 /data/group; su web -s /bin/sh -c 'touch /data/other'"
    ended = tasks.finish(shared.container(script), **volume)
    assert len(tasks.output(ended["taskArn"])) == 4, tasks.output(ended["taskArn"])
    assert not (root / "other").exists() and root.stat().st_uid == 1500 and group.stat().st_mode & 0o777 == 0o750


def test_a_directory_of_others_that_an_access_points_user_could_write_to_is_refused(
    shared: FileSystem, tasks: Tasks
) -> None:
    """Because it could not, here."""
    info = {"OwnerUid": 0, "OwnerGid": 0, "Permissions": "0777"}
    root = {"Path": "/open", "CreationInfo": info}
    volume = shared.access_point("open", PosixUser={"Uid": 1500, "Gid": 1600}, RootDirectory=root)
    ended = tasks.finish(shared.container("true"), **volume)
    assert container_of(ended)["reason"] == (
        "CannotCreateContainerError: /data cannot be used as 1500:1600: the directory is uid 0's, and only its owner "
        "could write there"
    )


def test_an_access_point_makes_its_directory_once(shared: FileSystem, tasks: Tasks) -> None:
    info = {"OwnerUid": 1500, "OwnerGid": 1600, "Permissions": "1770"}
    fresh = shared.access_point("fresh", RootDirectory={"Path": "/fresh/root", "CreationInfo": info})
    script = "stat -c '%u:%g %a' /data; chmod 700 /data; touch /data/root"
    ended = tasks.finish(shared.container(script), **fresh)
    assert tasks.output(ended["taskArn"]) == ["1500:1600 1770"]
    ended = tasks.finish(shared.container(script), **fresh)
    assert tasks.output(ended["taskArn"]) == ["1500:1600 700"]
    assert (shared.directory / "fresh/root/root").stat().st_uid == 0  # nobody is another user
    absent = shared.access_point("absent", RootDirectory={"Path": "/absent"})
    ended = tasks.finish(shared.container("true"), **absent)
    assert ended["stoppedReason"].startswith(FAILED) and "No such file or directory" in ended["stoppedReason"]


def test_groups_decide_who_mounts(shared: FileSystem, tasks: Tasks) -> None:
    group = shared.ec2.create_security_group(GroupName="nfs", Description="nfs")["GroupId"]
    before = shared.efs.describe_mount_target_security_groups(MountTargetId=shared.target)["SecurityGroups"]
    definition = tasks.define(shared.container("echo in > /data/file"), **shared.volume())
    shared.efs.modify_mount_target_security_groups(MountTargetId=shared.target, SecurityGroups=[group])
    refused = tasks.until(tasks.run(definition)[0], "STOPPED")
    assert refused["stoppedReason"] == (
        f"{FAILED}b'mount.nfs4: Connection timed out' : unsuccessful EFS utils command execution; code: 32"
    )
    assert "startedAt" not in refused and refused["stopCode"] == "TaskFailedToStart"
    shared.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 2049,
                "ToPort": 2049,
                "UserIdGroupPairs": [{"GroupId": each} for each in before],
            }
        ],
    )
    allowed = tasks.until(tasks.run(definition)[0], "STOPPED")
    assert allowed["containers"][0]["exitCode"] == 0, allowed
    shared.efs.modify_mount_target_security_groups(MountTargetId=shared.target, SecurityGroups=before)
    shared.ec2.delete_security_group(GroupId=group)


def test_without_a_mount_target_in_its_zone_a_task_does_not_start(shared: FileSystem, tasks: Tasks) -> None:
    definition = tasks.define(shared.container("true"), **shared.volume())
    network = {"awsvpcConfiguration": {"subnets": tasks.subnets[1:2]}}
    answer = tasks.ecs.run_task(taskDefinition=definition, launchType="FARGATE", networkConfiguration=network)
    ended = tasks.until(answer["tasks"][0]["taskArn"], "STOPPED")
    name = f'"{shared.id}.efs.us-east-1.amazonaws.com"'
    assert ended["stoppedReason"].startswith(f"{FAILED}Failed to resolve {name} - check that your file system ID")


def test_its_name_leads_to_the_mount_target(shared: FileSystem, tasks: Tasks) -> None:
    address = shared.efs.describe_mount_targets(MountTargetId=shared.target)["MountTargets"][0]["IpAddress"]
    name = f"{shared.id}.efs.us-east-1.amazonaws.com"
    ended = tasks.finish(tasks.container(f"nslookup {name}; nslookup us-east-1a.{name}"))
    assert "\n".join(tasks.output(ended["taskArn"])).count(address) == 2
