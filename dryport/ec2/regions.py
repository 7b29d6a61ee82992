"""The regions that there are. Pure."""

from __future__ import annotations

from typing import Any

from dryport.aws.arn import partition_of

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
