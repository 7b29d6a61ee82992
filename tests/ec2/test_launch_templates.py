"""Launch templates: what a version and a request make together, and the API, called by boto3."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.ec2.launch_templates import launch_parameters, merged, next_data
from tests.served import Served, refusal


def by(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": list(values)}


def test_a_requests_own_parameters_take_the_templates_place() -> None:
    template = {
        "ImageId": "ami-1",
        "InstanceType": "t3.micro",
        "RamDiskId": "ari-1",
        "SecurityGroupIds": ["sg-1", "sg-2"],
        "Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "default"},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}},
        ],
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-1", "Groups": ["sg-1"]}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}]}
        ],
    }
    request = {
        "LaunchTemplate": {"LaunchTemplateId": "lt-1"},
        "MinCount": 1,
        "MaxCount": 2,
        "InstanceType": "m5.large",
        "SecurityGroupIds": ["sg-3"],
        "Placement": {"AvailabilityZone": "us-east-1b"},
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sdf", "NoDevice": ""},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 5}},
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40}},
        ],
        "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "b", "Value": "2"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "c", "Value": "3"}]},
        ],
    }
    assert launch_parameters(template, request) == {
        "ImageId": "ami-1",
        "InstanceType": "m5.large",
        "RamdiskId": "ari-1",
        "MinCount": 1,
        "MaxCount": 2,
        "SecurityGroupIds": ["sg-3"],
        "Placement": {"AvailabilityZone": "us-east-1b", "Tenancy": "default"},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}, "NoDevice": ""},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 5}},
        ],
        "NetworkInterfaces": [
            {"DeviceIndex": 0, "SubnetId": "subnet-1", "Groups": ["sg-1"], "AssociatePublicIpAddress": True}
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "c", "Value": "3"}]},
        ],
    }


def test_a_version_that_is_based_on_another_does_not_inherit_snapshots() -> None:
    source = {"ImageId": "ami-1", "BlockDeviceMappings": [{"DeviceName": "a", "Ebs": {"SnapshotId": "s", "Iops": 1}}]}
    assert next_data(source, {"ImageId": "ami-2"}) == {
        "ImageId": "ami-2",
        "BlockDeviceMappings": [{"DeviceName": "a", "Ebs": {"Iops": 1}}],
    }


_SCALARS = st.integers(0, 3) | st.sampled_from(["a", "b", ""]) | st.booleans()
_TAGS = st.lists(
    st.fixed_dictionaries({"Key": st.sampled_from("ab")}, optional={"Value": _SCALARS}),
    max_size=2,
    unique_by=lambda tag: tag["Key"],
)
_DEVICES = st.lists(
    st.fixed_dictionaries(
        {"DeviceName": st.sampled_from(["/dev/a", "/dev/b"])},
        optional={"Ebs": st.dictionaries(st.sampled_from(["VolumeSize", "Iops"]), _SCALARS)},
    ),
    max_size=3,
    unique_by=lambda device: str(device["DeviceName"]),
)
_DATA = st.fixed_dictionaries(
    {},
    optional={
        "ImageId": _SCALARS,
        "EbsOptimized": st.booleans(),
        "SecurityGroupIds": st.lists(_SCALARS, max_size=2),
        "MetadataOptions": st.dictionaries(st.sampled_from(["HttpTokens", "HttpEndpoint"]), _SCALARS),
        "BlockDeviceMappings": _DEVICES,
        "TagSpecifications": st.lists(
            st.fixed_dictionaries({"ResourceType": st.sampled_from(["instance", "volume"]), "Tags": _TAGS}),
            max_size=2,
            unique_by=lambda one: one["ResourceType"],
        ),
    },
)


def flat(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Every single value by where it is, list items by what tells them apart."""
    if isinstance(value, dict):
        return {key: leaf for name, below in value.items() for key, leaf in flat(below, (*path, name)).items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        found: dict[tuple[Any, ...], Any] = {}
        for item in value:
            name = item.get("DeviceName") or item.get("ResourceType") or item.get("Key")
            found |= flat(item, (*path, name))
        return found
    return {path: value}


@given(_DATA, _DATA)
def test_merging_takes_each_value_from_the_request_where_it_has_one(template: Any, request: Any) -> None:
    before = (repr(template), repr(request))
    result = flat(merged(template, request))
    wanted = {**flat(template), **flat(request)}
    # An empty list in one place of the other's items is no value of its own.
    assert {path: value for path, value in result.items() if value != []} == {
        path: value
        for path, value in wanted.items()
        if value != [] and not (path[0] == "SecurityGroupIds" and request.get("SecurityGroupIds") == [])
    }
    assert (repr(template), repr(request)) == before


@given(_DATA)
def test_nothing_is_added_or_lost(data: Any) -> None:
    assert merged(data, {}) == data == launch_parameters(data, {})
    assert merged({}, data) == data
    once = merged(data, data)
    assert flat(once) == flat(data)


@pytest.fixture
def template(ec2: Any, request: pytest.FixtureRequest) -> Any:
    made = ec2.create_launch_template(
        LaunchTemplateName=request.node.name,
        VersionDescription="first",
        LaunchTemplateData={"InstanceType": "t3.micro", "EbsOptimized": True},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}],
    )["LaunchTemplate"]
    yield made
    ec2.delete_launch_template(LaunchTemplateId=made["LaunchTemplateId"])


