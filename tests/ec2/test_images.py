"""Machine images and the public parameters that name them, called by boto3 through the gateway."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.agent.acs.registration import VERSION
from dryport.aws.errors import ServiceError
from dryport.ec2 import images, instance_types, model, public_images
from dryport.ec2.public_parameters import docker_version
from dryport.ec2.room import room as ec2_room
from dryport.ssm.room import room as ssm_room
from tests.ec2.machine import Machine
from tests.ec2.volumes import Volumes, eventually
from tests.served import Served, refusal

ACCOUNT = "000000000000"
HERE = instance_types.machine_architecture()
ECS = "/aws/service/ecs/optimized-ami/"
LINUX = "/aws/service/ami-amazon-linux-latest/"
EMPTY_ATTRIBUTES = (
    *("kernel", "ramdisk", "productCodes", "sriovNetSupport", "bootMode", "tpmSupport", "uefiData"),
    *("lastLaunchedTime", "deregistrationProtection"),
)
ARM = "" if HERE == "x86_64" else "arm64/"


@pytest.fixture(scope="module")
def both() -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-images-"))
    made = Served(state_dir, [ec2_room, ssm_room])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="module")
def client(both: Served) -> Any:
    return both.client("ec2")


@pytest.fixture(scope="module")
def ssm(both: Served) -> Any:
    return both.client("ssm")


def by(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": list(values)}


def put(served: Served, **facts: Any) -> model.Image:
    """An image of a user's, as CreateImage leaves it."""
    made = model.Image(
        **{
            "id": "ami-0123456789abcdef0",
            "account": ACCOUNT,
            "region": "us-east-1",
            "name": "mine",
            "architecture": HERE,
            "base": "ecs",
            "disk": "snap-0123456789abcdef0",
            "block_devices": [
                model.BlockDevice(device_name="/dev/xvda", size=30, snapshot_id="snap-0123456789abcdef0")
            ],
            "created_at": 1_790_000_000.123,
            "source_instance_id": "i-0123456789abcdef0",
            **facts,
        }
    )
    served.run(served.context.store.transact(lambda tx: tx.put(model.IMAGES, made)))
    return made


def test_images_are_found_as_terraform_and_the_cli_look_for_them(client: Any) -> None:
    for name, owner in (
        (f"amzn2-ami-ecs-hvm-*-{HERE}-ebs", "amazon"),
        (f"al2023-ami-ecs-hvm-*-{HERE}", "591542846629"),
        (f"al2023-ami-2023.*-{HERE}", "137112412989"),
        (f"amzn2-ami-hvm-*-{HERE}-gp2", "amazon"),
        ("debian-12-*", "136693071363"),
        ("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-*-server-*", "099720109477"),
    ):
        found = client.describe_images(
            Owners=[owner],
            Filters=[
                by("name", name),
                by("architecture", HERE),
                by("root-device-type", "ebs"),
                by("virtualization-type", "hvm"),
                by("state", "available"),
            ],
        )["Images"]
        assert found, name
        latest = max(found, key=lambda image: str(image["CreationDate"]))
        assert latest == found[0] and re.fullmatch(r"ami-0[0-9a-f]{16}", latest["ImageId"])
        assert (
            latest["Public"] and latest["ImageOwnerAlias"] == "amazon" and latest["ImageLocation"].startswith("amazon/")
        )
        assert "machine's own system" in latest["Description"]
        assert latest["RootDeviceName"] == latest["BlockDeviceMappings"][0]["DeviceName"]
    found = client.describe_images(Filters=[by("is-public", "true")])["Images"]
    assert {image["Architecture"] for image in found} == {HERE}
    assert client.describe_images(Owners=["self"])["Images"] == []


