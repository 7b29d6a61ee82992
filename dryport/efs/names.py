"""The names of mount targets in the VPC. Source: "Mounting with DNS names", EFS user guide."""

from __future__ import annotations

from dryport.aws import arn


def of_file_system(file_system_id: str, region: str) -> str:
    """The name that leads to the mount target in the asker's own zone."""
    suffix = "amazonaws.com.cn" if arn.partition_of(region) == "aws-cn" else "amazonaws.com"
    return f"{file_system_id}.efs.{region}.{suffix}"


def of_mount_target(file_system_id: str, region: str, zone: str) -> list[str]:
    """Every name of a mount target in a zone."""
    name = of_file_system(file_system_id, region)
    return [name, f"{zone}.{name}"]