def test_versions_as_terraform_makes_them(ec2: Any, template: Any) -> None:
    which = template["LaunchTemplateId"]
    assert template["Tags"] == [{"Key": "a", "Value": "b"}]
    assert (template["DefaultVersionNumber"], template["LatestVersionNumber"]) == (1, 1)
    assert template["CreatedBy"] == "arn:aws:iam::000000000000:root"
    data = {
        "InstanceType": "t3.small",
        "UserData": base64.b64encode(b"#!/bin/sh").decode(),
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "DeleteOnTermination": True}}],
        "MetadataOptions": {"HttpTokens": "required"},
    }
    second = ec2.create_launch_template_version(LaunchTemplateId=which, LaunchTemplateData=data)
    version = second["LaunchTemplateVersion"]
    assert version["VersionNumber"] == 2 and not version["DefaultVersion"] and version["LaunchTemplateData"] == data
    third = ec2.create_launch_template_version(
        LaunchTemplateName=template["LaunchTemplateName"],
        SourceVersion="$Latest",
        VersionDescription="third",
        LaunchTemplateData={"InstanceType": "t3.large"},
        ClientToken="once",
    )["LaunchTemplateVersion"]
    assert third["LaunchTemplateData"] == {**data, "InstanceType": "t3.large"}
    again = ec2.create_launch_template_version(
        LaunchTemplateId=which, LaunchTemplateData={"InstanceType": "t3.large"}, ClientToken="once"
    )["LaunchTemplateVersion"]
    assert again["VersionNumber"] == 3

    def versions(**request: Any) -> list[int]:
        found = ec2.describe_launch_template_versions(LaunchTemplateId=which, **request)["LaunchTemplateVersions"]
        return [each["VersionNumber"] for each in found]

    assert versions() == [3, 2, 1] and versions(Versions=["$Latest", "1", "$Default"]) == [3, 1]
    assert versions(MinVersion="2") == [3, 2] and versions(MaxVersion="2") == [2, 1]
    assert versions(Filters=[by("instance-type", "t3.l*")]) == [3]
    assert versions(Filters=[by("is-default-version", "true")]) == [1]
    assert versions(Filters=[by("http-tokens", "required"), by("ebs-optimized", "true")]) == []
    modified = ec2.modify_launch_template(LaunchTemplateId=which, DefaultVersion="2")["LaunchTemplate"]
    assert (modified["DefaultVersionNumber"], modified["LatestVersionNumber"]) == (2, 3)
    gone = ec2.delete_launch_template_versions(LaunchTemplateId=which, Versions=["2", "3", "9"])
    assert [each["VersionNumber"] for each in gone["SuccessfullyDeletedLaunchTemplateVersions"]] == [3]
    assert [
        (each["VersionNumber"], each["ResponseError"]["Code"])
        for each in gone["UnsuccessfullyDeletedLaunchTemplateVersions"]
    ] == [(2, "unexpectedError"), (9, "launchTemplateVersionDoesNotExist")]
    fourth = ec2.create_launch_template_version(LaunchTemplateId=which, LaunchTemplateData=data)
    assert fourth["LaunchTemplateVersion"]["VersionNumber"] == 4  # numbers are not given again


def test_templates_are_found_by_name_id_filter_and_tag(ec2: Any, template: Any) -> None:
    name, which = template["LaunchTemplateName"], template["LaunchTemplateId"]
    for request in (
        {"LaunchTemplateIds": [which]},
        {"LaunchTemplateNames": [name]},
        {"Filters": [by("launch-template-name", name[:9] + "*")]},
        {"Filters": [by("tag:a", "b")], "MaxResults": 1},
    ):
        found = ec2.describe_launch_templates(**request)["LaunchTemplates"]
        assert [each["LaunchTemplateId"] for each in found] == [which], request
    ec2.create_tags(Resources=[which], Tags=[{"Key": "c", "Value": "d"}])
    listed = ec2.describe_tags(Filters=[by("resource-type", "launch-template"), by("key", "c")])["Tags"]
    assert [each["ResourceId"] for each in listed] == [which]
    other = ec2.create_launch_template(LaunchTemplateName="other", LaunchTemplateData={"EbsOptimized": False})
    latest = ec2.describe_launch_template_versions(Versions=["$Latest"], MaxResults=1)
    assert len(latest["LaunchTemplateVersions"]) == 1 and latest["NextToken"]
    rest = ec2.describe_launch_template_versions(Versions=["$Latest"], NextToken=latest["NextToken"])
    assert {
        each["LaunchTemplateName"] for each in latest["LaunchTemplateVersions"] + rest["LaunchTemplateVersions"]
    } == {
        name,
        "other",
    }
    ec2.delete_launch_template(LaunchTemplateName="other")
    assert refusal(ec2.delete_launch_template, LaunchTemplateId=other["LaunchTemplate"]["LaunchTemplateId"])[0] == (
        "InvalidLaunchTemplateId.NotFound"
    )