def test_public_images_are_the_same_ones_forever_and_others_elsewhere(both: Served, client: Any) -> None:
    here = {image["Name"]: image["ImageId"] for image in client.describe_images(Owners=["amazon"])["Images"]}
    there = both.client("ec2", "eu-west-1").describe_images(Owners=["amazon"])["Images"]
    assert here.keys() == {image["Name"] for image in there}
    assert not set(here.values()) & {image["ImageId"] for image in there}
    assert public_images._stable_id("ami", "us-east-1", "a") == "ami-0a83f55522bfb45f1"
    one = public_images.images("us-east-1")
    assert {each.base for each in one.values()} == {"ecs", "plain"}
    assert all(each.disk == "" and each.root_device.size >= 2 for each in one.values())


def test_images_that_are_not_there(client: Any) -> None:
    assert refusal(client.describe_images, ImageIds=["ami-0123456789abcdeff"]) == (
        "InvalidAMIID.NotFound",
        "The image id '[ami-0123456789abcdeff]' does not exist",
    )
    assert refusal(client.describe_images, ImageIds=["ami-12345678", "ami-12345679"]) == (
        "InvalidAMIID.NotFound",
        "The image ids '[ami-12345678, ami-12345679]' do not exist",
    )
    assert refusal(client.describe_images, ImageIds=["ami-x"])[0] == "InvalidAMIID.Malformed"
    public = next(iter(public_images.images("us-east-1")))
    assert refusal(client.modify_image_attribute, ImageId=public, Description={"Value": "x"})[0] == "AuthFailure"
    assert refusal(client.create_tags, Resources=[public], Tags=[{"Key": "a", "Value": "b"}])[0] == (
        "InvalidAMIID.NotFound"
    )


def test_pages(client: Any) -> None:
    paginator = client.get_paginator("describe_images")
    pages = list(paginator.paginate(Owners=["amazon"], PaginationConfig={"PageSize": 5}))
    assert len(pages) > 2
    ids = [image["ImageId"] for page in pages for image in page["Images"]]
    assert sorted(ids) == sorted(public_images.images("us-east-1"))


def test_attributes_of_ones_own_image(both: Served, client: Any) -> None:
    made = put(both, tags={"a": "b"})
    image = client.describe_images(Owners=["self"])["Images"][0]
    assert image["Tags"] == [{"Key": "a", "Value": "b"}] and "ImageOwnerAlias" not in image
    assert image["ImageLocation"] == f"{ACCOUNT}/mine" and image["CreationDate"] == "2026-09-21T14:13:20.123Z"
    assert image["SourceInstanceId"] == "i-0123456789abcdef0" and not image["Public"]
    client.modify_image_attribute(ImageId=made.id, Description={"Value": "new"})
    client.modify_image_attribute(ImageId=made.id, Attribute="imdsSupport", Value="v2.0")
    client.modify_image_attribute(
        ImageId=made.id, LaunchPermission={"Add": [{"UserId": "111111111111"}, {"Group": "all"}]}
    )
    client.modify_image_attribute(
        ImageId=made.id, Attribute="launchPermission", OperationType="add", UserIds=["222222222222"]
    )
    client.modify_image_attribute(ImageId=made.id, LaunchPermission={"Remove": [{"UserId": "111111111111"}]})

    def attribute(name: str) -> Any:
        return client.describe_image_attribute(ImageId=made.id, Attribute=name)

    assert attribute("description")["Description"] == {"Value": "new"}
    assert attribute("imdsSupport")["ImdsSupport"] == {"Value": "v2.0"}
    assert attribute("launchPermission")["LaunchPermissions"] == [{"Group": "all"}, {"UserId": "222222222222"}]
    assert "Encrypted" not in attribute("blockDeviceMapping")["BlockDeviceMappings"][0]["Ebs"]
    for name in EMPTY_ATTRIBUTES:
        assert attribute(name)["ImageId"] == made.id
    assert client.describe_images(ExecutableUsers=["all"], Filters=[by("name", "mine")])["Images"]
    assert not client.describe_images(ExecutableUsers=["self"])["Images"]
    client.reset_image_attribute(ImageId=made.id, Attribute="launchPermission")
    assert attribute("launchPermission")["LaunchPermissions"] == []
    assert refusal(client.modify_image_attribute, ImageId=made.id)[0] == "InvalidParameterCombination"
    wrong = {"Add": [{"UserId": "1"}]}
    assert refusal(client.modify_image_attribute, ImageId=made.id, LaunchPermission=wrong)[0] == (
        "InvalidAMIAttributeItemValue"
    )


