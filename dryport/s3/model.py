"""What is stored of S3. Times are seconds since the epoch, sizes bytes; ``file`` names a file of ``disk``."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.store import Table

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bucket; its name is unique in all accounts and regions."""

    name: str
    account: str
    region: str
    created_at: float
    versioning: str = ""  # Enabled, Suspended; empty where it never was
    policy: str = ""
    lifecycle: list[dict[str, Any]] = []  # rules as the API has them, each with an ID
    tags: dict[str, str] = {}
    public_access_block: dict[str, bool] | None = msgspec.field(default_factory=lambda: dict.fromkeys(BLOCKS, True))

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"


class Checksum(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checksum in base64; of the whole object, or of its parts' checksums (``COMPOSITE``, with a count)."""

    algorithm: str  # CRC32, CRC32C, CRC64NVME, SHA1, SHA256
    value: str
    type: str = "FULL_OBJECT"


class Object(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object. ``headers`` are members of the API (``ContentType``) that come back as they were given."""

    bucket: str
    key: str
    file: str
    size: int
    etag: str  # without quotes
    modified_at: float
    headers: dict[str, str] = {}
    expires: float | None = None
    metadata: dict[str, str] = {}
    checksum: Checksum
    parts: list[int] = []  # their sizes, where it was uploaded in parts
    tags: dict[str, str] = {}
    version: str = ""  # empty for the null version
    order: int = 0  # of the versions of a key, the one with the highest came last
    marker: bool = False  # a delete marker: no object at all


class Upload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A multipart upload under way."""

    id: str
    bucket: str
    key: str
    initiated_at: float
    tags: dict[str, str] = {}
    algorithm: str | None = None
    checksum_type: str | None = None
    headers: dict[str, str] = {}
    expires: float | None = None
    metadata: dict[str, str] = {}


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of an upload."""

    upload: str
    number: int
    file: str
    size: int
    etag: str
    modified_at: float
    checksum: Checksum


def object_key(bucket: str, key: str) -> str:
    """The key of an object in the store. No bucket's name holds a slash."""
    return f"{bucket}/{key}"


def version_key(bucket: str, key: str, version: str) -> str:
    """The key of a version that is not current. No version's id holds a slash."""
    return f"{bucket}/{version}/{key}"


def part_key(upload: str, number: int) -> str:
    """The key of a part in the store."""
    return f"{upload}/{number:05}"


BUCKETS = Table("s3.bucket", Bucket, key=lambda b: b.name, indexes={"account": lambda b: b.account})
OBJECTS = Table(
    "s3.object",
    Object,
    key=lambda o: object_key(o.bucket, o.key),
    indexes={"bucket": lambda o: o.bucket, "file": lambda o: o.file},
)
VERSIONS = Table(
    "s3.version",
    Object,
    key=lambda o: version_key(o.bucket, o.key, o.version),
    indexes={
        "bucket": lambda o: o.bucket,
        "object": lambda o: object_key(o.bucket, o.key),
        "file": lambda o: o.file or None,
    },
)
UPLOADS = Table("s3.upload", Upload, key=lambda u: u.id, indexes={"bucket": lambda u: u.bucket})
PARTS = Table(
    "s3.part",
    Part,
    key=lambda p: part_key(p.upload, p.number),
    indexes={"upload": lambda p: p.upload, "file": lambda p: p.file},
)
