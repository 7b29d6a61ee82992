"""Filters of ListSecrets and BatchGetSecretValue. Pure.

Source: API reference of Filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.secretsmanager.model import Secret

# The words of a value: "MyApp/db-1" has My, App, db and 1.
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def check(filters: Iterable[Mapping[str, Any]]) -> None:
    """Raise ServiceError for a filter without a key or values."""
    for one in filters:
        if not one.get("Key"):
            raise ServiceError("InvalidParameterException", "Invalid filter key")
        if not one.get("Values"):
            raise ServiceError("InvalidParameterException", f"Invalid filter values for key: {one['Key']}")


def passes(secret: Secret, filters: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a secret passes all filters, each by one of its values at least."""
    return all(any(_value(secret, one["Key"], value) for value in one["Values"]) for one in filters)


def _value(secret: Secret, key: str, value: str) -> bool:
    if value.startswith("!"):
        return not _value(secret, key, value[1:])
    if key in ("all", "description"):
        return any(_has_words(text, value) for text in _attributes(secret, key))
    return any(text.startswith(value) for text in _attributes(secret, key))


def _attributes(secret: Secret, key: str) -> list[str]:
    described = [secret.description] if secret.description else []
    attributes: dict[str, list[str]] = {
        "name": [secret.name],
        "description": described,
        "tag-key": list(secret.tags),
        "tag-value": list(secret.tags.values()),
        "all": [secret.name, *described, *secret.tags, *secret.tags.values()],
        # There are neither replicas nor secrets of other services.
        "primary-region": [],
        "owning-service": [],
    }
    return attributes[key]


def _has_words(text: str, value: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(text)]
    wanted = [word.lower() for word in _WORDS.findall(value)]
    return bool(wanted) and all(any(word.startswith(start) for word in words) for start in wanted)
