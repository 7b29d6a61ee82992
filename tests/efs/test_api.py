"""EFS's API, called by boto3 through the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.host.client import HostUnavailable
from tests.efs.conftest import Driver, wait_until
from tests.served import Served, refusal

ACCOUNT = "000000000000"


def status(call: Any, **request: Any) -> tuple[int, dict[str, Any]]:
    """HTTP status and body's members of an error."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    response: Any = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response


def subnets(ec2: Any) -> list[dict[str, Any]]:
    """The default subnets, by zone."""
    found = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    return sorted(found, key=lambda each: str(each["AvailabilityZone"]))


def test_a_file_system_comes_and_goes(efs: Any, driver: Driver) -> None:
    made = efs.create_file_system(CreationToken="first", Tags=[{"Key": "Name", "Value": "data"}])
    made.pop("ResponseMetadata")
    file_system_id, created = made["FileSystemId"], made["CreationTime"]
    assert made == {
        "OwnerId": ACCOUNT,
        "CreationToken": "first",
        "FileSystemId": file_system_id,
        "FileSystemArn": f"arn:aws:elasticfilesystem:us-east-1:{ACCOUNT}:file-system/{file_system_id}",
        "CreationTime": created,
        "LifeCycleState": "creating",
        "Name": "data",
        "NumberOfMountTargets": 0,
        "SizeInBytes": {"Value": 0, "ValueInIA": 0, "ValueInStandard": 0, "ValueInArchive": 0},
        "PerformanceMode": "generalPurpose",
        "Encrypted": False,
        "ThroughputMode": "bursting",
        "Tags": [{"Key": "Name", "Value": "data"}],
        "FileSystemProtection": {"ReplicationOverwriteProtection": "ENABLED"},
    }
    wait_until(efs, file_system_id)
    while not (seen := wait_until(efs, made["FileSystemArn"])["SizeInBytes"])["Value"]:
        pass
    assert seen["Value"] == seen["ValueInStandard"] == 4096 and "Timestamp" in seen
    assert file_system_id in driver.made

    code, response = status(efs.create_file_system, CreationToken="first")
    assert (code, response["FileSystemId"], response["ErrorCode"]) == (409, file_system_id, "FileSystemAlreadyExists")
    efs.delete_file_system(FileSystemId=file_system_id)
    while efs.describe_file_systems(CreationToken="first")["FileSystems"]:
        pass
    assert file_system_id not in driver.made
    code, response = status(efs.describe_file_systems, FileSystemId=file_system_id)
    assert (code, response["Error"]["Message"]) == (404, f"File system '{file_system_id}' does not exist.")


def test_while_the_host_driver_is_away_nothing_is_said_to_be_there(efs: Any, driver: Driver) -> None:
    driver.away = HostUnavailable("away")
    made = efs.create_file_system(CreationToken="later")["FileSystemId"]
    assert wait_until(efs, made, "creating") and made not in driver.made
    code, response = status(efs.create_mount_target, FileSystemId=made, SubnetId="subnet-00000000")
    assert (code, response["Error"]["Code"]) == (409, "IncorrectFileSystemLifeCycleState")
    driver.away = None
    wait_until(efs, made)
    driver.away = HostUnavailable("away")
    efs.delete_file_system(FileSystemId=made)
    assert wait_until(efs, made, "deleting") and made in driver.made
    efs.delete_file_system(FileSystemId=made)
    driver.away = None
    while efs.describe_file_systems(CreationToken="later")["FileSystems"]:
        pass
    assert made not in driver.made


def test_other_accounts_and_regions_see_nothing(served: Served, file_system: str) -> None:
    elsewhere = served.client("efs", "eu-central-1")
    assert refusal(elsewhere.describe_file_systems, FileSystemId=file_system)[0] == "FileSystemNotFound"
    assert elsewhere.describe_file_systems()["FileSystems"] == []
    again = elsewhere.create_file_system(CreationToken="first")  # tokens are a region's
    elsewhere.delete_file_system(FileSystemId=again["FileSystemId"])


