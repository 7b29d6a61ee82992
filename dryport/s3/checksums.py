"""Checksums of S3's objects.

Source: "Checking object integrity in Amazon S3", S3 user guide.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dryport.aws.errors import ServiceError

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
UNSUPPORTED = ("ChecksumSHA512", "ChecksumMD5", "ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128")
DEFAULT = "CRC64NVME"  # what S3 computes where the client chose none


class Hash(Protocol):
    """A digest that is fed piece by piece."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, function: Callable[[bytes, int], int], octets: int) -> None:
        self._function = function
        self._octets = octets
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._octets, "big")


def new(algorithm: str) -> Hash:
    """A new digest of this algorithm."""
    if algorithm == "SHA1":
        return hashlib.sha1(usedforsecurity=False)
    if algorithm == "SHA256":
        return hashlib.sha256()
    if algorithm == "CRC32":
        return _Crc(zlib.crc32, 4)
    # AWS's own implementation, by the processor's instructions; only where S3 is used, for it takes memory.
    from awscrt import checksums

    return _Crc(checksums.crc32c, 4) if algorithm == "CRC32C" else _Crc(checksums.crc64nvme, 8)


def encoded(digest: bytes) -> str:
    """A digest as headers hold it."""
    return base64.b64encode(digest).decode()


def given(request: Mapping[str, Any]) -> tuple[str, str] | None:
    """Algorithm and value of the checksum that a request holds, or ``None``. Raises ServiceError if it is malformed."""
    found = [(name, str(request[f"Checksum{name}"])) for name in ALGORITHMS if f"Checksum{name}" in request]
    if len(found) > 1:
        raise ServiceError("InvalidRequest", "Expecting a single x-amz-checksum- header", 400)
    for name, value in found:
        check_form(name, value)
    return found[0] if found else None


def check_form(algorithm: str, value: str) -> None:
    """Raise ServiceError where a value is no checksum of this algorithm."""
    try:
        octets = base64.b64decode(value, validate=True)
    except ValueError:
        octets = b""
    if len(octets) != len(new(algorithm).digest()):
        raise ServiceError("InvalidRequest", f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.", 400)


def mismatch(algorithm: str) -> ServiceError:
    """What a body that does not have the checksum that was given answers."""
    return ServiceError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.", 400)
