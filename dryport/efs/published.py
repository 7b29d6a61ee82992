"""What other services may ask of EFS: plain functions inside their own transactions."""

from __future__ import annotations

from dryport.aws.arn import Arn
from dryport.ec2.model import NetworkInterface
from dryport.efs import model, mounting
from dryport.efs.model import AccessPoint
from dryport.store import Reader


def refusal(reader: Reader, interface: NetworkInterface, file_system_id: str, access_point_id: str = "") -> str:
    """Why the owner of an interface may not mount a file system, as ECS says it; "" where it may."""
    try:
        mounting.decide(reader, interface, file_system_id, access_point_id)
    except mounting.Refused as refused:
        return (
            "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
            f"stderr: {refused.message} : unsuccessful EFS utils command execution; code: {refused.code}"
        )
    return ""


def access_point(reader: Reader, access_point_id: str) -> AccessPoint | None:
    """An access point."""
    return reader.get(model.ACCESS_POINTS, access_point_id)


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    kind, _, name = parts.resource.partition("/")
    if kind == "file-system":
        file_system = reader.get(model.FILE_SYSTEMS, name)
        return file_system.tags if file_system is not None else {}
    point = reader.get(model.ACCESS_POINTS, name)
    return point.tags if point is not None else {}
