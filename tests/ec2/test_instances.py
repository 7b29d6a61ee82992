"""Instances by the API: what a launch may be, how they change, what is told of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.handlers import base64_encode_user_data

from tests.ec2.machine import Machine
from tests.ec2.volumes import ZONE, Volumes, by, eventually
from tests.served import Served, refusal

NOWHERE = "i-0123456789abcdef0"


@pytest.fixture(scope="module")
def ec2(simulated: Served) -> Any:
    return simulated.client("ec2")


@pytest.fixture
def instance(volumes: Volumes) -> str:
    """A running instance of the test's own."""
    return volumes.instance()


def run(ec2: Any, volumes: Volumes, **more: Any) -> dict[str, Any]:
    """RunInstances of one t3.micro, with more parameters or without those that are ``None``."""
    request = {"ImageId": volumes.image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1} | more
    answer: dict[str, Any] = ec2.run_instances(**{name: value for name, value in request.items() if value is not None})
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [each["InstanceId"] for reservation in answer["Reservations"] for each in reservation["Instances"]]


INTERFACE = {"DeviceIndex": 0}


@pytest.mark.parametrize(
    ("code", "words", "request_"),
    [
        ("MissingParameter", "ImageId", {"ImageId": None}),
        ("InvalidAMIID.Malformed", "Invalid id", {"ImageId": "ami"}),
        ("InvalidAMIID.NotFound", "does not exist", {"ImageId": "ami-0123456789abcdef0"}),
        ("InvalidParameterValue", "Invalid value 'z9.huge' for InstanceType", {"InstanceType": "z9.huge"}),
        ("InvalidParameterValue", "does not match the architecture", {"InstanceType": "t4g.micro"}),
        ("InvalidParameterValue", "minCount", {"MinCount": 0}),
        ("InvalidParameterValue", "minCount", {"MinCount": 2}),
        ("InvalidParameterValue", "maxCount", {"MinCount": 1, "MaxCount": 1001}),
        ("InvalidKeyPair.NotFound", "The key pair 'no' does not exist", {"KeyName": "no"}),
        ("InvalidParameterValue", "User data is limited to 16384 bytes", {"UserData": "x" * 16_385}),
        ("InvalidSubnetID.NotFound", "does not exist", {"SubnetId": "subnet-0123456789abcdef0"}),
        ("InvalidGroup.NotFound", "does not exist", {"SecurityGroups": ["nobody"]}),
        ("InvalidParameterValue", "availability zone", {"Placement": {"AvailabilityZone": "us-east-1z"}}),
        (
            "InvalidParameterCombination",
            "not both",
            {"Placement": {"AvailabilityZone": ZONE, "AvailabilityZoneId": "use1-az1"}},
        ),
        ("InvalidParameterCombination", "both CoreCount and ThreadsPerCore", {"CpuOptions": {"CoreCount": 1}}),
        (
            "InvalidParameterValue",
            "CoreCount 7 is not valid",
            {"CpuOptions": {"CoreCount": 7, "ThreadsPerCore": 2}},
        ),
        ("InvalidParameterValue", "CpuCredits", {"CreditSpecification": {"CpuCredits": "lots"}}),
        (
            "InvalidParameterCombination",
            "CreditSpecification",
            {"InstanceType": "m5.large", "CreditSpecification": {"CpuCredits": "standard"}},
        ),
        ("InvalidParameterValue", "HttpPutResponseHopLimit", {"MetadataOptions": {"HttpPutResponseHopLimit": 65}}),
        ("InvalidParameterValue", "ClientToken", {"ClientToken": "x" * 65}),
        ("InvalidParameterValue", "moon", {"TagSpecifications": [{"ResourceType": "moon", "Tags": []}]}),
        (
            "InvalidParameterValue",
            "reserved",
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "1"}]}]},
        ),
        (
            "InvalidParameterCombination",
            "instance-level subnet ID",
            {"NetworkInterfaces": [INTERFACE], "SubnetId": "subnet-0123456789abcdef0"},
        ),
        ("InvalidParameterValue", "device index", {"NetworkInterfaces": [{"Description": "which?"}]}),
        ("InvalidParameterCombination", "device index 0", {"NetworkInterfaces": [{"DeviceIndex": 1}]}),
        ("InvalidParameterCombination", "unique device index", {"NetworkInterfaces": [INTERFACE, INTERFACE]}),
        (
            "AttachmentLimitExceeded",
            "exceeds the limit for t3.micro",
            {"NetworkInterfaces": [{"DeviceIndex": index} for index in range(3)]},
        ),
        (
            "InvalidNetworkInterfaceID.NotFound",
            "does not exist",
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0123456789abcdef0"}]},
        ),
        (
            "InvalidBlockDeviceMapping",
            "smaller than snapshot",
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]},
        ),
        (
            "InvalidBlockDeviceMapping",
            "root device cannot be suppressed",
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "NoDevice": ""}]},
        ),
        ("MissingParameter", "deviceName", {"BlockDeviceMappings": [{"Ebs": {"VolumeSize": 9}}]}),
        (
            "MissingParameter",
            "size or snapshotId",
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {}}]},
        ),
        ("VcpuLimitExceeded", "current vCPU limit of 1152", {"MinCount": 1000, "MaxCount": 1000}),
    ],
)
def test_launches_that_are_refused(ec2: Any, volumes: Volumes, code: str, words: str, request_: dict[str, Any]) -> None:
    before = ids(ec2.describe_instances())
    told, message = refusal(lambda **_: run(ec2, volumes, **request_))
    assert told == code and words in message, message
    assert ids(ec2.describe_instances()) == before


