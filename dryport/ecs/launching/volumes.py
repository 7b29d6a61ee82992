"""``volumeConfigurations`` of RunTask, StartTask and services, checked."""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import published as ec2
from dryport.ecs import ebs
from dryport.ecs.lookup import invalid
from dryport.ecs.model import Json, TaskDefinition
from dryport.gateway.service import Call

UNSUPPORTED = tuple(
    f"volumeConfigurations.managedEBSVolume.{member}"
    for member in ("encrypted", "kmsKeyId", "volumeInitializationRate")
)
_FILE_SYSTEMS = ("ext3", "ext4", "xfs")
_TYPES = ("gp2", "gp3", "io1", "io2", "sc1", "st1", "standard")


def check(
    call: Call, request: Any, definition: TaskDefinition, launch_type: str, service_tags: list[Json] | None = None
) -> Json:
    """The volume that a launch asks for: its name, ``managedEBSVolume``, and ``tags``; empty where there is none.

    ``service_tags`` are those of the service that launches. Raises ServiceError.
    """
    names = [each["name"] for each in definition.body.get("volumes") or () if each.get("configuredAtLaunch")]
    asked = {each["name"]: each for each in request.get("volumeConfigurations") or ()}
    unknown = sorted(set(asked) - set(names))
    if unknown:
        raise invalid(f"Volume configurations {unknown} do not match a volume of the task definition.")
    if len(request.get("volumeConfigurations") or ()) > len(asked):
        raise invalid("Volume configurations must have unique names.")
    missing = [each for each in names if "managedEBSVolume" not in asked.get(each, {})]
    if missing:
        raise invalid(f"Volumes {missing} of the task definition must be configured at launch.")
    if not names:
        return {}
    if launch_type == "EXTERNAL":
        raise invalid("Volumes that are configured at launch are not supported with the EXTERNAL launch type.")
    configuration = asked[names[0]]["managedEBSVolume"]
    return {
        "name": names[0],
        "managedEBSVolume": _checked(call, definition, configuration),
        "tags": _tags(definition, configuration, service_tags),
    }


def _checked(call: Call, definition: TaskDefinition, configuration: Json) -> Json:
    """What can be seen to be wrong is refused now; that a snapshot is not there, the task stops for."""
    if "sizeInGiB" not in configuration and "snapshotId" not in configuration:
        raise invalid("Either sizeInGiB or snapshotId must be specified for a managed EBS volume.")
    if configuration.get("volumeType", "gp3") not in _TYPES:
        raise invalid(f"Invalid volumeType {configuration['volumeType']}.")
    if configuration.get("filesystemType", "xfs") not in _FILE_SYSTEMS:
        raise invalid(f"Invalid filesystemType {configuration['filesystemType']} of a Linux task.")
    wanted = ebs.figures(configuration)
    if "size" in wanted:
        try:
            ec2.volume_figures(call.tx, call.account, call.region, {**wanted, "snapshot_id": ""})
        except ServiceError as error:
            raise invalid(error.message) from None
    return configuration


def _tags(definition: TaskDefinition, configuration: Json, service_tags: list[Json] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in configuration.get("tagSpecifications") or ():
        if each.get("resourceType") != "volume":
            raise invalid("Tags of a managed EBS volume need the resource type volume.")
        if each.get("propagateTags") == "SERVICE" and service_tags is None:
            raise invalid("The SERVICE option of propagateTags is not supported when running a task.")
        sources = {"TASK_DEFINITION": definition.tags, "SERVICE": service_tags or []}
        propagated = sources.get(each.get("propagateTags") or "", [])
        found |= {tag["key"]: tag.get("value", "") for tag in [*propagated, *(each.get("tags") or ())]}
    return found