def test_modes(efs: Any) -> None:
    for wrong in (
        {"ThroughputMode": "provisioned"},
        {"ProvisionedThroughputInMibps": 10.0},
        {"PerformanceMode": "maxIO", "ThroughputMode": "elastic"},
        {"PerformanceMode": "maxIO", "AvailabilityZoneName": "us-east-1a"},
    ):
        assert refusal(efs.create_file_system, CreationToken="wrong", **wrong)[0] == "BadRequest"
    too_fast = {"ThroughputMode": "provisioned", "ProvisionedThroughputInMibps": 5000.0}
    assert refusal(efs.create_file_system, CreationToken="wrong", **too_fast)[0] == "ThroughputLimitExceeded"
    asked = {"ThroughputMode": "provisioned", "ProvisionedThroughputInMibps": 64.0}
    made = efs.create_file_system(CreationToken="modes", **asked)["FileSystemId"]
    wait_until(efs, made)
    changed = efs.update_file_system(FileSystemId=made, ProvisionedThroughputInMibps=128.0)
    assert (changed["ThroughputMode"], changed["ProvisionedThroughputInMibps"]) == ("provisioned", 128.0)
    elastic = efs.update_file_system(FileSystemId=made, ThroughputMode="elastic")
    assert elastic["ThroughputMode"] == "elastic" and "ProvisionedThroughputInMibps" not in elastic
    assert status(efs.update_file_system, FileSystemId=made, ThroughputMode="bursting")[0] == 429
    efs.delete_file_system(FileSystemId=made)


@pytest.mark.parametrize(
    "asked", [{"Encrypted": True}, {"Backup": True}, {"KmsKeyId": "alias/key"}], ids=lambda each: next(iter(each))
)
def test_what_nothing_acts_on_is_refused_by_name(efs: Any, asked: dict[str, Any]) -> None:
    code, message = refusal(efs.create_file_system, CreationToken="refused", **asked)
    assert code == "NotImplemented" and next(iter(asked)) in message
    efs.delete_file_system(
        FileSystemId=efs.create_file_system(CreationToken="plain", Encrypted=False, Backup=False)["FileSystemId"]
    )


def test_one_zone(efs: Any, ec2: Any) -> None:
    unknown = {"CreationToken": "zone", "AvailabilityZoneName": "us-east-1z"}
    assert refusal(efs.create_file_system, **unknown)[0] == "UnsupportedAvailabilityZone"
    made = efs.create_file_system(CreationToken="zone", AvailabilityZoneName="us-east-1b")
    assert made["AvailabilityZoneName"] == "us-east-1b" and made["AvailabilityZoneId"]
    file_system_id = made["FileSystemId"]
    wait_until(efs, file_system_id)
    first, second = subnets(ec2)[:2]
    mismatch = refusal(efs.create_mount_target, FileSystemId=file_system_id, SubnetId=first["SubnetId"])
    assert mismatch[0] == "AvailabilityZonesMismatch"
    target = efs.create_mount_target(FileSystemId=file_system_id, SubnetId=second["SubnetId"])["MountTargetId"]
    efs.delete_mount_target(MountTargetId=target)
    efs.delete_file_system(FileSystemId=file_system_id)


def test_a_mount_target_has_an_interface_of_its_own(efs: Any, ec2: Any, file_system: str) -> None:
    subnet = subnets(ec2)[0]
    made = efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet["SubnetId"], IpAddress="172.31.0.77")
    made.pop("ResponseMetadata")
    target, interface_id = made["MountTargetId"], made["NetworkInterfaceId"]
    assert made == {
        "OwnerId": ACCOUNT,
        "MountTargetId": target,
        "FileSystemId": file_system,
        "SubnetId": subnet["SubnetId"],
        "LifeCycleState": "creating",
        "IpAddress": "172.31.0.77",
        "NetworkInterfaceId": interface_id,
        "AvailabilityZoneId": subnet["AvailabilityZoneId"],
        "AvailabilityZoneName": subnet["AvailabilityZone"],
        "VpcId": subnet["VpcId"],
    }
    found = efs.describe_mount_targets(FileSystemId=file_system)["MountTargets"]
    assert found == [{**made, "LifeCycleState": "available"}]
    assert efs.describe_mount_targets(MountTargetId=target)["MountTargets"] == found
    assert efs.describe_file_systems(FileSystemId=file_system)["FileSystems"][0]["NumberOfMountTargets"] == 1
    interface = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])["NetworkInterfaces"][0]
    assert interface["RequesterManaged"] is True and interface["RequesterId"] == "EFS"
    assert interface["Description"] == f"EFS mount target for {file_system} ({target})"
    assert (interface["Status"], interface["PrivateIpAddress"]) == ("in-use", "172.31.0.77")

    assert status(efs.delete_file_system, FileSystemId=file_system)[0] == 409
    assert refusal(efs.delete_file_system, FileSystemId=file_system) == (
        "FileSystemInUse",
        f"The file system '{file_system}' cannot be deleted because it has mount targets. "
        "You must delete the mount targets, and then try again.",
    )
    efs.delete_mount_target(MountTargetId=target)
    assert refusal(efs.describe_mount_targets, MountTargetId=target)[0] == "MountTargetNotFound"
    assert refusal(ec2.describe_network_interfaces, NetworkInterfaceIds=[interface_id])[0].endswith("NotFound")