@pytest.mark.parametrize(
    "request_",
    [
        {"Placement": {"Tenancy": "dedicated"}},
        {"Monitoring": {"Enabled": True}},
        {"InstanceMarketOptions": {"MarketType": "spot"}},
        {"HibernationOptions": {"Configured": True}},
        {"EnclaveOptions": {"Enabled": True}},
        {"Placement": {"GroupName": "together"}},
        {"Ipv6AddressCount": 1},
        {"KernelId": "aki-1"},
    ],
)
def test_what_is_not_acted_on_is_refused_by_name(ec2: Any, volumes: Volumes, request_: dict[str, Any]) -> None:
    _, message = refusal(lambda **_: run(ec2, volumes, **request_))
    (name,) = request_
    assert name in message


def test_a_dry_run_launches_and_changes_nothing(ec2: Any, volumes: Volumes, instance: str) -> None:
    before = ids(ec2.describe_instances())
    told = [refusal(lambda **_: run(ec2, volumes, DryRun=True))]
    for verb in ("start_instances", "stop_instances", "reboot_instances", "terminate_instances"):
        told.append(refusal(getattr(ec2, verb), InstanceIds=[instance], DryRun=True))
    told.append(refusal(ec2.get_console_output, InstanceId=instance, DryRun=True))
    told.append(refusal(ec2.create_key_pair, KeyName="dry", DryRun=True))
    assert {code for code, _ in told} == {"DryRunOperation"}
    assert ids(ec2.describe_instances()) == before
    assert volumes.describe_instance(instance)["State"]["Name"] == "running"
    assert ec2.describe_key_pairs(Filters=[by("key-name", "dry")])["KeyPairs"] == []


def test_a_client_token_launches_once(ec2: Any, volumes: Volumes) -> None:
    token = {"ClientToken": "once-and-only"}
    first = run(ec2, volumes, MaxCount=2, **token)
    again = run(ec2, volumes, MaxCount=2, **token)
    assert [each["InstanceId"] for each in first["Instances"]] == [each["InstanceId"] for each in again["Instances"]]
    assert first["ReservationId"] == again["ReservationId"]
    code, _ = refusal(lambda **_: run(ec2, volumes, MaxCount=1, **token))
    assert code == "IdempotentParameterMismatch"
    assert len(ids(ec2.describe_instances(Filters=[by("client-token", "once-and-only")]))) == 2