def test_deprecated_and_disabled_images(both: Served, client: Any) -> None:
    made = put(both, id="ami-0000000000000000a", name="old", account="111111111111", launch_accounts=[ACCOUNT])
    assert client.describe_images(ExecutableUsers=["self"])["Images"][0]["ImageId"] == made.id
    put(both, id=made.id, name="old", account=made.account, launch_accounts=[ACCOUNT], deprecated_at=1_000_000_000.0)
    listed = client.describe_images(Filters=[by("name", "old")])["Images"]
    assert not listed
    listed = client.describe_images(Filters=[by("name", "old")], IncludeDeprecated=True)["Images"]
    assert listed[0]["DeprecationTime"] == "2001-09-09T01:46:40.000Z" and "Tags" not in listed[0]
    mine = put(both)
    client.enable_image_deprecation(ImageId=mine.id, DeprecateAt=2_000_000_030)
    assert client.describe_images(ImageIds=[mine.id])["Images"][0]["DeprecationTime"] == "2033-05-18T03:33:00.000Z"
    assert refusal(client.enable_image_deprecation, ImageId=mine.id, DeprecateAt=1)[0] == "InvalidParameterValue"
    client.disable_image_deprecation(ImageId=mine.id)
    assert "DeprecationTime" not in client.describe_images(ImageIds=[mine.id])["Images"][0]
    client.enable_image_deregistration_protection(ImageId=mine.id)
    assert client.describe_images(ImageIds=[mine.id])["Images"][0]["DeregistrationProtection"] == (
        "enabled-without-cooldown"
    )
    client.disable_image_deregistration_protection(ImageId=mine.id)
    client.disable_image(ImageId=mine.id)
    assert not client.describe_images(Owners=["self"])["Images"]
    assert client.describe_images(Owners=["self"], IncludeDisabled=True)["Images"][0]["State"] == "disabled"
    client.enable_image(ImageId=mine.id)
    assert client.describe_images(Owners=["self"])["Images"]


@pytest.mark.parametrize("path", ["amazon-linux-2", "amazon-linux-2023", "amazon-linux-2/kernel-5.10"])
def test_the_recommended_ecs_images(client: Any, ssm: Any, path: str) -> None:
    name = f"{ECS}{path}/{ARM}recommended"
    parameter = ssm.get_parameter(Name=name)["Parameter"]
    assert parameter["ARN"] == f"arn:aws:ssm:us-east-1::parameter{name}" and parameter["Type"] == "String"
    facts = json.loads(parameter["Value"])
    assert facts["schema_version"] == 1 and facts["ecs_agent_version"] == VERSION == public_images.AGENT_VERSION
    assert facts["os"].startswith("Amazon Linux 2")
    assert facts["ecs_runtime_version"].startswith("Docker version ")
    image = client.describe_images(ImageIds=[facts["image_id"]])["Images"][0]
    assert image["Name"] == facts["image_name"] and "container agent" in image["Description"]
    assert client.describe_images(Filters=[by("name", facts["source_image_name"])])["Images"]
    below = ssm.get_parameters_by_path(Path=name)["Parameters"]
    assert {each["Name"].rpartition("/")[2]: each["Value"] for each in below} == {
        key: str(value) for key, value in facts.items()
    }
    found = ssm.get_parameters(Names=[f"{name}/image_id", f"{name}/none"])
    assert [each["Value"] for each in found["Parameters"]] == [facts["image_id"]]
    assert found["InvalidParameters"] == [f"{name}/none"]