def test_one_mount_target_a_zone_and_one_vpc(efs: Any, ec2: Any, file_system: str) -> None:
    def create(subnet_id: str, **more: Any) -> Any:
        return efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet_id, **more)

    first, second = subnets(ec2)[:2]
    create(first["SubnetId"])
    assert refusal(create, subnet_id=first["SubnetId"]) == (
        "MountTargetConflict",
        "mount target already exists in this AZ",
    )
    vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.3.0.0/20", AvailabilityZone="us-east-1b")["Subnet"]["SubnetId"]
    assert refusal(create, subnet_id=other)[0] == "MountTargetConflict"
    ec2.delete_subnet(SubnetId=other)
    ec2.delete_vpc(VpcId=vpc)
    assert refusal(create, subnet_id="subnet-00000000")[0] == "SubnetNotFound"
    place = {"subnet_id": second["SubnetId"]}
    assert refusal(create, **place, SecurityGroups=["sg-00000000"])[0] == "SecurityGroupNotFound"
    assert refusal(create, **place, IpAddress="172.31.0.9")[0] == "BadRequest"
    assert refusal(create, **place, IpAddressType="DUAL_STACK")[0] == "NotImplemented"
    taken = create(**place)["IpAddress"]
    assert len(efs.describe_mount_targets(FileSystemId=file_system)["MountTargets"]) == 2
    third = efs.create_file_system(CreationToken="third")["FileSystemId"]
    wait_until(efs, third)
    clash = {"FileSystemId": third, "SubnetId": second["SubnetId"], "IpAddress": taken}
    assert refusal(efs.create_mount_target, **clash)[0] == "IpAddressInUse"
    efs.delete_file_system(FileSystemId=third)


def test_the_groups_of_a_mount_target(efs: Any, ec2: Any, file_system: str) -> None:
    subnet = subnets(ec2)[0]
    group = ec2.create_security_group(GroupName="nfs", Description="nfs", VpcId=subnet["VpcId"])["GroupId"]
    target = efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet["SubnetId"])["MountTargetId"]
    before = efs.describe_mount_target_security_groups(MountTargetId=target)["SecurityGroups"]
    assert len(before) == 1 and before != [group]
    efs.modify_mount_target_security_groups(MountTargetId=target, SecurityGroups=[group])
    assert efs.describe_mount_target_security_groups(MountTargetId=target)["SecurityGroups"] == [group]
    wrong = {"MountTargetId": target, "SecurityGroups": ["sg-00000000"]}
    assert refusal(efs.modify_mount_target_security_groups, **wrong)[0] == "SecurityGroupNotFound"
    assert refusal(ec2.delete_security_group, GroupId=group)[0] == "DependencyViolation"
    efs.delete_mount_target(MountTargetId=target)
    ec2.delete_security_group(GroupId=group)


def test_access_points(efs: Any, file_system: str) -> None:
    user = {"Uid": 1000, "Gid": 1000, "SecondaryGids": [2000]}
    root = {"Path": "/data", "CreationInfo": {"OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755"}}
    request = {"FileSystemId": file_system, "PosixUser": user, "RootDirectory": root}
    made = efs.create_access_point(ClientToken="a", **request, Tags=[{"Key": "Name", "Value": "web"}])
    made.pop("ResponseMetadata")
    point = made["AccessPointId"]
    assert made == {
        "ClientToken": "a",
        "Name": "web",
        "Tags": [{"Key": "Name", "Value": "web"}],
        "AccessPointId": point,
        "AccessPointArn": f"arn:aws:elasticfilesystem:us-east-1:{ACCOUNT}:access-point/{point}",
        "FileSystemId": file_system,
        "PosixUser": user,
        "RootDirectory": root,
        "OwnerId": ACCOUNT,
        "LifeCycleState": "creating",
    }
    plain = efs.create_access_point(ClientToken="b", FileSystemId=file_system)
    assert plain["RootDirectory"] == {"Path": "/"} and "PosixUser" not in plain
    code, response = status(efs.create_access_point, ClientToken="a", **request)
    assert (code, response["AccessPointId"]) == (409, point)
    for given in ({"FileSystemId": file_system}, {}):
        found = efs.describe_access_points(**given)["AccessPoints"]
        assert {each["AccessPointId"] for each in found} == {point, plain["AccessPointId"]}
    assert efs.describe_access_points(AccessPointId=made["AccessPointArn"])["AccessPoints"] == [
        {**made, "LifeCycleState": "available"}
    ]
    both = {"AccessPointId": point, "FileSystemId": file_system}
    assert refusal(efs.describe_access_points, **both)[0] == "BadRequest"
    pages = list(efs.get_paginator("describe_access_points").paginate(PaginationConfig={"PageSize": 1}))
    assert [len(page["AccessPoints"]) for page in pages] == [1, 1]
    efs.delete_access_point(AccessPointId=point)
    assert status(efs.delete_access_point, AccessPointId=point)[0] == 404