def test_what_a_launch_answers_and_what_it_becomes(ec2: Any, volumes: Volumes, machine: Machine) -> None:
    tags = [{"Key": "team", "Value": "yard"}]
    user_data = "#!/bin/sh\necho hi\n"
    specifications = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume", "network-interface")]
    answer = run(ec2, volumes, MinCount=2, MaxCount=2, UserData=user_data, TagSpecifications=specifications)
    first, second = answer["Instances"]
    assert [each["AmiLaunchIndex"] for each in answer["Instances"]] == [0, 1]
    assert first["State"] == {"Code": 0, "Name": "pending"} and first["StateReason"]["Code"] == "pending"
    assert first["MetadataOptions"]["State"] == "pending"
    for each in (first, second):
        volumes.until_instance(each["InstanceId"], "running")
    described = volumes.describe_instance(first["InstanceId"])
    assert described["Tags"] == tags and described["State"] == {"Code": 16, "Name": "running"}
    (device,) = described["BlockDeviceMappings"]
    assert device["Ebs"]["Status"] == "attached" and device["Ebs"]["DeleteOnTermination"]
    assert volumes.get(device["Ebs"]["VolumeId"])["Tags"] == tags
    (interface,) = described["NetworkInterfaces"]
    assert interface["PrivateIpAddress"] == described["PrivateIpAddress"]
    assert interface["Attachment"]["DeviceIndex"] == 0
    asked = machine.running[first["InstanceId"]]
    assert (asked.vcpus, asked.memory) == (2, 1024)
    read = ec2.describe_instance_attribute(InstanceId=first["InstanceId"], Attribute="userData")
    assert base64.b64decode(read["UserData"]["Value"]).decode() == user_data


def test_user_data_that_is_no_base64(simulated: Served, volumes: Volumes) -> None:
    client = simulated.client("ec2")
    client.meta.events.unregister("before-parameter-build.ec2.RunInstances", base64_encode_user_data)
    assert refusal(lambda **_: run(client, volumes, UserData="not base64!")) == (
        "InvalidUserData.Malformed",
        "Invalid BASE64 encoding of user data",
    )


def test_interfaces_without_a_subnet_share_one(ec2: Any, volumes: Volumes) -> None:
    for _ in range(4):
        answer = run(ec2, volumes, NetworkInterfaces=[{"DeviceIndex": 0}, {"DeviceIndex": 1}])
        interfaces = answer["Instances"][0]["NetworkInterfaces"]
        assert len(interfaces) == 2 and len({each["SubnetId"] for each in interfaces}) == 1


def test_as_many_addresses_as_the_type_has(ec2: Any, volumes: Volumes) -> None:
    def launch(count: int) -> Any:
        card = {"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": count}
        return run(ec2, volumes, InstanceType="t3.nano", NetworkInterfaces=[card])

    assert refusal(lambda: launch(2)) == (
        "PrivateIpAddressLimitExceeded",
        "Number of private addresses will exceed limit.",
    )
    card = launch(1)["Instances"][0]["NetworkInterfaces"][0]
    assert [each["Primary"] for each in card["PrivateIpAddresses"]] == [True, False]
    more = {"NetworkInterfaceId": card["NetworkInterfaceId"], "SecondaryPrivateIpAddressCount": 1}
    assert refusal(ec2.assign_private_ip_addresses, **more)[0] == "PrivateIpAddressLimitExceeded"


