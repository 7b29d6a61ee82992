"""How an object is made of its parts. Pure.

Source: API reference of CompleteMultipartUpload.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.s3 import checksums
from dryport.s3.model import Checksum, Part

_LEAST = 5 * 1024 * 1024  # bytes of a part that is not the last


def checksum_type(algorithm: str, asked: str | None) -> str:
    """Whether an object's checksum is of its bytes or of its parts' checksums. Raises ServiceError if S3 refuses it."""
    possible = {"CRC64NVME": ("FULL_OBJECT",), "SHA1": ("COMPOSITE",), "SHA256": ("COMPOSITE",)}.get(
        algorithm, ("COMPOSITE", "FULL_OBJECT")
    )
    if asked is not None and asked not in possible:
        raise ServiceError(
            "InvalidRequest",
            f"The {asked} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
            400,
        )
    return asked or possible[0]


def chosen(listed: Sequence[Mapping[str, Any]], uploaded: Mapping[int, Part]) -> list[Part]:
    """The parts that a completion lists, out of those that were uploaded. Raises ServiceError where S3 refuses them."""
    if not listed:
        raise ServiceError("InvalidRequest", "You must specify at least one part", 400)
    numbers = [int(item.get("PartNumber", 0)) for item in listed]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise ServiceError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            400,
        )
    parts = []
    for number, item in zip(numbers, listed, strict=True):
        part = uploaded.get(number)
        if part is None or not _fits(part, item):
            raise ServiceError(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
                "specified entity tag may not match the part's entity tag.",
                400,
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.size < _LEAST:
            raise ServiceError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                400,
                ProposedSize=str(part.size),
                MinSizeAllowed=str(_LEAST),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return parts


def _fits(part: Part, item: Mapping[str, Any]) -> bool:
    if str(item.get("ETag", "")).strip('"') != part.etag:
        return False
    given = checksums.given(item)
    return given is None or given == (part.checksum.algorithm, part.checksum.value)


def etag(parts: Sequence[Part]) -> str:
    """The entity tag of an object made of parts: the MD5 of their MD5s, and how many they are."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def composite(algorithm: str, parts: Sequence[Part]) -> Checksum:
    """The checksum of the parts' checksums."""
    whole = checksums.new(algorithm)
    for part in parts:
        whole.update(base64.b64decode(part.checksum.value))
    value = f"{checksums.encoded(whole.digest())}-{len(parts)}"
    return Checksum(algorithm=algorithm, value=value, type="COMPOSITE")
