"""Snapshots through the gateway, called by boto3, on a machine of the tests' own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ec2.machine import Machine
from tests.ec2.volumes import ZONE, Volumes, by, eventually
from tests.served import Served, refusal

OTHER = "111122223333"


@pytest.fixture(scope="module")
def ec2(simulated: Served) -> Any:
    return simulated.client("ec2")


def test_a_snapshot_is_taken_and_volumes_are_made_of_it(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    source = volumes.make(2)
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "Name", "Value": "before"}]}]
    made = ec2.create_snapshot(VolumeId=source, Description="before", TagSpecifications=tags)
    assert (made["State"], made["Progress"], made["VolumeSize"]) == ("pending", "", 2)
    found = volumes.until_snapshot(made["SnapshotId"], "completed")
    assert (found["Progress"], found["StorageTier"], found["Tags"]) == ("100%", "standard", tags[0]["Tags"])
    assert machine.snapshots[made["SnapshotId"]] == source

    same = volumes.get(volumes.make(None, SnapshotId=made["SnapshotId"]))
    larger = volumes.get(volumes.make(3, SnapshotId=made["SnapshotId"]))
    assert (same["Size"], larger["Size"], larger["SnapshotId"]) == (2, 3, made["SnapshotId"])
    assert machine.origins[larger["VolumeId"]] == made["SnapshotId"]
    smaller = refusal(ec2.create_volume, AvailabilityZone=ZONE, Size=1, SnapshotId=made["SnapshotId"])
    assert smaller[0] == "InvalidParameterValue" and "expect size >= 2GB" in smaller[1]


def test_a_volume_stays_until_its_snapshots_are_taken(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    source = volumes.make()
    machine.held = True
    made = ec2.create_snapshot(VolumeId=source)["SnapshotId"]
    assert refusal(ec2.create_volume, AvailabilityZone=ZONE, SnapshotId=made) == (
        "IncorrectState",
        "Snapshot is in invalid state - pending",
    )
    ec2.delete_volume(VolumeId=source)
    assert volumes.get(source)["State"] == "deleting"
    machine.held = False
    volumes.until_snapshot(made, "completed")
    volumes.gone(source)
    assert machine.snapshots[made] == source


def test_a_deleted_snapshot_is_gone_at_once_and_its_volumes_stay(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    made = volumes.snapshot(volumes.make())
    volume = volumes.make(None, SnapshotId=made)
    ec2.delete_snapshot(SnapshotId=made)
    missing = ("InvalidSnapshot.NotFound", f"The snapshot '{made}' does not exist.")
    assert refusal(ec2.describe_snapshots, SnapshotIds=[made]) == missing
    assert refusal(ec2.delete_snapshot, SnapshotId=made) == missing
    assert refusal(ec2.create_tags, Resources=[made], Tags=[{"Key": "a", "Value": "b"}]) == missing
    eventually(lambda: made not in machine.snapshots)
    assert volumes.get(volume)["State"] == "available"
    assert refusal(ec2.delete_snapshot, SnapshotId="snap-1")[0] == "InvalidSnapshotID.Malformed"


def test_a_copy_outlives_what_it_was_made_of(volumes: Volumes, machine: Machine, simulated: Served, ec2: Any) -> None:
    source = volumes.snapshot(volumes.make(4), Description="the first")
    west = simulated.client("ec2", region="us-west-2")
    made = west.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=source)["SnapshotId"]
    ec2.delete_snapshot(SnapshotId=source)

    def copy() -> Any:
        return west.describe_snapshots(SnapshotIds=[made])["Snapshots"][0]

    eventually(lambda: copy()["State"] == "completed")
    eventually(lambda: source not in machine.snapshots)
    assert (copy()["VolumeSize"], copy()["VolumeId"]) == (4, "vol-ffffffff") and made in machine.snapshots
    assert copy()["Description"] == f"[Copied {source} from us-east-1] the first"
    assert refusal(west.copy_snapshot, SourceRegion="us-east-1", SourceSnapshotId=made)[0] == (
        "InvalidSnapshot.NotFound"
    )
    encrypted = {"SourceRegion": "us-west-2", "SourceSnapshotId": made, "Encrypted": True}
    assert refusal(west.copy_snapshot, **encrypted)[0] == "NotImplemented"


def test_all_volumes_of_an_instance_are_saved_at_once(volumes: Volumes, ec2: Any) -> None:
    instance, first, second = volumes.instance(), volumes.make(), volumes.make(2)
    for device, each in (("/dev/sdf", first), ("/dev/sdg", second)):
        ec2.attach_volume(VolumeId=each, InstanceId=instance, Device=device)
        volumes.attachment(each, "attached")
    ec2.create_tags(Resources=[first], Tags=[{"Key": "Role", "Value": "data"}])
    wanted = {"InstanceId": instance, "ExcludeBootVolume": True}
    made = ec2.create_snapshots(InstanceSpecification=wanted, CopyTagsFromSource="volume")["Snapshots"]
    assert [(each["VolumeId"], each["VolumeSize"]) for each in made] == [(first, 1), (second, 2)]
    assert made[0]["Tags"] == [{"Key": "Role", "Value": "data"}]
    less = ec2.create_snapshots(InstanceSpecification={**wanted, "ExcludeDataVolumeIds": [first]})["Snapshots"]
    assert [each["VolumeId"] for each in less] == [second]
    for each in (*made, *less):
        volumes.until_snapshot(each["SnapshotId"], "completed")
    unknown = {**wanted, "ExcludeDataVolumeIds": ["vol-0123456789abcdef0"]}
    assert refusal(ec2.create_snapshots, InstanceSpecification=unknown)[0] == "InvalidParameterValue"


def test_snapshots_are_found_by_filters_in_pages(volumes: Volumes, ec2: Any) -> None:
    source = volumes.make()
    made = [volumes.snapshot(source, Description="a page") for _ in range(6)]
    wanted = [by("volume-id", source), by("status", "completed"), by("description", "a *")]
    pages = list(
        ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=wanted, PaginationConfig={"PageSize": 5}
        )
    )
    assert [len(page["Snapshots"]) for page in pages] == [5, 1]
    assert {each["SnapshotId"] for page in pages for each in page["Snapshots"]} == set(made)
    assert ec2.describe_snapshots(OwnerIds=["amazon"])["Snapshots"] == []
    assert len(ec2.describe_snapshots(RestorableByUserIds=["self"], Filters=wanted)["Snapshots"]) == 6


def test_a_snapshot_is_shared(volumes: Volumes, ec2: Any) -> None:
    made = volumes.snapshot(volumes.make())

    def permissions() -> Any:
        return ec2.describe_snapshot_attribute(SnapshotId=made, Attribute="createVolumePermission")[
            "CreateVolumePermissions"
        ]

    assert permissions() == []
    change = {"Add": [{"UserId": OTHER}, {"Group": "all"}]}
    ec2.modify_snapshot_attribute(SnapshotId=made, CreateVolumePermission=change)
    assert permissions() == [{"Group": "all"}, {"UserId": OTHER}]
    found = ec2.describe_snapshots(RestorableByUserIds=["all"])["Snapshots"]
    assert [each["SnapshotId"] for each in found] == [made]
    ec2.modify_snapshot_attribute(SnapshotId=made, OperationType="remove", UserIds=[OTHER])
    assert permissions() == [{"Group": "all"}]
    ec2.reset_snapshot_attribute(SnapshotId=made, Attribute="createVolumePermission")
    assert permissions() == []
    wrong = {"SnapshotId": made, "OperationType": "add", "UserIds": ["me"]}
    assert refusal(ec2.modify_snapshot_attribute, **wrong)[0] == "InvalidUserID.Malformed"