def test_the_life_of_an_instance(ec2: Any, volumes: Volumes, machine: Machine, instance: str) -> None:
    boots = machine.running[instance].boot
    assert ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]["CurrentState"]["Name"] == "running"
    ec2.reboot_instances(InstanceIds=[instance])
    eventually(lambda: machine.running[instance].boot == boots + 1)
    (change,) = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]) == ("running", {"Code": 64, "Name": "stopping"})
    volumes.until_instance(instance, "stopped")
    stopped = volumes.describe_instance(instance)
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    assert "PublicIpAddress" not in stopped and stopped["PrivateIpAddress"]
    assert ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopped"
    assert refusal(ec2.reboot_instances, InstanceIds=[instance])[0] == "IncorrectInstanceState"
    (change,) = ec2.start_instances(InstanceIds=[instance])["StartingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    volumes.until_instance(instance, "running")
    assert volumes.describe_instance(instance)["PrivateIpAddress"] == stopped["PrivateIpAddress"]
    (change,) = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"]
    assert change["CurrentState"] == {"Code": 32, "Name": "shutting-down"}
    volumes.until_instance(instance, "terminated")
    eventually(lambda: instance not in machine.running)
    gone = volumes.describe_instance(instance)
    assert gone["StateReason"]["Message"] == "Client.UserInitiatedShutdown: User initiated shutdown"
    assert gone["NetworkInterfaces"] == [] and gone["BlockDeviceMappings"] == []
    for verb in ("start_instances", "stop_instances"):
        assert refusal(getattr(ec2, verb), InstanceIds=[instance])[0] == "IncorrectInstanceState"
    ec2.reboot_instances(InstanceIds=[instance])  # passed over
    assert ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]["CurrentState"]["Code"] == 48


def test_one_that_cannot_be_changed_keeps_all_as_they_are(ec2: Any, volumes: Volumes, instance: str) -> None:
    protected = volumes.instance()
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": True})
    code, message = refusal(ec2.terminate_instances, InstanceIds=[instance, protected])
    assert code == "OperationNotPermitted" and "disableApiTermination" in message and protected in message
    assert refusal(ec2.stop_instances, InstanceIds=[instance, NOWHERE])[0] == "InvalidInstanceID.NotFound"
    assert volumes.describe_instance(instance)["State"]["Name"] == "running"
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiStop={"Value": True})
    assert "disableApiStop" in refusal(ec2.stop_instances, InstanceIds=[protected])[1]
    ec2.modify_instance_attribute(InstanceId=protected, Attribute="disableApiTermination", Value="false")
    ec2.terminate_instances(InstanceIds=[protected])
    volumes.until_instance(protected, "terminated")


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (["i-1"], "InvalidInstanceID.Malformed", 'Invalid id: "i-1"'),
        (["vol-1"], "InvalidInstanceID.Malformed", 'Invalid id: "vol-1" (expecting "i-...")'),
        ([NOWHERE], "InvalidInstanceID.NotFound", f"The instance ID '{NOWHERE}' does not exist"),
        (
            [NOWHERE, "i-0123456789abcdef1"],
            "InvalidInstanceID.NotFound",
            f"The instance IDs '{NOWHERE}, i-0123456789abcdef1' do not exist",
        ),
    ],
)
def test_instances_that_are_not_there(ec2: Any, names: list[str], code: str, message: str) -> None:
    for verb in ("describe_instances", "start_instances", "terminate_instances", "describe_instance_status"):
        assert refusal(getattr(ec2, verb), InstanceIds=names) == (code, message)


