"""Instance types: AWS's table behind the API."""

from __future__ import annotations

from typing import Any

import pytest

from dryport.ec2 import instance_types
from tests.served import refusal

OTHER = "m6g.large" if instance_types.machine_architecture() == "x86_64" else "m5.large"


def by(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": list(values)}


def test_types_have_the_figures_of_aws_table(ec2: Any) -> None:
    micro, large = ec2.describe_instance_types(InstanceTypes=["t3.micro", "p4d.24xlarge"])["InstanceTypes"]
    assert micro["VCpuInfo"]["DefaultVCpus"] == 2 and micro["MemoryInfo"] == {"SizeInMiB": 1024}
    assert micro["BurstablePerformanceSupported"] and micro["FreeTierEligible"] and micro["Hypervisor"] == "nitro"
    assert micro["NetworkInfo"]["MaximumNetworkInterfaces"] == 2
    assert micro["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    assert large["GpuInfo"]["Gpus"][0]["Name"] == "A100" and large["GpuInfo"]["TotalGpuMemoryInMiB"] == 327680
    kind = instance_types.get("p4d.24xlarge")
    assert kind is not None and kind.gpu_count == 8
    assert (kind.vcpus, kind.cores, kind.threads_per_core, kind.memory) == (96, 48, 2, 1179648)
    assert not kind.bare_metal and not kind.burstable and kind.ebs_optimized and kind.max_interfaces == 60


@pytest.mark.parametrize("name", ["t9.none", "", 'a1.metal","x":"', "t3.mıcro", "\n"])
def test_types_that_there_are_not(ec2: Any, name: str) -> None:
    assert instance_types.get(name) is None
    assert refusal(ec2.describe_instance_types, InstanceTypes=["t3.micro", name]) == (
        "InvalidInstanceType",
        f"The following supplied instance types do not exist: [{name}]",
    )


def test_every_type_can_be_read() -> None:
    kinds = list(instance_types.every())
    assert len(kinds) > 1000 and len({kind.name for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert kind == instance_types.get(kind.name)
        assert kind.vcpus == kind.cores * kind.threads_per_core or kind.name.startswith("mac")
        assert kind.memory >= 512 and kind.architectures and kind.boot_modes and kind.usage_classes
        assert kind.max_interfaces > 0 and kind.addresses_per_interface > 0 and kind.max_volumes > 0
        assert kind.bare_metal == (kind.hypervisor == "") or kind.name.startswith("mac")
        assert all(core > 0 for core in kind.valid_cores) and kind.gpu_count >= len(kind.gpus)


def test_filters_and_pages(ec2: Any) -> None:
    pages = ec2.get_paginator("describe_instance_types")
    found = [
        kind
        for page in pages.paginate(Filters=[by("vcpu-info.default-vcpus", "2"), by("current-generation", "true")])
        for kind in page["InstanceTypes"]
    ]
    assert len(found) > 50 and all(k["VCpuInfo"]["DefaultVCpus"] == 2 and k["CurrentGeneration"] for k in found)
    first = ec2.describe_instance_types()
    assert len(first["InstanceTypes"]) == 100 and first["NextToken"]
    found = ec2.describe_instance_types(Filters=[by("instance-type", "t3.*"), by("memory-info.size-in-mib", "1024")])
    assert [k["InstanceType"] for k in found["InstanceTypes"]] == ["t3.micro"]
    found = ec2.describe_instance_types(Filters=[by("instance-storage-info.disk.size-in-gb", "75")])
    assert "c5d.xlarge" not in [k["InstanceType"] for k in found["InstanceTypes"]] and found["InstanceTypes"]
    assert refusal(ec2.describe_instance_types, MaxResults=101)[0] == "InvalidParameterValue"
    assert refusal(ec2.describe_instance_types, InstanceTypes=["t3.micro"], MaxResults=5)[0] == (
        "InvalidParameterCombination"
    )
    assert refusal(ec2.describe_instance_types, Filters=[by("vcpus", "2")])[0] == "InvalidParameterValue"


def test_what_this_machine_cannot_run_is_not_offered(ec2: Any) -> None:
    offered = ec2.describe_instance_type_offerings(Filters=[by("instance-type", "m*.large")])["InstanceTypeOfferings"]
    assert offered and OTHER not in {o["InstanceType"] for o in offered}
    assert {(o["LocationType"], o["Location"]) for o in offered} == {("region", "us-east-1")}
    listed = ec2.describe_instance_types(Filters=[by("instance-type", OTHER)])["InstanceTypes"]
    assert not listed
    listed = ec2.describe_instance_types(Filters=[by("instance-type", OTHER)], IncludeUnsupportedInRegion=True)
    assert [k["SupportedInRegion"] for k in listed["InstanceTypes"]] == [False]
    assert ec2.describe_instance_types(InstanceTypes=[OTHER])["InstanceTypes"]
    here = instance_types.get("t3.micro")
    assert here is not None and here.runs_here == (OTHER != "t3.micro")


def test_offerings_by_zone(ec2: Any) -> None:
    wanted = "m5.large" if OTHER != "m5.large" else "m6g.large"
    for kind, first in (("availability-zone", "us-east-1a"), ("availability-zone-id", "use1-az1")):
        found = ec2.describe_instance_type_offerings(LocationType=kind, Filters=[by("instance-type", wanted)])
        assert found["InstanceTypeOfferings"][0]["Location"] == first
        found = ec2.describe_instance_type_offerings(
            LocationType=kind, Filters=[by("instance-type", wanted), by("location", first)]
        )
        assert found["InstanceTypeOfferings"] == [{"InstanceType": wanted, "LocationType": kind, "Location": first}]
    found = ec2.describe_instance_type_offerings(LocationType="outpost")["InstanceTypeOfferings"]
    assert not found
    page = ec2.describe_instance_type_offerings(MaxResults=5)
    assert len(page["InstanceTypeOfferings"]) == 5
    after = ec2.describe_instance_type_offerings(MaxResults=5, NextToken=page["NextToken"])["InstanceTypeOfferings"]
    assert after[0] not in page["InstanceTypeOfferings"]