def test_mount_targets_are_found_by_access_point(efs: Any, ec2: Any, file_system: str) -> None:
    point = efs.create_access_point(ClientToken="c", FileSystemId=file_system)["AccessPointId"]
    efs.create_mount_target(FileSystemId=file_system, SubnetId=subnets(ec2)[2]["SubnetId"])
    assert len(efs.describe_mount_targets(AccessPointId=point)["MountTargets"]) == 1
    assert refusal(efs.describe_mount_targets)[0] == "BadRequest"


def test_tags(efs: Any, file_system: str) -> None:
    efs.tag_resource(ResourceId=file_system, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    efs.create_tags(FileSystemId=file_system, Tags=[{"Key": "b", "Value": "3"}])
    first = efs.list_tags_for_resource(ResourceId=file_system, MaxResults=1)
    assert first["Tags"] == [{"Key": "a", "Value": "1"}]
    rest = efs.list_tags_for_resource(ResourceId=file_system, NextToken=first["NextToken"])
    assert rest["Tags"] == [{"Key": "b", "Value": "3"}] and "NextToken" not in rest
    efs.untag_resource(ResourceId=file_system, TagKeys=["a"])
    assert efs.describe_tags(FileSystemId=file_system)["Tags"] == [{"Key": "b", "Value": "3"}]
    efs.delete_tags(FileSystemId=file_system, TagKeys=["b"])
    assert efs.list_tags_for_resource(ResourceId=file_system)["Tags"] == []
    point = efs.create_access_point(ClientToken="d", FileSystemId=file_system)["AccessPointId"]
    efs.tag_resource(ResourceId=point, Tags=[{"Key": "Name", "Value": "x"}])
    assert efs.describe_access_points(AccessPointId=point)["AccessPoints"][0]["Name"] == "x"
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    assert refusal(efs.tag_resource, ResourceId=file_system, Tags=many)[0] == "BadRequest"


def test_pages_of_file_systems(efs: Any, file_system: str) -> None:
    second = efs.create_file_system(CreationToken="second page")["FileSystemId"]
    first = efs.describe_file_systems(MaxItems=1)
    assert len(first["FileSystems"]) == 1 and "Marker" not in first
    rest = efs.describe_file_systems(MaxItems=1, Marker=first["NextMarker"])
    assert rest["Marker"] == first["NextMarker"]
    assert first["FileSystems"] != rest["FileSystems"]
    everything = [
        each for page in efs.get_paginator("describe_file_systems").paginate() for each in page["FileSystems"]
    ]
    assert {file_system, second} <= {each["FileSystemId"] for each in everything}
    assert refusal(efs.describe_file_systems, Marker="nonsense")[0] == "BadRequest"
    efs.delete_file_system(FileSystemId=second)


def test_what_provisioners_read_of_every_file_system(efs: Any, file_system: str) -> None:
    place = {"FileSystemId": file_system}
    assert efs.describe_lifecycle_configuration(**place)["LifecyclePolicies"] == []
    assert efs.put_lifecycle_configuration(**place, LifecyclePolicies=[])["LifecyclePolicies"] == []
    policies = [{"TransitionToIA": "AFTER_30_DAYS"}]
    code, message = refusal(efs.put_lifecycle_configuration, **place, LifecyclePolicies=policies)
    assert code == "NotImplemented" and "LifecyclePolicies" in message
    assert efs.describe_backup_policy(**place)["BackupPolicy"] == {"Status": "DISABLED"}
    efs.put_backup_policy(**place, BackupPolicy={"Status": "DISABLED"})
    assert refusal(efs.put_backup_policy, **place, BackupPolicy={"Status": "ENABLED"})[0] == "NotImplemented"
    assert refusal(efs.describe_file_system_policy, **place)[0] == "PolicyNotFound"
    efs.delete_file_system_policy(**place)
    assert refusal(efs.put_file_system_policy, **place, Policy="{}")[0] == "NotImplemented"
    assert refusal(efs.describe_replication_configurations, **place)[0] == "ReplicationNotFound"
    assert efs.describe_replication_configurations()["Replications"] == []
    efs.update_file_system_protection(**place, ReplicationOverwriteProtection="ENABLED")
    protection = {**place, "ReplicationOverwriteProtection": "DISABLED"}
    assert refusal(efs.update_file_system_protection, **protection)[0] == "NotImplemented"
    assert efs.describe_account_preferences()["ResourceIdPreference"]["ResourceIdType"] == "LONG_ID"
    assert refusal(efs.put_account_preferences, ResourceIdType="SHORT_ID")[0] == "BadRequest"