def test_filters(ec2: Any, volumes: Volumes) -> None:
    tags = {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "kind", "Value": "filtered"}]}]}
    made = run(ec2, volumes, MinCount=2, MaxCount=2, **tags)
    one, other = [each["InstanceId"] for each in made["Instances"]]
    for each in (one, other):
        volumes.until_instance(each, "running")
    ec2.stop_instances(InstanceIds=[other])
    volumes.until_instance(other, "stopped")
    described = volumes.describe_instance(one)
    mine = by("tag:kind", "filtered")

    def found(*filters: dict[str, Any]) -> set[str]:
        return set(ids(ec2.describe_instances(Filters=[mine, *filters])))

    assert found() == {one, other}
    assert found(by("instance-state-name", "running")) == {one}
    assert found(by("instance-state-code", "16", "80")) == {one, other}
    assert found(by("instance-type", "t3.*")) == {one, other}
    assert found(by("instance-type", "m5.*")) == set()
    assert found(by("private-ip-address", described["PrivateIpAddress"])) == {one}
    interface = described["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert found(by("network-interface.network-interface-id", interface)) == {one}
    assert found(by("block-device-mapping.volume-id", described["BlockDeviceMappings"][0]["Ebs"]["VolumeId"])) == {one}
    assert found(by("reservation-id", made["ReservationId"]), by("launch-index", "1")) == {other}
    assert found(by("state-reason-code", "Client.UserInitiatedShutdown")) == {other}
    assert found(by("tag-key", "kind"), by("vpc-id", described["VpcId"])) == {one, other}
    assert refusal(ec2.describe_instances, Filters=[by("colour", "red")]) == (
        "InvalidParameterValue",
        "The filter 'colour' is invalid",
    )


def test_pages(ec2: Any, volumes: Volumes) -> None:
    tags = {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "kind", "Value": "paged"}]}]}
    made = [each["InstanceId"] for each in run(ec2, volumes, MinCount=12, MaxCount=12, **tags)["Instances"]]
    mine = [by("tag:kind", "paged")]
    pages = list(ec2.get_paginator("describe_instances").paginate(Filters=mine, PaginationConfig={"PageSize": 5}))
    assert [len(ids(page)) for page in pages] == [5, 5, 2]
    assert sorted(name for page in pages for name in ids(page)) == sorted(made)
    assert refusal(ec2.describe_instances, MaxResults=4)[0] == "InvalidParameterValue"
    assert refusal(ec2.describe_instances, MaxResults=5, InstanceIds=made[:1])[0] == "InvalidParameterCombination"
    assert refusal(ec2.describe_instances, NextToken="nonsense")[0] == "InvalidNextToken"
    ec2.terminate_instances(InstanceIds=made)


def test_status_checks(ec2: Any, volumes: Volumes, machine: Machine, instance: str) -> None:
    def status(**more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ec2.describe_instance_status(InstanceIds=[instance], **more)["InstanceStatuses"]
        return found

    (found,) = eventually(lambda: [each for each in status() if each["InstanceStatus"]["Status"] == "ok"])
    assert found["SystemStatus"]["Details"] == [{"Name": "reachability", "Status": "passed"}]
    assert found["AttachedEbsStatus"]["Status"] == "ok"
    ec2.stop_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "stopped")
    assert status() == []
    (found,) = status(IncludeAllInstances=True)
    assert found["InstanceState"]["Name"] == "stopped" and found["InstanceStatus"] == {"Status": "not-applicable"}
    running = ec2.describe_instance_status(Filters=[by("instance-status.status", "ok")])["InstanceStatuses"]
    assert instance not in {each["InstanceId"] for each in running}


def test_the_console_is_that_of_the_host_and_outlives_it(
    ec2: Any, volumes: Volumes, machine: Machine, instance: str
) -> None:
    machine.consoles[instance] = b"login:\n\xff"
    answer = ec2.get_console_output(InstanceId=instance)
    assert answer["InstanceId"] == instance and answer["Output"].startswith("login:")
    ec2.terminate_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "terminated")
    machine.consoles.clear()
    assert ec2.get_console_output(InstanceId=instance)["Output"].startswith("login:")
    assert refusal(ec2.get_console_output, InstanceId=NOWHERE)[0] == "InvalidInstanceID.NotFound"