def test_what_a_template_may_not_be(ec2: Any, template: Any) -> None:
    name, which = template["LaunchTemplateName"], template["LaunchTemplateId"]
    data = {"InstanceType": "t3.micro"}
    assert refusal(ec2.create_launch_template, LaunchTemplateName=name, LaunchTemplateData=data) == (
        "InvalidLaunchTemplateName.AlreadyExistsException",
        "Launch template name already in use.",
    )
    for wrong, code in (
        ({"UserData": "&"}, "InvalidUserData.Malformed"),
        ({"UserData": base64.b64encode(b"x" * 16385).decode()}, "InvalidParameterValue"),
        ({"InstanceType": "t9.none"}, "InvalidParameterValue"),
        ({"InstanceRequirements": {"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 1}}}, "NotImplemented"),
        ({}, "MissingParameter"),
    ):
        assert refusal(ec2.create_launch_template, LaunchTemplateName="x-y", LaunchTemplateData=wrong)[0] == code
    assert refusal(ec2.create_launch_template, LaunchTemplateName="x y", LaunchTemplateData=data)[0] == (
        "InvalidLaunchTemplateName.MalformedException"
    )
    for request, code in (
        ({}, "MissingParameter"),
        ({"LaunchTemplateId": which, "LaunchTemplateName": name}, "InvalidParameterCombination"),
        ({"LaunchTemplateId": "lt-x"}, "InvalidLaunchTemplateId.Malformed"),
        ({"LaunchTemplateId": "lt-0123456789abcdef0"}, "InvalidLaunchTemplateId.NotFound"),
        ({"LaunchTemplateName": "none"}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"LaunchTemplateId": which, "Versions": ["7"]}, "InvalidLaunchTemplateId.VersionNotFound"),
        ({"LaunchTemplateId": which, "Versions": ["$None"]}, "InvalidParameterValue"),
    ):
        assert refusal(ec2.describe_launch_template_versions, **request)[0] == code, request
    assert refusal(ec2.modify_launch_template, LaunchTemplateId=which)[0] == "MissingParameter"
    assert refusal(ec2.describe_launch_templates, LaunchTemplateNames=["none"])[0] == (
        "InvalidLaunchTemplateName.NotFoundException"
    )


def test_what_is_not_there_is_warned_of(served: Served, ec2: Any) -> None:
    data = {"ImageId": "ami-0123456789abcdef0", "SecurityGroupIds": ["sg-0123456789abcdef0"]}
    made = ec2.create_launch_template(LaunchTemplateName="warned", LaunchTemplateData=data, ClientToken="warned")
    assert {each["Code"] for each in made["Warning"]["Errors"]} == {"InvalidAMIID.NotFound", "InvalidGroup.NotFound"}
    again = ec2.create_launch_template(LaunchTemplateName="warned", LaunchTemplateData=data, ClientToken="warned")
    assert again["LaunchTemplate"]["LaunchTemplateId"] == made["LaunchTemplate"]["LaunchTemplateId"]
    assert refusal(
        ec2.create_launch_template, LaunchTemplateName="other", LaunchTemplateData=data, ClientToken="warned"
    )[0] == ("IdempotentParameterMismatch")
    client = served.client("ec2", "eu-west-1")
    assert not client.describe_launch_templates()["LaunchTemplates"]
    ec2.delete_launch_template(LaunchTemplateName="warned")


def test_the_image_that_a_parameter_names(ec2: Any) -> None:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    ec2.create_launch_template(LaunchTemplateName="alias", LaunchTemplateData={"ImageId": f"resolve:ssm:{name}"})

    def image(**request: Any) -> str:
        found = ec2.describe_launch_template_versions(LaunchTemplateName="alias", **request)["LaunchTemplateVersions"]
        text: str = found[0]["LaunchTemplateData"]["ImageId"]
        return text

    assert image() == f"resolve:ssm:{name}"
    assert ec2.describe_images(ImageIds=[image(ResolveAlias=True)])["Images"][0]["Name"].startswith("al2023-ami-ecs")
    ec2.delete_launch_template(LaunchTemplateName="alias")
