"""EBS volumes that tasks of Fargate are given at launch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform
ROLE = "arn:aws:iam::000000000000:role/ecsInfrastructureRole"


@pytest.fixture(scope="module")
def ec2(tasks: Tasks) -> Any:
    return tasks.platform.client("ec2")


def run(tasks: Tasks, script: str, **volume: Any) -> str:
    """Run a task with a volume at /data; its ARN."""
    mounted = tasks.container(script, mountPoints=[{"sourceVolume": "data", "containerPath": "/data"}])
    definition = tasks.define(mounted, volumes=[{"name": "data", "configuredAtLaunch": True}])
    configuration = {"roleArn": ROLE, **volume}
    return tasks.run(definition, volumeConfigurations=[{"name": "data", "managedEBSVolume": configuration}])[0]


def attachment(task: dict[str, Any]) -> dict[str, Any]:
    """A task's EBS attachment, its details by name."""
    found = next(each for each in task["attachments"] if each["type"] == "AmazonElasticBlockStorage")
    return {"status": found["status"], **{each["name"]: each["value"] for each in found["details"]}}


def gone(ec2: Any, volume_id: str) -> bool:
    return not ec2.describe_volumes(Filters=[{"Name": "volume-id", "Values": [volume_id]}])["Volumes"]


def test_a_volume_lives_as_long_as_its_task(tasks: Tasks, ec2: Any) -> None:
    tags = [{"resourceType": "volume", "tags": [{"key": "Team", "value": "blue"}]}]
    arn = run(tasks, "df -kT /data | tail -1; touch /data/x; sleep 600", sizeInGiB=3, tagSpecifications=tags)
    running = attachment(tasks.until(arn, "RUNNING"))
    assert running["status"] == "ATTACHED" and running["volumeName"] == "data" and running["roleArn"] == ROLE
    assert running["deleteOnTermination"] == "true"
    volume = ec2.describe_volumes(VolumeIds=[running["volumeId"]])["Volumes"][0]
    assert (volume["Size"], volume["VolumeType"], volume["State"]) == (3, "gp3", "in-use")
    assert volume["Attachments"][0]["AssociatedResource"] == arn and "InstanceId" not in volume["Attachments"][0]
    assert {each["Key"]: each["Value"] for each in volume["Tags"]} == {
        "AmazonECSCreated": "true",
        "AmazonECSManaged": "true",
        "Team": "blue",
    }
    eventually(lambda: tasks.output(arn))
    _, kind, size, *_ = tasks.output(arn)[0].split()
    assert kind == "xfs" and 2_500_000 < int(size) <= 3 << 20
    stopped = attachment(tasks.stop(arn))
    assert stopped["status"] == "DELETED"
    eventually(lambda: gone(ec2, running["volumeId"]))
    assert list((tasks.platform.state_dir / "mounts").iterdir()) == []


def test_what_one_task_wrote_another_has_by_a_snapshot(tasks: Tasks, ec2: Any) -> None:
    kept = {"terminationPolicy": {"deleteOnTermination": False}}
    first = run(tasks, "echo written > /data/file", sizeInGiB=1, filesystemType="ext4", **kept)
    volume = attachment(tasks.until(first, "STOPPED"))["volumeId"]
    eventually(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available")
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    eventually(lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed")
    second = run(tasks, "cat /data/file", snapshotId=snapshot, filesystemType="ext4")
    tasks.until(second, "STOPPED")
    assert tasks.output(second) == ["written"]
    ec2.delete_volume(VolumeId=volume)

    ec2.delete_snapshot(SnapshotId=snapshot)
    late = tasks.until(run(tasks, "true", snapshotId=snapshot), "STOPPED")
    assert late["stopCode"] == "TaskFailedToStart"
    assert late["stoppedReason"] == f"InvalidSnapshot.NotFound: The snapshot '{snapshot}' does not exist."
    assert attachment(late)["statusReason"] == late["stoppedReason"]
