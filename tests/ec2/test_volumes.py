"""Volumes through the gateway, called by boto3, on a machine of the tests' own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ec2.machine import Machine
from tests.ec2.volumes import ZONE, Volumes, by, eventually
from tests.served import Served, refusal


@pytest.fixture(scope="module")
def ec2(simulated: Served) -> Any:
    return simulated.client("ec2")


def test_a_volume_is_made_with_the_defaults_of_its_type(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}]
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=5, TagSpecifications=tags)
    assert (made["State"], made["VolumeType"], made["Iops"], made["Encrypted"]) == ("creating", "gp2", 100, False)
    found = volumes.until(made["VolumeId"], "available")
    assert machine.volumes[made["VolumeId"]] == 5
    assert found["Attachments"] == [] and found["Tags"] == tags[0]["Tags"] and found["SnapshotId"] == ""
    assert found["AvailabilityZoneId"] == "use1-az1"
    for kind, size, more, iops, throughput in (
        ("gp2", 100, {}, 300, None),
        ("gp2", 10_000, {}, 16_000, None),
        ("gp3", 1, {}, 3000, 125),
        ("gp3", 100, {"Iops": 8000, "Throughput": 2000}, 8000, 2000),
        ("io1", 4, {"Iops": 200}, 200, None),
        ("io2", 4, {"Iops": 4000}, 4000, None),
        ("st1", 125, {}, None, None),
        ("standard", 1, {}, None, None),
    ):
        made = volumes.get(volumes.make(size, VolumeType=kind, **more))
        assert (made.get("Iops"), made.get("Throughput")) == (iops, throughput), kind


@pytest.mark.parametrize(
    ("code", "text", "request_"),
    [
        ("MissingParameter", "size/snapshot", {"AvailabilityZone": ZONE}),
        ("MissingParameter", "zone", {"Size": 1}),
        ("InvalidZone.NotFound", "us-east-1z", {"Size": 1, "AvailabilityZone": "us-east-1z"}),
        ("InvalidParameterValue", "too small", {"Size": 0}),
        ("InvalidParameterValue", "too large", {"Size": 16385}),
        ("InvalidParameterValue", "minimum is 125GiB", {"Size": 124, "VolumeType": "st1"}),
        ("InvalidParameterValue", "maximum is 1024GiB", {"Size": 1025, "VolumeType": "standard"}),
        ("InvalidParameterCombination", "iops is not supported", {"Size": 1, "Iops": 100}),
        ("InvalidParameterCombination", "throughput", {"Size": 1, "Throughput": 125}),
        ("MissingParameter", "iops must be specified", {"Size": 4, "VolumeType": "io1"}),
        ("InvalidParameterValue", "minimum is 3000", {"Size": 4, "VolumeType": "gp3", "Iops": 100}),
        ("InvalidParameterValue", "ratio", {"Size": 4, "VolumeType": "io1", "Iops": 201}),
        ("InvalidParameterValue", "ratio", {"Size": 4, "VolumeType": "gp3", "Throughput": 751}),
        ("InvalidSnapshot.NotFound", "snap-", {"SnapshotId": "snap-0123456789abcdef0"}),
        ("InvalidSnapshotID.Malformed", "snap-x", {"SnapshotId": "snap-x"}),
        ("NotImplemented", "Encrypted", {"Size": 1, "Encrypted": True}),
        (
            "NotImplemented",
            "MultiAttachEnabled",
            {"Size": 4, "VolumeType": "io2", "Iops": 100, "MultiAttachEnabled": True},
        ),
    ],
)
def test_what_is_no_volume_is_refused(ec2: Any, code: str, text: str, request_: dict[str, Any]) -> None:
    if text != "zone":
        request_ = {"AvailabilityZone": ZONE, **request_}
    answered = refusal(ec2.create_volume, **request_)
    assert answered[0] == code and text in answered[1]


def test_a_client_token_makes_one_volume(ec2: Any) -> None:
    request = {"AvailabilityZone": ZONE, "Size": 1, "ClientToken": "once"}
    assert ec2.create_volume(**request)["VolumeId"] == ec2.create_volume(**request)["VolumeId"]
    assert refusal(ec2.create_volume, **{**request, "Size": 2})[0] == "IdempotentParameterMismatch"


def test_a_volume_that_cannot_be_made_is_in_error(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    machine.full = True
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    volumes.until(made, "error")
    machine.full = False
    status = ec2.describe_volume_status(VolumeIds=[made])["VolumeStatuses"][0]["VolumeStatus"]["Status"]
    assert status == "impaired"
    ec2.delete_volume(VolumeId=made)
    volumes.gone(made)


def test_a_volume_is_attached_detached_and_deleted(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    made, instance = volumes.make(), volumes.instance()
    answer = ec2.attach_volume(VolumeId=made, InstanceId=instance, Device="/dev/sdf")
    assert (answer["State"], answer["DeleteOnTermination"]) == ("attaching", False)
    volumes.attachment(made, "attached")
    assert volumes.get(made)["State"] == "in-use" and machine.disks[instance] == {"/dev/sdf": made}
    mapping = volumes.describe_instance(instance)["BlockDeviceMappings"]
    assert [each["DeviceName"] for each in mapping] == ["/dev/xvda", "/dev/sdf"]
    assert mapping[1]["Ebs"]["VolumeId"] == made and mapping[1]["Ebs"]["Status"] == "attached"
    assert refusal(ec2.attach_volume, VolumeId=made, InstanceId=instance, Device="/dev/sdg") == (
        "VolumeInUse",
        f"{made} is already attached to an instance",
    )
    assert refusal(ec2.delete_volume, VolumeId=made)[0] == "VolumeInUse"
    other = volumes.make()
    assert refusal(ec2.attach_volume, VolumeId=other, InstanceId=instance, Device="xvdf") == (
        "InvalidParameterValue",
        "Invalid value 'xvdf' for unixDevice. Attachment point xvdf is already in use",
    )
    assert refusal(ec2.detach_volume, VolumeId=made, Device="/dev/sdg")[0] == "InvalidAttachment.NotFound"
    assert ec2.detach_volume(VolumeId=made)["State"] == "detaching"
    assert volumes.until(made, "available")["Attachments"] == [] and machine.disks[instance] == {}
    assert refusal(ec2.detach_volume, VolumeId=made) == (
        "IncorrectState",
        f"Volume '{made}' is in the 'available' state.",
    )
    ec2.delete_volume(VolumeId=made)
    volumes.gone(made)
    assert made not in machine.volumes
    assert refusal(ec2.describe_volumes, VolumeIds=[made]) == (
        "InvalidVolume.NotFound",
        f"The volume '{made}' does not exist.",
    )


def test_one_that_is_mounted_is_busy_until_it_is_not_or_by_force(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    made, instance = volumes.make(), volumes.instance()
    for force in (False, True):
        ec2.attach_volume(VolumeId=made, InstanceId=instance, Device="/dev/xvdf")
        volumes.attachment(made, "attached")
        machine.mounted.add(made)
        ec2.detach_volume(VolumeId=made)
        volumes.attachment(made, "busy")
        assert volumes.get(made)["State"] == "in-use"
        if force:
            ec2.detach_volume(VolumeId=made, Force=True)
        else:
            machine.mounted.discard(made)
        volumes.until(made, "available")


def test_what_cannot_be_attached(volumes: Volumes, ec2: Any) -> None:
    instance, made = volumes.instance(), volumes.make()
    elsewhere = volumes.make(AvailabilityZone="us-east-1b")
    assert refusal(ec2.attach_volume, VolumeId=elsewhere, InstanceId=instance, Device="/dev/sdf")[0] == (
        "InvalidVolume.ZoneMismatch"
    )
    wrong = refusal(ec2.attach_volume, VolumeId=made, InstanceId=instance, Device="/dev/../null")
    assert wrong[0] == "InvalidParameterValue" and "is not a valid EBS device name" in wrong[1]
    assert refusal(ec2.attach_volume, VolumeId="vol-1", InstanceId=instance, Device="/dev/sdf")[0] == (
        "InvalidVolumeID.Malformed"
    )
    ec2.terminate_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "terminated")
    assert refusal(ec2.attach_volume, VolumeId=made, InstanceId=instance, Device="/dev/sdf")[0] == "IncorrectState"


def test_a_stopped_instance_has_its_volumes_when_it_starts(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    instance, kept, goes = volumes.instance("stopped"), volumes.make(), volumes.make()
    ec2.attach_volume(VolumeId=kept, InstanceId=instance, Device="/dev/sdf")
    ec2.attach_volume(VolumeId=goes, InstanceId=instance, Device="/dev/sdg")
    for each in (kept, goes):
        volumes.attachment(each, "attached")
    mapping = {"DeviceName": "/dev/sdg", "Ebs": {"DeleteOnTermination": True}}
    ec2.modify_instance_attribute(InstanceId=instance, BlockDeviceMappings=[mapping])
    ec2.start_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "running")
    assert machine.disks[instance] == {"/dev/sdf": kept, "/dev/sdg": goes}
    ec2.terminate_instances(InstanceIds=[instance])
    volumes.until(kept, "available")
    volumes.gone(goes)
    assert kept in machine.volumes and goes not in machine.volumes


def test_volumes_grow_and_change_their_type(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    made = volumes.make(10)
    assert refusal(ec2.describe_volumes_modifications, VolumeIds=[made])[0] == "InvalidVolumeModification.NotFound"
    answer = ec2.modify_volume(VolumeId=made, Size=20, VolumeType="gp3")["VolumeModification"]
    assert (answer["ModificationState"], answer["Progress"]) == ("modifying", 0)
    assert (answer["OriginalSize"], answer["OriginalIops"], answer["OriginalVolumeType"]) == (10, 100, "gp2")
    assert (answer["TargetSize"], answer["TargetIops"], answer["TargetThroughput"]) == (20, 3000, 125)

    def ended() -> list[dict[str, Any]]:
        wanted = [by("volume-id", made), by("modification-state", "completed")]
        found: list[dict[str, Any]] = ec2.describe_volumes_modifications(Filters=wanted)["VolumesModifications"]
        return found

    assert eventually(ended)[0]["Progress"] == 100 and machine.volumes[made] == 20
    assert refusal(ec2.modify_volume, VolumeId=made, Size=10)[0] == "InvalidParameterValue"
    assert refusal(ec2.modify_volume, VolumeId=made)[0] == "MissingParameter"
    for size in (21, 22, 23):
        ec2.modify_volume(VolumeId=made, Size=size)
        eventually(ended)
    assert refusal(ec2.modify_volume, VolumeId=made, Size=24)[0] == "VolumeModificationRateExceeded"
    assert volumes.get(made)["Size"] == 23


def test_a_modification_that_fails_changes_nothing(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    made = volumes.make(10)
    machine.full = True
    ec2.modify_volume(VolumeId=made, Size=20)

    def probe() -> bool:
        found = ec2.describe_volumes_modifications(VolumeIds=[made])["VolumesModifications"][0]
        return bool(found["ModificationState"] == "failed")

    eventually(probe)
    machine.full = False
    assert volumes.get(made)["Size"] == 10


def test_volumes_are_found_by_filters_in_pages(volumes: Volumes, ec2: Any) -> None:
    made = [volumes.make(7, VolumeType="gp3") for _ in range(6)]
    ec2.create_tags(Resources=made[:1], Tags=[{"Key": "Role", "Value": "first"}])
    wanted = [by("size", "7"), by("volume-type", "gp3"), by("status", "available"), by("availability-zone", ZONE)]
    pages = list(ec2.get_paginator("describe_volumes").paginate(Filters=wanted, PaginationConfig={"PageSize": 5}))
    assert [len(page["Volumes"]) for page in pages] == [5, 1]
    assert {each["VolumeId"] for page in pages for each in page["Volumes"]} == set(made)
    found = ec2.describe_volumes(Filters=[by("tag:Role", "first")])["Volumes"]
    assert [each["VolumeId"] for each in found] == made[:1]
    assert refusal(ec2.describe_volumes, Filters=[by("no-such", "1")])[0] == "InvalidParameterValue"
    tags = ec2.describe_tags(Filters=[by("resource-type", "volume"), by("key", "Role")])["Tags"]
    assert [each["ResourceId"] for each in tags] == made[:1]


def test_attributes(volumes: Volumes, ec2: Any) -> None:
    made = volumes.make()
    assert ec2.describe_volume_attribute(VolumeId=made, Attribute="autoEnableIO")["AutoEnableIO"] == {"Value": False}
    ec2.modify_volume_attribute(VolumeId=made, AutoEnableIO={"Value": True})
    assert ec2.describe_volume_attribute(VolumeId=made, Attribute="autoEnableIO")["AutoEnableIO"] == {"Value": True}
    assert ec2.describe_volume_attribute(VolumeId=made, Attribute="productCodes")["ProductCodes"] == []


def test_an_instance_starts_with_the_volumes_that_it_asks_for(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    snapshot = volumes.snapshot(volumes.make(3))
    mappings = [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 12, "VolumeType": "gp3", "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 5, "VolumeType": "io2", "Iops": 500}},
    ]
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Of", "Value": "launch"}]}]
    instance = volumes.instance(BlockDeviceMappings=mappings, TagSpecifications=tags)
    described = volumes.describe_instance(instance)["BlockDeviceMappings"]
    assert [(each["DeviceName"], each["Ebs"]["Status"]) for each in described] == [
        ("/dev/xvda", "attached"),
        ("/dev/sdf", "attached"),
        ("/dev/sdg", "attached"),
    ]
    root, kept, goes = (volumes.get(each["Ebs"]["VolumeId"]) for each in described)
    assert (root["Size"], root["VolumeType"], root["Iops"]) == (12, "gp3", 3000)
    assert (kept["Size"], kept["SnapshotId"], goes["Iops"], goes["Size"]) == (3, snapshot, 500, 5)
    assert root["Tags"] == kept["Tags"] == tags[0]["Tags"] and root["State"] == "in-use"
    assert machine.origins[root["VolumeId"]] == "system" and machine.origins[kept["VolumeId"]] == snapshot
    assert machine.running[instance].root == root["VolumeId"]
    assert machine.disks[instance] == {"/dev/sdf": kept["VolumeId"], "/dev/sdg": goes["VolumeId"]}
    ec2.terminate_instances(InstanceIds=[instance])
    volumes.gone(goes["VolumeId"])
    for each in (root, kept):
        assert volumes.until(each["VolumeId"], "available")["Attachments"] == []
    assert machine.volumes[root["VolumeId"]] == 12


@pytest.mark.parametrize(
    ("code", "text", "mapping"),
    [
        ("InvalidBlockDeviceMapping", "cannot be suppressed", {"DeviceName": "/dev/xvda", "NoDevice": ""}),
        ("InvalidBlockDeviceMapping", "is smaller than", {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}),
        ("InvalidParameterValue", "st1", {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 125, "VolumeType": "st1"}}),
        ("MissingParameter", "size or snapshotId", {"DeviceName": "/dev/sdf", "Ebs": {}}),
        ("InvalidParameterValue", "not a valid EBS device name", {"DeviceName": "data", "Ebs": {"VolumeSize": 1}}),
        ("InvalidBlockDeviceMapping", "same device", {"DeviceName": "xvda", "Ebs": {"VolumeSize": 1}}),
        (
            "InvalidParameterValue",
            "too low",
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9, "VolumeType": "gp3", "Iops": 1}},
        ),
        (
            "InvalidSnapshot.NotFound",
            "snap-",
            {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}},
        ),
        ("NotImplemented", "Encrypted", {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "Encrypted": True}}),
        ("NotImplemented", "VirtualName", {"DeviceName": "/dev/sdf", "VirtualName": "ephemeral0"}),
    ],
)
def test_mappings_that_are_refused(volumes: Volumes, ec2: Any, code: str, text: str, mapping: dict[str, Any]) -> None:
    request = {"ImageId": volumes.image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    answered = refusal(ec2.run_instances, **request, BlockDeviceMappings=[mapping])
    assert answered[0] == code and text in answered[1], answered


def test_an_instance_without_its_volumes_is_no_instance(volumes: Volumes, machine: Machine, ec2: Any) -> None:
    machine.full = True
    request = {"ImageId": volumes.image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    made = ec2.run_instances(**request)["Instances"][0]["InstanceId"]
    volumes.until_instance(made, "terminated")
    machine.full = False
    reason = volumes.describe_instance(made)["StateReason"]
    assert reason["Code"] == "Server.InternalError" and "could not be made" in reason["Message"]


def test_a_root_volume_comes_and_goes_while_the_instance_is_stopped(
    volumes: Volumes, machine: Machine, ec2: Any
) -> None:
    instance = volumes.instance()
    root = volumes.describe_instance(instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert refusal(ec2.detach_volume, VolumeId=root) == (
        "OperationNotPermitted",
        f"Unable to detach root volume '{root}' from instance '{instance}'",
    )
    copy = volumes.make(None, SnapshotId=volumes.snapshot(root))
    ec2.stop_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "stopped")
    ec2.detach_volume(VolumeId=root)
    volumes.until(root, "available")
    assert refusal(ec2.start_instances, InstanceIds=[instance]) == (
        "InvalidParameterValue",
        f"Invalid value '{instance}' for instanceId. Instance does not have a volume attached at root (/dev/xvda)",
    )
    ec2.attach_volume(VolumeId=copy, InstanceId=instance, Device="/dev/xvda")
    volumes.attachment(copy, "attached")
    ec2.start_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "running")
    assert machine.running[instance].root == copy and machine.running[instance].base == "plain"


def test_an_instance_like_another_is_launched_by_its_template_data(volumes: Volumes, ec2: Any) -> None:
    mappings = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, "VolumeType": "io2", "Iops": 500}}]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Role", "Value": "pattern"}]}]
    pattern = volumes.instance(BlockDeviceMappings=mappings, TagSpecifications=tags, UserData="#!/bin/sh\n")
    data = ec2.get_launch_template_data(InstanceId=pattern)["LaunchTemplateData"]
    assert (data["ImageId"], data["InstanceType"], data["Monitoring"]) == (
        volumes.image,
        "t3.micro",
        {"Enabled": False},
    )
    assert data["BlockDeviceMappings"][1]["Ebs"]["Iops"] == 500 and data["TagSpecifications"] == tags
    kept = ("ImageId", "InstanceType", "UserData", "TagSpecifications", "MetadataOptions", "CpuOptions")
    wanted = {name: data[name] for name in kept}
    del wanted["MetadataOptions"]["State"]
    wanted["BlockDeviceMappings"] = data["BlockDeviceMappings"][1:]
    ec2.create_launch_template(LaunchTemplateName="like-it", LaunchTemplateData=wanted)
    answer = ec2.run_instances(LaunchTemplate={"LaunchTemplateName": "like-it"}, MinCount=1, MaxCount=1)
    made = answer["Instances"][0]["InstanceId"]
    volumes.until_instance(made, "running")
    described = volumes.describe_instance(made)
    disk = volumes.get(described["BlockDeviceMappings"][1]["Ebs"]["VolumeId"])
    assert (disk["Size"], disk["Iops"], described["Tags"]) == (5, 500, tags[0]["Tags"])


def test_what_was_wanted_is_done_after_a_restart(
    volumes: Volumes, machine: Machine, simulated: Served, ec2: Any
) -> None:
    machine.away = True
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    gone = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    assert refusal(ec2.delete_volume, VolumeId=gone)[0] == "IncorrectState"
    simulated.restart()
    machine.away = False
    volumes.ec2 = simulated.client("ec2")
    volumes.until(made, "available")
    volumes.until(gone, "available")
    volumes.ec2.delete_volume(VolumeId=gone)
    volumes.gone(gone)
