"""What is stored of ECR. Times are seconds since the epoch, sizes bytes, digests ``sha256:…`` or ``sha512:…``."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.store import Table

Json = dict[str, Any]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is stored: frozen, new members have defaults so that old rows still decode."""


class Repository(Record, frozen=True, kw_only=True):
    """A repository of an account's registry in a region; ``account`` is AWS's ``registryId``."""

    arn: str
    name: str
    account: str
    region: str
    created_at: float
    tag_mutability: str = "MUTABLE"  # MUTABLE, IMMUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION
    tag_exclusions: list[str] = []  # wildcards of tags that the above does not hold for
    tags: list[Json] = []
    policy: str = ""  # as it was set, empty where there is none


class Descriptor(Record, frozen=True, kw_only=True):
    """A manifest's reference to other content (OCI image specification, "Content Descriptors")."""

    digest: str
    media_type: str = ""
    size: int = 0
    optional: bool = False  # kept elsewhere (it has URLs): the registry need not hold it


class Image(Record, frozen=True, kw_only=True):
    """A manifest in a repository; its bytes are the blob of its digest.

    ``blobs`` are the configuration and the layers of an image, ``children`` the manifests of an index.
    """

    repository_arn: str
    digest: str
    media_type: str
    size: int  # of the manifest itself
    pushed_at: float
    config_media_type: str = ""
    artifact_type: str = ""
    blobs: list[Descriptor] = []
    children: list[Descriptor] = []
    subject: str = ""  # the digest of the manifest that this one refers to
    annotations: dict[str, str] = {}
    pulled_at: float | None = None


class Tag(Record, frozen=True, kw_only=True):
    repository_arn: str
    name: str
    digest: str


class Layer(Record, frozen=True, kw_only=True):
    """That a repository holds a blob that is no manifest."""

    repository_arn: str
    digest: str
    registry: str  # ``account/region``
    added_at: float


class Blob(Record, frozen=True, kw_only=True):
    """Bytes that the blob driver holds durably, by their digest; shared by every repository."""

    digest: str
    size: int
    stored_at: float


class Upload(Record, frozen=True, kw_only=True):
    """A layer on its way. How much of it is here, the blob driver knows.

    ``last_part`` and ``short_part`` serve UploadLayerPart: only the last part may be under 5 MiB.
    """

    id: str
    repository_arn: str
    started_at: float
    last_part: int = 0
    short_part: bool = False


class TokenKey(Record, frozen=True, kw_only=True):
    """The secret with which this server signs authorization tokens and download addresses."""

    id: str
    secret: bytes


def registry_of(repository: Repository) -> str:
    """The registry that a repository is in, as ``Layer.registry`` has it."""
    return f"{repository.account}/{repository.region}"


def member(repository_arn: str, name: str) -> str:
    """The key of a repository's image or layer (by digest) or tag (by name)."""
    return f"{repository_arn}@{name}"


def shard(digest: str) -> str:
    """The first two hexadecimal digits of a digest: blobs are walked through in 256 parts."""
    return digest.partition(":")[2][:2]


REPOSITORIES = Table(
    "ecr.repository",
    Repository,
    key=lambda r: r.arn,
    indexes={"registry": registry_of},
)
IMAGES = Table(
    "ecr.image",
    Image,
    key=lambda i: member(i.repository_arn, i.digest),
    indexes={
        "repository": lambda i: i.repository_arn,
        "digest": lambda i: i.digest,
        "blob": lambda i: {member(i.repository_arn, blob.digest) for blob in i.blobs},
        "child": lambda i: {member(i.repository_arn, child.digest) for child in i.children},
        "subject": lambda i: member(i.repository_arn, i.subject) if i.subject else None,
    },
)
TAGS = Table(
    "ecr.tag",
    Tag,
    key=lambda t: member(t.repository_arn, t.name),
    indexes={
        "repository": lambda t: t.repository_arn,
        "image": lambda t: member(t.repository_arn, t.digest),
    },
)
LAYERS = Table(
    "ecr.layer",
    Layer,
    key=lambda x: member(x.repository_arn, x.digest),
    indexes={
        "repository": lambda x: x.repository_arn,
        "digest": lambda x: x.digest,
        "registry": lambda x: f"{x.registry}/{x.digest}",
    },
)
BLOBS = Table("ecr.blob", Blob, key=lambda b: b.digest, indexes={"shard": lambda b: shard(b.digest)})
UPLOADS = Table("ecr.upload", Upload, key=lambda u: u.id, indexes={"repository": lambda u: u.repository_arn})
TOKEN_KEYS = Table("ecr.token_key", TokenKey, key=lambda k: k.id)
