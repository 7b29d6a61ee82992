"""The rules of ECS's tags, and how new ones come over old ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.ecs.model import Json

MAX_TAGS = 50


def check(tags: Sequence[Json]) -> list[Json]:
    """New tags as they are stored. Raises ServiceError (InvalidParameterException) where they break a rule."""
    keys = [tag.get("key", "") for tag in tags]
    if not all(keys):
        raise ServiceError("InvalidParameterException", "Tag key cannot be null or empty.")
    if len(set(keys)) != len(keys):
        raise ServiceError(
            "InvalidParameterException", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if any(key.lower().startswith("aws:") for key in keys):
        raise ServiceError(
            "InvalidParameterException",
            "Invalid tag. aws: prefixed tag key names are not allowed for external use.",
        )
    if len(tags) > MAX_TAGS:
        raise too_many()
    return [{"key": tag["key"], "value": tag.get("value", "")} for tag in tags]


def given(request: Any) -> list[Json]:
    """The tags of a request that creates something."""
    if "tags" not in request:
        return []
    return check(request["tags"])


def merge(old: Iterable[Json], new: Iterable[Json]) -> list[Json]:
    """Tags with others over them: a key that is there gets the new value in its old place."""
    merged = {tag["key"]: tag for tag in old}
    merged.update({tag["key"]: tag for tag in new})
    return list(merged.values())


def too_many() -> ServiceError:
    """The refusal of more tags than a resource may have."""
    return ServiceError("InvalidParameterException", f"The maximum number of tags per resource is {MAX_TAGS}.")