@pytest.mark.skipif(HERE != "x86_64", reason="AWS has GPU images of x86_64 alone")
def test_images_with_gpus(ssm: Any, client: Any) -> None:
    for system in ("amazon-linux-2", "amazon-linux-2023"):
        image = ssm.get_parameter(Name=f"{ECS}{system}/gpu/recommended/image_id")["Parameter"]["Value"]
        assert "-gpu-" in client.describe_images(ImageIds=[image])["Images"][0]["Name"]


def test_the_latest_plain_images_and_regions(ssm: Any, client: Any) -> None:
    for name in (f"al2023-ami-kernel-default-{HERE}", f"amzn2-ami-hvm-{HERE}-gp2"):
        parameter = ssm.get_parameter(Name=LINUX + name)["Parameter"]
        assert parameter["DataType"] == "aws:ec2:image"
        image = client.describe_images(ImageIds=[parameter["Value"]])["Images"][0]
        assert "without a container agent" in image["Description"]
    regions = ssm.get_parameters_by_path(Path="/aws/service/global-infrastructure/regions")["Parameters"]
    assert "af-south-1" in {each["Value"] for each in regions}
    name = "/aws/service/global-infrastructure/regions/us-east-1/partition"
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "aws"
    assert refusal(ssm.get_parameter, Name=LINUX + "none")[0] == "ParameterNotFound"
    assert refusal(ssm.put_parameter, Name=LINUX + "x", Value="v", Type="String")[0] == "AccessDeniedException"


def test_an_image_by_the_parameter_that_names_it(both: Served, ssm: Any) -> None:
    public = next(each for each in public_images.images("us-east-1").values() if each.base == "ecs")
    ssm.put_parameter(Name="/golden/ami", Value=public.id, Type="String", DataType="text")
    ssm.put_parameter(Name="/golden/none", Value="something", Type="String")
    ssm.put_parameter(Name="/golden/secret", Value=public.id, Type="SecureString")
    ssm.label_parameter_version(Name="/golden/ami", ParameterVersion=1, Labels=["first"])
    reader = both.context.store.reader
    other = "111111111111"
    arn = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/golden/ami"
    for text in (
        public.id,
        "/golden/ami",
        "/golden/ami:1",
        "/golden/ami:first",
        arn,
        public.ssm_parameter + "/image_id",
    ):
        prefix = "" if text.startswith("ami-") else "resolve:ssm:"
        assert images.launchable(reader, ACCOUNT, "us-east-1", prefix + text) == public
    for text in ("/golden/none", "/golden/secret", "/golden/other", "/golden/ami:2", "/golden/ami:x", ""):
        with pytest.raises(ServiceError, match="InvalidParameterValue"):
            images.launchable(reader, ACCOUNT, "us-east-1", f"resolve:ssm:{text}")
    with pytest.raises(ServiceError, match="InvalidParameterValue"):
        images.launchable(reader, other, "us-east-1", f"resolve:ssm:{arn}")


def test_images_that_cannot_be_launched(both: Served) -> None:
    reader = both.context.store.reader
    failed = put(both, id="ami-0000000000000000b", name="new", state="failed")
    for image_id, account, code in (
        ("ami-1", ACCOUNT, "InvalidAMIID.Malformed"),
        ("ami-0000000000000000f", ACCOUNT, "InvalidAMIID.NotFound"),
        (failed.id, ACCOUNT, "InvalidAMIID.Unavailable"),
        (failed.id, "333333333333", "AuthFailure"),
    ):
        with pytest.raises(ServiceError) as caught:
            images.launchable(reader, account, "us-east-1", image_id)
        assert caught.value.code == code


def test_the_version_of_docker(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Package: docker\nVersion: 1\n\nPackage: docker-ce\nStatus: x\nVersion: 5:27.3.1-1~debian\n\n")
    assert docker_version(status) == "27.3.1"
    assert docker_version(tmp_path / "none") == "unknown"


def by_name(ec2: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_images(Owners=["self"], Filters=[by("name", name)])["Images"][0]
    return found


def available(ec2: Any, image_id: str) -> dict[str, Any]:
    """The image once it is available."""

    def probe() -> dict[str, Any] | None:
        found: dict[str, Any] = ec2.describe_images(ImageIds=[image_id])["Images"][0]
        return found if found["State"] == "available" else None

    found = eventually(probe)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def ec2(simulated: Served) -> Any:
    return simulated.client("ec2")


@pytest.fixture(scope="module")
def source(volumes: Volumes) -> str:
    """A running instance with a volume beside its root volume."""
    return volumes.instance(BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3}}])