def test_attributes_that_need_a_stopped_instance(ec2: Any, volumes: Volumes, machine: Machine, instance: str) -> None:
    for changed in ({"InstanceType": {"Value": "t3.small"}}, {"UserData": {"Value": b"#!/bin/sh\n"}}):
        code, message = refusal(ec2.modify_instance_attribute, InstanceId=instance, **changed)
        assert code == "IncorrectInstanceState" and "'stopped'" in message
    ec2.stop_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "stopped")
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.small"})
    ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"#!/bin/sh\n"})
    assert refusal(ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "x9.x"})[0] == (
        "InvalidInstanceAttributeValue"
    )
    ec2.start_instances(InstanceIds=[instance])
    volumes.until_instance(instance, "running")
    assert machine.running[instance].memory == 2048
    assert volumes.describe_instance(instance)["InstanceType"] == "t3.small"


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("InvalidParameterCombination", {}),
        ("InvalidParameterCombination", {"DisableApiStop": {"Value": True}, "EbsOptimized": {"Value": True}}),
        ("MissingParameter", {"Attribute": "disableApiStop"}),
        ("InvalidParameterValue", {"Attribute": "disableApiStop", "Value": "perhaps"}),
        ("InvalidParameterValue", {"InstanceInitiatedShutdownBehavior": {"Value": "explode"}}),
        ("InvalidGroup.NotFound", {"Groups": ["sg-0123456789abcdef0"]}),
        (
            "InvalidInstanceAttributeValue",
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}}]},
        ),
    ],
)
def test_changes_of_attributes_that_are_refused(ec2: Any, lasting: str, code: str, request_: dict[str, Any]) -> None:
    assert refusal(ec2.modify_instance_attribute, InstanceId=lasting, **request_)[0] == code


@pytest.fixture(scope="module")
def lasting(volumes: Volumes) -> Iterator[str]:
    """A running instance that tests read and try to change."""
    yield volumes.instance()


def test_groups_and_shutdown_behaviour_change_while_it_runs(ec2: Any, volumes: Volumes, lasting: str) -> None:
    vpc = volumes.describe_instance(lasting)["VpcId"]
    group = ec2.create_security_group(GroupName="theirs", Description="d", VpcId=vpc)["GroupId"]
    ec2.modify_instance_attribute(InstanceId=lasting, Groups=[group])
    assert [each["GroupId"] for each in volumes.describe_instance(lasting)["SecurityGroups"]] == [group]
    ec2.modify_instance_attribute(InstanceId=lasting, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    read = ec2.describe_instance_attribute(InstanceId=lasting, Attribute="instanceInitiatedShutdownBehavior")
    assert read["InstanceInitiatedShutdownBehavior"] == {"Value": "terminate"}


def test_metadata_options(ec2: Any, volumes: Volumes) -> None:
    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 3, "InstanceMetadataTags": "enabled"}
    made = run(ec2, volumes, MetadataOptions=options)["Instances"][0]["InstanceId"]
    volumes.until_instance(made, "running")

    def now() -> dict[str, Any]:
        found: dict[str, Any] = volumes.describe_instance(made)["MetadataOptions"]
        return found

    assert now() == {"State": "applied", "HttpEndpoint": "enabled", "HttpProtocolIpv6": "disabled", **options}
    answer = ec2.modify_instance_metadata_options(InstanceId=made, HttpTokens="optional", HttpEndpoint="disabled")
    assert answer["InstanceMetadataOptions"]["State"] == "pending"
    assert (now()["HttpTokens"], now()["HttpEndpoint"], now()["HttpPutResponseHopLimit"]) == ("optional", "disabled", 3)
    refused = refusal(ec2.modify_instance_metadata_options, InstanceId=made, HttpPutResponseHopLimit=0)
    assert refused[0] == "InvalidParameterValue"
    assert (
        "HttpProtocolIpv6"
        in refusal(ec2.modify_instance_metadata_options, InstanceId=made, HttpProtocolIpv6="enabled")[1]
    )


def test_other_accounts_and_regions_see_none(simulated: Served, ec2: Any, lasting: str) -> None:
    elsewhere = simulated.client("ec2", region="eu-west-1")
    assert refusal(elsewhere.describe_instances, InstanceIds=[lasting])[0] == "InvalidInstanceID.NotFound"
    assert ids(elsewhere.describe_instances()) == []
