"""EBS volumes that tasks of Fargate and of instances, and those of services, are given at launch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
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


class Volumes(Fleet):
    """An instance, tasks on it with a volume at /data, and what they are asked to be."""

    def definition(self, family: str, script: str, **settings: Any) -> str:
        """Register a task definition in bridge mode."""
        mounted = [{"sourceVolume": "data", "containerPath": "/data"}]
        container = {"name": "main", "image": self.image, "memory": 32, "command": ["sh", "-c", script]}
        self.ecs.register_task_definition(
            family=family,
            containerDefinitions=[container | {"mountPoints": mounted, "stopTimeout": 2}],
            volumes=[{"name": "data", "configuredAtLaunch": True}],
            **settings,
        )
        return family

    def begin(self, family: str, **volume: Any) -> str:
        """The ARN of a task with a volume."""
        answer = self.ecs.run_task(cluster=self.cluster, taskDefinition=family, volumeConfigurations=configured(volume))
        assert not answer["failures"], answer["failures"]
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    def mounted(self, instance_id: str) -> list[str]:
        return self.inside(instance_id, "sh", "-c", "ls /mnt/ecs/ebs").split()

    def see(self, instance_id: str, arn: str, *command: str) -> str:
        """What a command says in a task's container."""
        found = self.containers(instance_id, "main")
        container = next(each for each, task in found.items() if task == arn)
        return self.inside(instance_id, "docker", "exec", container, *command)


def configured(volume: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "data", "managedEBSVolume": {"roleArn": ROLE, "sizeInGiB": 1, **volume}}]


@pytest.fixture(scope="module")
def fleet(platform: Platform, tasks: Tasks) -> Volumes:
    return Volumes(platform, tasks.image, "volumes", "volumes")


@pytest.fixture(scope="module")
def instance(fleet: Volumes) -> Iterator[str]:
    made: str = fleet.launch()["InstanceId"]
    yield made
    fleet.ec2.terminate_instances(InstanceIds=[made])


def test_a_volume_of_a_task_is_a_device_of_its_instance(fleet: Volumes, instance: str) -> None:
    fleet.definition("keeps", "touch /data/x; exec sleep 600")
    arn = fleet.begin("keeps", filesystemType="ext4")
    running = attachment(fleet.running(arn))
    assert running["status"] == "ATTACHED"
    shown = fleet.ec2.describe_volumes(VolumeIds=[running["volumeId"]])["Volumes"][0]["Attachments"][0]
    assert (shown["InstanceId"], shown["AssociatedResource"], shown["State"]) == (instance, arn, "attached")
    assert (shown["Device"], shown["DeleteOnTermination"]) == ("/dev/xvdba", True)
    mapped = fleet.instance(instance)["BlockDeviceMappings"]
    assert [each["Ebs"]["VolumeId"] for each in mapped if each["DeviceName"] == "/dev/xvdba"] == [running["volumeId"]]
    place = f"{arn.rsplit('/', 1)[1]}_{running['volumeId']}"
    assert fleet.mounted(instance) == [place]
    assert "/dev/xvdba ext4" in fleet.inside(instance, "sh", "-c", f"grep {place} /proc/mounts").replace(
        f" /mnt/ecs/ebs/{place}", ""
    )
    assert fleet.see(instance, arn, "ls", "/data").split() == ["lost+found", "x"]

    # Neither its owner takes it away, nor does an agent that is killed lose it.
    with pytest.raises(fleet.ec2.exceptions.ClientError, match="OperationNotPermitted"):
        fleet.ec2.detach_volume(VolumeId=running["volumeId"])
    before = fleet.agent(instance)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: fleet.agent(instance) not in (0, before))
    eventually(lambda: fleet.container_instance(instance).get("agentConnected"))
    assert fleet.see(instance, arn, "ls", "/data").split() == ["lost+found", "x"]

    stopped = attachment(fleet.stop(arn))
    assert stopped["status"] == "DELETED"
    eventually(lambda: gone(fleet.ec2, running["volumeId"]))
    assert fleet.mounted(instance) == []
    assert fleet.inside(instance, "sh", "-c", "ls /dev | grep xvdba || echo none") == "none"