def test_an_image_is_made_of_an_instance_and_launched(
    volumes: Volumes, machine: Machine, source: str, ec2: Any
) -> None:
    boots = machine.running[source].boot
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Of", "Value": kind}]} for kind in ("image", "snapshot")]
    made = ec2.create_image(InstanceId=source, Name="golden", Description="mine", TagSpecifications=tags)["ImageId"]
    found = available(ec2, made)
    assert found["SourceInstanceId"] == source and found["SourceImageId"] == volumes.image
    assert (found["Public"], found["RootDeviceName"], found["Tags"]) == (False, "/dev/xvda", tags[0]["Tags"])
    root, data = found["BlockDeviceMappings"]
    assert (root["DeviceName"], data["DeviceName"], data["Ebs"]["VolumeSize"]) == ("/dev/xvda", "/dev/sdf", 3)
    for each in (root, data):
        snapshot = volumes.until_snapshot(each["Ebs"]["SnapshotId"], "completed")
        assert snapshot["Tags"] == tags[1]["Tags"]
        assert snapshot["Description"] == f"Created by CreateImage({source}) for {made}"
    volumes.until_instance(source, "running")
    eventually(lambda: machine.running[source].boot == boots + 1 and source not in machine.stopped)

    copy = volumes.instance(ImageId=made)
    mapping = {e["DeviceName"]: e["Ebs"]["VolumeId"] for e in volumes.describe_instance(copy)["BlockDeviceMappings"]}
    assert machine.origins[mapping["/dev/xvda"]] == root["Ebs"]["SnapshotId"]
    assert machine.origins[mapping["/dev/sdf"]] == data["Ebs"]["SnapshotId"]
    without = volumes.instance(ImageId=made, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "NoDevice": ""}])
    assert len(volumes.describe_instance(without)["BlockDeviceMappings"]) == 1

    in_use = refusal(ec2.delete_snapshot, SnapshotId=data["Ebs"]["SnapshotId"])
    assert in_use == (
        "InvalidSnapshot.InUse",
        f"The snapshot {data['Ebs']['SnapshotId']} is currently in use by {made}",
    )
    assert refusal(ec2.create_image, InstanceId=source, Name="golden") == (
        "InvalidAMIName.Duplicate",
        f"AMI name golden is already in use by AMI {made}",
    )
    assert refusal(ec2.create_image, InstanceId=source, Name="no*name")[0] == "InvalidAMIName.Malformed"


def test_the_instance_is_down_while_its_snapshots_are_taken(machine: Machine, source: str, ec2: Any) -> None:
    machine.held = True
    made = ec2.create_image(InstanceId=source, Name="down")["ImageId"]
    eventually(lambda: source in machine.stopped)
    assert refusal(ec2.run_instances, ImageId=made, MinCount=1, MaxCount=1)[0] == "InvalidAMIID.Unavailable"
    assert by_name(ec2, "down")["State"] == "pending"
    machine.held = False
    available(ec2, made)
    eventually(lambda: source not in machine.stopped)


def test_without_a_reboot_the_instance_goes_on(volumes: Volumes, machine: Machine, source: str, ec2: Any) -> None:
    boots = machine.running[source].boot
    mappings = [
        {"DeviceName": "/dev/sdf", "NoDevice": ""},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 7, "VolumeType": "gp3"}},
        {"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": False, "VolumeType": "gp3"}},
    ]
    made = ec2.create_image(InstanceId=source, Name="live", NoReboot=True, BlockDeviceMappings=mappings)["ImageId"]
    root, empty = available(ec2, made)["BlockDeviceMappings"]
    assert machine.running[source].boot == boots and source not in machine.stopped
    assert not root["Ebs"]["DeleteOnTermination"] and root["Ebs"]["VolumeType"] == "gp3"
    assert (empty["DeviceName"], empty["Ebs"]["VolumeSize"], "SnapshotId" in empty["Ebs"]) == ("/dev/sdg", 7, False)
    larger = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 30}}]
    refused = refusal(ec2.create_image, InstanceId=source, Name="larger", BlockDeviceMappings=larger)
    assert refused[0] == "InvalidBlockDeviceMapping"


