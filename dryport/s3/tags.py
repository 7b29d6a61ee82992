"""Tags of buckets and objects, as they are given. Pure.

Source: "Categorizing your objects using tags" and "Tagging and cost allocation", S3 user guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from dryport.aws.errors import ServiceError

OF_OBJECT, OF_BUCKET = 10, 50
_TEXT = re.compile(r"[\w\s+\-=.:/@]*")
_LONGEST_KEY, _LONGEST_VALUE = 128, 256  # characters


def given(tag_set: Iterable[Mapping[str, str]], most: int) -> dict[str, str]:
    """The tags of a request. Raises ServiceError where S3 refuses them."""
    return _checked([(tag["Key"], tag["Value"]) for tag in tag_set], most)


def of_header(text: str) -> dict[str, str]:
    """The tags of ``x-amz-tagging``, written like a query. Raises ServiceError."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        pairs = None
    if pairs is None or len(dict(pairs)) < len(pairs):
        raise ServiceError(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
            "name duplicates.",
            400,
            ArgumentName="x-amz-tagging",
            ArgumentValue=text,
        )
    return _checked(pairs, OF_OBJECT)


def _checked(pairs: list[tuple[str, str]], most: int) -> dict[str, str]:
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise ServiceError("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    if len(tags) > most:
        kind = "Object" if most == OF_OBJECT else "Bucket"
        raise ServiceError("BadRequest", f"{kind} tags cannot be greater than {most}", 400)
    for key, value in pairs:
        if not 1 <= len(key) <= _LONGEST_KEY or not _TEXT.fullmatch(key):
            raise ServiceError("InvalidTag", "The TagKey you have provided is invalid", 400, TagKey=key)
        if len(value) > _LONGEST_VALUE or not _TEXT.fullmatch(value):
            raise ServiceError("InvalidTag", "The TagValue you have provided is invalid", 400, TagKey=key)
        if key.lower().startswith("aws:"):
            raise ServiceError("InvalidTag", "System tags cannot be added/updated by requester", 400)
    return tags
