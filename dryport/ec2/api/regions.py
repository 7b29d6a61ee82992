"""Regions, availability zones and the account's attributes."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import addressing, published
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, operation
from dryport.ec2.regions import regions
from dryport.gateway.service import Call, Output

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
