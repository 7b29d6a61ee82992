"""Regions, availability zones and the account's attributes."""

from __future__ import annotations

from typing import Any

from dryport.aws.arn import partition_of
from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, operation
from dryport.gateway.service import Call, Output

# Source: "AWS Regions", account management guide: the first list needs no opt-in.
_ALWAYS = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
]
_OPT_IN = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
]
_OTHER_PARTITIONS = {"aws-cn": ["cn-north-1", "cn-northwest-1"], "aws-us-gov": ["us-gov-east-1", "us-gov-west-1"]}


def regions(region: str) -> list[dict[str, Any]]:
    """Every region of the partition. All are open here, as there is nothing to opt in to."""
    partition = partition_of(region)
    names = _OTHER_PARTITIONS.get(partition) or sorted([*_ALWAYS, *_OPT_IN])
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return [
        {
            "OptInStatus": "opted-in" if name in _OPT_IN else "opt-in-not-required",
            "RegionName": name,
            "Endpoint": f"ec2.{name}.{suffix}",
        }
        for name in names
    ]


_REGION_FILTERS: filters.Fields[dict[str, Any]] = {
    "endpoint": lambda r: [r["Endpoint"]],
    "opt-in-status": lambda r: [r["OptInStatus"]],
    "region-name": lambda r: [r["RegionName"]],
}


@operation("DescribeRegions")
def describe_regions(call: Call, request: Request) -> Output:
    found = regions(call.region)
    wanted = request.get("RegionNames", [])
    known = {region["RegionName"] for region in found}
    wrong = [name for name in wanted if name not in known]
    if wrong:
        raise ServiceError("InvalidParameterValue", f"Invalid region name: [{', '.join(wrong)}]")
    if wanted:
        found = [region for region in found if region["RegionName"] in wanted]
    return {"Regions": filters.apply(request, found, _REGION_FILTERS)}


def _zone(region: str, zone: str) -> dict[str, Any]:
    return {
        "OptInStatus": "opt-in-not-required",
        "Messages": [],
        "RegionName": region,
        "ZoneName": zone,
        "ZoneId": addressing.zone_id(zone),
        "GroupName": f"{region}-zg-1",
        "NetworkBorderGroup": region,
        "ZoneType": "availability-zone",
        "State": "available",
    }


_ZONE_FILTERS: filters.Fields[dict[str, Any]] = {
    "group-name": lambda z: [z["GroupName"]],
    "message": lambda z: [],
    "opt-in-status": lambda z: [z["OptInStatus"]],
    "parent-zone-id": lambda z: [],
    "parent-zone-name": lambda z: [],
    "region-name": lambda z: [z["RegionName"]],
    "state": lambda z: [z["State"]],
    "zone-id": lambda z: [z["ZoneId"]],
    "zone-name": lambda z: [z["ZoneName"]],
    "zone-type": lambda z: [z["ZoneType"]],
}


@operation("DescribeAvailabilityZones")
def describe_availability_zones(call: Call, request: Request) -> Output:
    found = [_zone(call.region, zone) for zone in addressing.zones(call.region)]
    for member, key in (("ZoneNames", "ZoneName"), ("ZoneIds", "ZoneId")):
        wanted = request.get(member, [])
        known = {zone[key] for zone in found}
        wrong = [each for each in wanted if each not in known]
        if wrong:
            raise ServiceError("InvalidParameterValue", f"Invalid availability zone: [{', '.join(wrong)}]")
        if wanted:
            found = [zone for zone in found if zone[key] in wanted]
    return {"AvailabilityZones": filters.apply(request, found, _ZONE_FILTERS)}


@operation("DescribeAccountAttributes")
def describe_account_attributes(call: Call, request: Request) -> Output:
    default = published.default_vpc(call.tx, call.account, call.region)
    values = {
        "supported-platforms": "VPC",
        "vpc-max-security-groups-per-interface": str(published.MAX_GROUPS_PER_INTERFACE),
        "max-elastic-ips": "5",
        "max-instances": "20",
        "vpc-max-elastic-ips": "5",
        "default-vpc": default.id if default is not None else "none",
    }
    wanted = request.get("AttributeNames") or list(values)
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}
            for name, value in values.items()
            if name in wanted
        ]
    }
