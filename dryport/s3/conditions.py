"""Conditional requests and ranges. Pure.

Source: RFC 9110 sections 13 and 14, as far as S3 follows them; API reference of GetObject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.s3.model import Object

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def failed(condition: str) -> ServiceError:
    """What a condition that does not hold answers."""
    return ServiceError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        412,
        Condition=condition,
    )


def check_read(request: Mapping[str, Any], item: Object, prefix: str = "") -> None:
    """Raise ServiceError (304 or 412) unless the conditions of a request, or of its copy source, hold."""
    match, none_match = request.get(f"{prefix}IfMatch"), request.get(f"{prefix}IfNoneMatch")
    modified, unmodified = request.get(f"{prefix}IfModifiedSince"), request.get(f"{prefix}IfUnmodifiedSince")
    changed = int(item.modified_at)
    if match is not None:
        if not _names(match, item):
            raise failed("If-Match")
    elif unmodified is not None and changed > unmodified:
        raise failed("If-Unmodified-Since")
    stale = not _names(none_match, item) if none_match is not None else modified is None or changed > modified
    if not stale:
        # A copy has no reader whose own copy could be fresh.
        raise failed(f"x-amz-copy-source-{prefix}") if prefix else ServiceError("NotModified", "Not Modified", 304)


def check_write(request: Mapping[str, Any], existing: Object | None) -> None:
    """Raise ServiceError unless the conditions of a request that writes an object hold."""
    if "IfNoneMatch" in request and existing is not None:
        raise failed("If-None-Match")
    if "IfMatch" in request:
        if existing is None:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", 404)
        if not _names(request["IfMatch"], existing):
            raise failed("If-Match")


def _names(tags: str, item: Object) -> bool:
    return any(tag.strip().strip('"') in (item.etag, "*") for tag in tags.split(","))


def byte_range(text: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end (exclusive) of a ``Range`` header; ``None`` where it is none that S3 follows.

    Raises ServiceError (416) where it lies beyond the object.
    """
    match = _RANGE.fullmatch(text or "")
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise ServiceError(
            "InvalidRange",
            "The requested range is not satisfiable",
            416,
            RangeRequested=text,
            ActualObjectSize=str(size),
        )
    return start, end
