"""Amazon Resource Names.

Source: "Identify AWS resources with Amazon Resource Names (ARNs)", IAM user guide.
"""

from __future__ import annotations

from typing import NamedTuple


class Arn(NamedTuple):
    """The six parts of an ARN; ``resource`` may hold further colons and slashes."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def partition_of(region: str) -> str:
    """The partition that a region lies in, ``aws`` where the region is empty or unknown."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"


def make(service: str, region: str, account: str, resource: str) -> str:
    """An ARN as text, in the partition of its region."""
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{resource}"


def parse(text: str) -> Arn | None:
    """The parts of an ARN, or ``None`` where the text is no ARN."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1] or not parts[2]:
        return None
    return Arn(*parts[1:])
