"""Attributes of container instances: what they may be, and how sets of them are merged. Pure.

Source: "Attribute" and "PutAttributes" in the API reference; "Amazon ECS container agent configuration".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecs.model import Json

MAX_CUSTOM = 10  # of an instance's own and of its users' together
# What the agent and ECS themselves say of an instance.
_BUILT_IN = ("ecs.", "com.amazonaws.ecs.")
_NAME = re.compile(r"[A-Za-z0-9_\-/\\.]{1,128}")
_VALUE = re.compile(r"(?! )[A-Za-z0-9_\-.@/\\: ]{1,128}(?<! )")

ZONE = "ecs.availability-zone"
INSTANCE_TYPE = "ecs.instance-type"
ARCHITECTURE = "ecs.cpu-architecture"
VPC = "ecs.vpc-id"
SUBNET = "ecs.subnet-id"


def is_custom(name: str) -> bool:
    """Whether users give this attribute, rather than the agent or ECS."""
    return not name.startswith(_BUILT_IN)


def value(attributes: Iterable[Mapping[str, Any]], name: str) -> str | None:
    """The value of an attribute; ``None`` where it is not there or has none."""
    return next((each.get("value") for each in attributes if each["name"] == name), None)


def checked(attribute: Mapping[str, Any]) -> Json:
    """An attribute as it is stored. Raises ServiceError (InvalidParameterException) where it breaks a rule."""
    name, given = attribute["name"], attribute.get("value")
    if not _NAME.fullmatch(name):
        raise _invalid(
            f"Invalid attribute name: '{name}'. Attribute names must be between 1 and 128 characters of letters, "
            "numbers, hyphens, underscores, forward slashes, back slashes, or periods."
        )
    if not given:
        return {"name": name}
    if not _VALUE.fullmatch(given):
        raise _invalid(
            f"Invalid attribute value: '{given}'. Attribute values must be between 1 and 128 characters of letters, "
            "numbers, hyphens, underscores, periods, at signs, forward slashes, back slashes, colons, or spaces, and "
            "can't start or end with a space."
        )
    return {"name": name, "value": given}


def merged(old: Iterable[Json], new: Iterable[Json]) -> list[Json]:
    """Attributes with others over them; a name that is there keeps its place."""
    by_name = {each["name"]: each for each in old}
    by_name.update({each["name"]: each for each in new})
    return list(by_name.values())


def without(old: Iterable[Json], gone: Sequence[str]) -> list[Json]:
    """Attributes less those of these names."""
    return [each for each in old if each["name"] not in gone]


def too_many(attributes: Iterable[Json]) -> bool:
    """Whether there are more custom attributes than an instance may have."""
    return sum(is_custom(each["name"]) for each in attributes) > MAX_CUSTOM


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)