def test_an_instance_reads_what_a_task_left_by_a_snapshot(fleet: Volumes, instance: str) -> None:
    fleet.definition("writes", "echo written > /data/file")
    first = fleet.begin("writes", terminationPolicy={"deleteOnTermination": False})
    eventually(lambda: fleet.task(first)["lastStatus"] == "STOPPED")
    ended = fleet.task(first)
    assert ended["containers"][0]["exitCode"] == 0, ended
    volume = attachment(ended)["volumeId"]
    eventually(lambda: fleet.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available")
    snapshot = fleet.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    eventually(lambda: fleet.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed")
    fleet.definition("reads", "grep written /data/file && exec sleep 600")
    second = fleet.begin("reads", snapshotId=snapshot)
    assert attachment(fleet.running(second))["status"] == "ATTACHED"
    fleet.stop(second)
    # An XFS file system is not mounted as ext4, and not written over either.
    third = fleet.begin("reads", snapshotId=snapshot, filesystemType="ext4")
    eventually(lambda: fleet.task(third)["lastStatus"] == "STOPPED")
    failed = fleet.task(third)
    assert failed["stopCode"] == "TaskFailedToStart"
    assert failed["stoppedReason"].startswith("ResourceInitializationError: failed to mount EBS volume data")
    assert failed["stoppedReason"].endswith("the volume has a file system of type xfs, not ext4")
    assert attachment(failed)["statusReason"] == failed["stoppedReason"]
    eventually(lambda: gone(fleet.ec2, attachment(failed)["volumeId"]))
    fleet.ec2.delete_volume(VolumeId=volume)
    fleet.ec2.delete_snapshot(SnapshotId=snapshot)


def test_each_task_of_a_service_has_a_volume_of_its_own(fleet: Volumes, instance: str) -> None:
    family = fleet.definition("kept", "hostname > /data/mine; exec sleep 600", tags=[{"key": "of", "value": "family"}])
    specification = {"resourceType": "volume", "propagateTags": "SERVICE", "tags": [{"key": "a", "value": "b"}]}
    fleet.ecs.create_service(
        cluster=fleet.cluster,
        serviceName="kept",
        taskDefinition=family,
        desiredCount=2,
        enableECSManagedTags=True,
        tags=[{"key": "Team", "value": "blue"}],
        volumeConfigurations=configured({"tagSpecifications": [specification], "filesystemType": "ext4"}),
    )

    def service() -> dict[str, Any]:
        found: dict[str, Any] = fleet.ecs.describe_services(cluster=fleet.cluster, services=["kept"])["services"][0]
        return found

    def described() -> list[dict[str, Any]]:
        arns = fleet.ecs.list_tasks(cluster=fleet.cluster, serviceName="kept")["taskArns"]
        found: list[dict[str, Any]] = fleet.ecs.describe_tasks(cluster=fleet.cluster, tasks=arns)["tasks"]
        return found

    eventually(lambda: service()["deployments"][0]["rolloutState"] == "COMPLETED")
    configuration = service()["deployments"][0]["volumeConfigurations"][0]
    assert (configuration["name"], configuration["managedEBSVolume"]["sizeInGiB"]) == ("data", 1)
    volumes = [attachment(each)["volumeId"] for each in described()]
    assert len(set(volumes)) == 2
    for each in fleet.ec2.describe_volumes(VolumeIds=volumes)["Volumes"]:
        assert {tag["Key"]: tag["Value"] for tag in each["Tags"]} == {
            "AmazonECSCreated": "true",
            "AmazonECSManaged": "true",
            "aws:ecs:clusterName": "volumes",
            "aws:ecs:serviceName": "kept",
            "Team": "blue",
            "a": "b",
        }
        assert each["Attachments"][0]["InstanceId"] == instance
    arns = [each["taskArn"] for each in described()]
    hosts = {fleet.see(instance, arn, "cat", "/data/mine") for arn in arns}
    assert len(hosts) == 2

    before = service()["deployments"][0]["id"]
    fleet.ecs.update_service(cluster=fleet.cluster, service="kept", desiredCount=1)
    assert service()["deployments"][0]["id"] == before
    fleet.ecs.update_service(cluster=fleet.cluster, service="kept", volumeConfigurations=configured({"sizeInGiB": 2}))
    eventually(lambda: [each["rolloutState"] for each in service()["deployments"]] == ["COMPLETED"])
    assert service()["deployments"][0]["id"] != before
    now = attachment(next(each for each in described() if each["lastStatus"] == "RUNNING"))["volumeId"]
    assert fleet.ec2.describe_volumes(VolumeIds=[now])["Volumes"][0]["Size"] == 2
    eventually(lambda: all(gone(fleet.ec2, each) for each in volumes))
    fleet.ecs.delete_service(cluster=fleet.cluster, service="kept", force=True)
    eventually(lambda: gone(fleet.ec2, now))


def test_a_volume_ends_with_an_instance_that_is_terminated(fleet: Volumes) -> None:
    ending = Volumes(fleet.platform, fleet.image, "ending", "ending")
    host = ending.launch()["InstanceId"]
    ending.definition("ends", "exec sleep 600")
    arn = ending.begin("ends")
    volume = attachment(ending.running(arn))["volumeId"]
    ending.ec2.terminate_instances(InstanceIds=[host])
    eventually(lambda: ending.task(arn)["lastStatus"] == "STOPPED")
    assert ending.task(arn)["stoppedReason"] == f"Host EC2 (instance {host}) terminated."
    eventually(lambda: gone(ending.ec2, volume))