def test_an_image_that_is_dropped_lets_its_instance_boot(machine: Machine, source: str, ec2: Any) -> None:
    machine.held = True
    made = ec2.create_image(InstanceId=source, Name="dropped")["ImageId"]
    eventually(lambda: source in machine.stopped)
    ec2.deregister_image(ImageId=made)
    eventually(lambda: source not in machine.stopped)
    machine.held = False


def test_an_image_is_registered_of_a_snapshot(volumes: Volumes, machine: Machine, source: str, ec2: Any) -> None:
    root = volumes.describe_instance(source)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    snapshot = volumes.snapshot(root)
    request: dict[str, Any] = {
        "Name": "registered",
        "Architecture": HERE,
        "VirtualizationType": "hvm",
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 40}}],
        "EnaSupport": True,
    }
    made = ec2.register_image(**request)["ImageId"]
    copy = volumes.instance(ImageId=made)
    disk = volumes.describe_instance(copy)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert machine.origins[disk] == snapshot and machine.volumes[disk] == 40
    other = {**request, "Name": "other"}
    assert refusal(ec2.register_image, **{**other, "VirtualizationType": "paravirtual"})[0] == "NotImplemented"
    del other["BlockDeviceMappings"]
    assert refusal(ec2.register_image, **other)[0] == "InvalidBlockDeviceMapping"

    answer = ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]
    assert refusal(ec2.describe_images, ImageIds=[made])[0] == "InvalidAMIID.NotFound"
    eventually(lambda: snapshot not in machine.snapshots)
    assert volumes.describe_instance(copy)["State"]["Name"] == "running"


def test_an_image_is_copied_to_another_region(
    volumes: Volumes, machine: Machine, simulated: Served, source: str, ec2: Any
) -> None:
    made = ec2.create_image(InstanceId=source, Name="far", NoReboot=True)["ImageId"]
    snapshots = {each["Ebs"]["SnapshotId"] for each in available(ec2, made)["BlockDeviceMappings"]}
    west = simulated.client("ec2", region="us-west-2")
    request = {"SourceRegion": "us-east-1", "SourceImageId": made, "Name": "far", "ClientToken": "once"}
    copy = west.copy_image(**request)["ImageId"]
    assert west.copy_image(**request)["ImageId"] == copy
    found = available(west, copy)
    assert (found["SourceImageId"], found["SourceImageRegion"]) == (made, "us-east-1")
    copies = {each["Ebs"]["SnapshotId"] for each in found["BlockDeviceMappings"]}
    assert len(copies) == 2 and copies.isdisjoint(snapshots) and copies <= set(machine.snapshots)
    public = ec2.copy_image(SourceRegion="us-east-1", SourceImageId=volumes.image, Name="own")["ImageId"]
    assert available(ec2, public)["Public"] is False
    own = volumes.instance(ImageId=public)
    root = volumes.describe_instance(own)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert machine.origins[root] == "system"


def test_a_protected_image_stays(source: str, ec2: Any) -> None:
    made = ec2.create_image(InstanceId=source, Name="protected", NoReboot=True)["ImageId"]
    available(ec2, made)
    ec2.enable_image_deregistration_protection(ImageId=made)
    assert refusal(ec2.deregister_image, ImageId=made)[0] == "OperationNotPermitted"
    ec2.disable_image_deregistration_protection(ImageId=made)
    assert ec2.deregister_image(ImageId=made)["Return"] is True
