"""What a launch template's version and a request make together. Pure, but for finding the version.

Source: "Store instance launch parameters in Amazon EC2 launch templates", EC2 user guide; RunInstances.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ec2 import model
from dryport.ec2.model import LaunchTemplate, LaunchTemplateVersion
from dryport.store import Reader

Parameters = dict[str, Any]

_ID = re.compile(r"lt-[0-9a-f]{8}([0-9a-f]{9})?")
_RENAMED = {"RamDiskId": "RamdiskId", "ElasticGpuSpecifications": "ElasticGpuSpecification"}
# What tells the items of these lists apart; other lists replace each other.
_LISTS = {
    "BlockDeviceMappings": ("DeviceName", ""),
    "NetworkInterfaces": ("DeviceIndex", 0),
    "TagSpecifications": ("ResourceType", "instance"),
    "Tags": ("Key", ""),
}


def launch_parameters(template: Mapping[str, Any], request: Mapping[str, Any]) -> Parameters:
    """RunInstances' parameters: those of a template's version, with a request's own in their place.

    Single values and lists of the request replace the template's; structures are merged member by member; block
    devices are matched by device name, interfaces by device index, tags by resource type and key. ``LaunchTemplate`` is
    no longer among them.
    """
    renamed = {_RENAMED.get(name, name): value for name, value in template.items()}
    return merged(renamed, {name: value for name, value in request.items() if name != "LaunchTemplate"})


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Parameters:
    """``base`` with the members of ``over`` in their place, as ``launch_parameters`` says."""
    found = dict(base)
    for name, value in over.items():
        before = base.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            found[name] = merged(before, value)
        elif name in _LISTS and isinstance(before, list) and isinstance(value, list):
            found[name] = _merged_lists(before, value, *_LISTS[name])
        else:
            found[name] = value
    return found


def _merged_lists(base: list[Parameters], over: list[Parameters], key: str, default: Any) -> list[Parameters]:
    items = {item.get(key, default): item for item in base}
    for item in over:
        place = item.get(key, default)
        items[place] = merged(items[place], item) if place in items else item
    return list(items.values())


def next_data(source: Mapping[str, Any], data: Mapping[str, Any]) -> Parameters:
    """The data of a version that is based on another one's; snapshots are not inherited."""
    inherited = dict(source)
    if "BlockDeviceMappings" in inherited:
        inherited["BlockDeviceMappings"] = [_without_snapshot(each) for each in inherited["BlockDeviceMappings"]]
    return merged(inherited, data)


def _without_snapshot(mapping: Parameters) -> Parameters:
    if "Ebs" not in mapping:
        return mapping
    return {**mapping, "Ebs": {name: value for name, value in mapping["Ebs"].items() if name != "SnapshotId"}}


def find(reader: Reader, account: str, region: str, named: Mapping[str, Any]) -> LaunchTemplate:
    """The template that ``LaunchTemplateId`` or ``LaunchTemplateName`` names.

    Raises ServiceError: MissingParameter, InvalidParameterCombination, InvalidLaunchTemplateId.Malformed,
    InvalidLaunchTemplateId.NotFound, InvalidLaunchTemplateName.NotFoundException.
    """
    template_id, name = named.get("LaunchTemplateId"), named.get("LaunchTemplateName")
    if not template_id and not name:
        raise ServiceError(
            "MissingParameter",
            "Either a launch template ID or a launch template name must be specified in the request.",
        )
    if template_id and name:
        raise ServiceError(
            "InvalidParameterCombination",
            "You cannot specify both a launch template ID and a launch template name in the request.",
        )
    return by_id(reader, account, region, template_id) if template_id else by_name(reader, account, region, str(name))


def by_id(reader: Reader, account: str, region: str, template_id: str) -> LaunchTemplate:
    """A template by its id. Raises ServiceError as ``find`` does."""
    if not _ID.fullmatch(template_id):
        raise ServiceError("InvalidLaunchTemplateId.Malformed", f'Invalid id: "{template_id}" (expecting "lt-...")')
    found = reader.get(model.LAUNCH_TEMPLATES, template_id)
    if found is None or (found.account, found.region) != (account, region):
        raise ServiceError(
            "InvalidLaunchTemplateId.NotFound",
            f"The specified launch template, with template ID {template_id}, does not exist.",
        )
    return found


def by_name(reader: Reader, account: str, region: str, name: str) -> LaunchTemplate:
    """A template by its name. Raises ServiceError as ``find`` does."""
    found = reader.find(model.LAUNCH_TEMPLATES, "name", f"{model.scope(account, region)}/{name}")
    if not found:
        raise ServiceError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name}, does not exist.",
        )
    return found[0]


def versions(reader: Reader, template: LaunchTemplate) -> list[LaunchTemplateVersion]:
    """A template's versions, the latest first."""
    found = reader.find(model.LAUNCH_TEMPLATE_VERSIONS, "template", template.id)
    return sorted(found, key=lambda each: -each.number)


def latest(reader: Reader, template: LaunchTemplate) -> int:
    """The number of a template's latest version."""
    return versions(reader, template)[0].number


def number_of(reader: Reader, template: LaunchTemplate, text: str) -> int:
    """The number that a version's text means: ``3``, ``$Latest`` or ``$Default``. Raises ServiceError."""
    if text == "$Latest":
        return latest(reader, template)
    if text == "$Default":
        return template.default_version
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ServiceError(
            "InvalidParameterValue",
            "Invalid launch template version: either '$Default', '$Latest', or a numeric version are allowed.",
        )
    return int(text)


def version(reader: Reader, template: LaunchTemplate, text: str) -> LaunchTemplateVersion:
    """A template's version. Raises ServiceError: InvalidLaunchTemplateId.VersionNotFound, InvalidParameterValue."""
    number = number_of(reader, template, text)
    found = reader.get(model.LAUNCH_TEMPLATE_VERSIONS, model.version_key(template.id, number))
    if found is None:
        raise ServiceError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {text} for the launch template with ID {template.id}.",
        )
    return found


def specified(reader: Reader, account: str, region: str, specification: Mapping[str, Any]) -> LaunchTemplateVersion:
    """The version that a ``LaunchTemplateSpecification`` names; the default one where it says none.

    Raises ServiceError as ``find`` and ``version`` do.
    """
    template = find(reader, account, region, specification)
    return version(reader, template, specification.get("Version") or "$Default")
