"""Images, tags and layers of a repository as plain functions in a transaction: the rules both APIs share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.ecr import errors, mutability
from dryport.ecr.manifest import Manifest
from dryport.ecr.model import (
    BLOBS,
    IMAGES,
    LAYERS,
    REPOSITORIES,
    TAGS,
    UPLOADS,
    Blob,
    Image,
    Layer,
    Repository,
    Tag,
    member,
    registry_of,
)
from dryport.ecr.names import repository_arn
from dryport.store import Reader, Table, Transaction

_PULL_SECONDS = 24 * 3600.0  # how often the time of the last pull is brought up to date, as in ECR


def repository(reader: Reader, account: str, region: str, name: str) -> Repository:
    """The repository. Raises RepositoryNotFoundException."""
    found = reader.get(REPOSITORIES, repository_arn(account, region, name))
    if found is None:
        raise errors.repository_not_found(name, account)
    return found


def still_there(reader: Reader, known: Repository) -> Repository:
    """A repository that was read before a wait, as it is now. Raises RepositoryNotFoundException."""
    return repository(reader, known.account, known.region, known.name)


def find_image(reader: Reader, arn: str, *, digest: str | None = None, tag: str | None = None) -> Image | None:
    """The image of a digest, of a tag, or of both where they agree."""
    if tag is not None:
        tagged = reader.get(TAGS, member(arn, tag))
        if tagged is None or (digest is not None and digest != tagged.digest):
            return None
        digest = tagged.digest
    return reader.get(IMAGES, member(arn, digest or ""))


def tags_of(reader: Reader, image: Image) -> list[str]:
    """The names of an image's tags, in the order in which they came."""
    return [tag.name for tag in reader.find(TAGS, "image", member(image.repository_arn, image.digest))]


def image_size(reader: Reader, image: Image) -> int:
    """What ECR calls an image's size: its configuration and layers; of an index, its largest manifest's."""
    children = (reader.get(IMAGES, member(image.repository_arn, child.digest)) for child in image.children)
    sizes = [image_size(reader, child) for child in children if child is not None and child.digest != image.digest]
    return max(sizes, default=0) if image.children else sum(blob.size for blob in image.blobs)


def is_used(reader: Reader, arn: str, digest: str) -> bool:
    """Whether an image of the repository has this layer."""
    return reader.count(IMAGES, "blob", member(arn, digest)) > 0


def check_references(reader: Reader, held_by: Repository, manifest: Manifest) -> None:
    """Raise LayersNotFoundException or ReferencedImagesNotFoundException unless all that a manifest needs is there."""
    layers = [
        blob.digest
        for blob in manifest.blobs
        if not blob.optional and reader.get(LAYERS, member(held_by.arn, blob.digest)) is None
    ]
    if layers:
        raise errors.layers_missing(dict.fromkeys(layers), held_by.name, held_by.account)
    children = [
        child.digest
        for child in manifest.children
        if not child.optional and reader.get(IMAGES, member(held_by.arn, child.digest)) is None
    ]
    if children:
        raise errors.images_missing(dict.fromkeys(children), held_by.name, held_by.account)


def check_tag(reader: Reader, held_by: Repository, tag: str) -> None:
    """Raise ImageTagAlreadyExistsException where a tag that exists must stay as it is."""
    if reader.get(TAGS, member(held_by.arn, tag)) is not None and mutability.is_immutable(held_by, tag):
        raise errors.tag_is_immutable(held_by.name, tag)


def add_image(
    tx: Transaction, known: Repository, manifest: Manifest, digest: str, size: int, tag: str | None, now: float
) -> Image:
    """Put a manifest, whose blob is stored, into a repository, under a tag or under none."""
    held_by = still_there(tx, known)
    check_references(tx, held_by, manifest)
    if tag is not None:
        check_tag(tx, held_by, tag)
        tx.put(TAGS, Tag(repository_arn=held_by.arn, name=tag, digest=digest))
    if tx.get(BLOBS, digest) is None:
        tx.put(BLOBS, Blob(digest=digest, size=size, stored_at=now))
    image = tx.get(IMAGES, member(held_by.arn, digest))
    if image is None:
        image = Image(
            repository_arn=held_by.arn,
            digest=digest,
            media_type=manifest.media_type,
            size=size,
            pushed_at=now,
            config_media_type=manifest.config_media_type,
            artifact_type=manifest.artifact_type,
            blobs=manifest.blobs,
            children=manifest.children,
            subject=manifest.subject,
            annotations=manifest.annotations,
        )
        tx.put(IMAGES, image)
    return image


def add_layer(tx: Transaction, known: Repository, digest: str, now: float) -> None:
    """Say that a repository holds a stored blob; says it anew where it does already."""
    held_by = still_there(tx, known)
    tx.put(LAYERS, Layer(repository_arn=held_by.arn, digest=digest, registry=registry_of(held_by), added_at=now))


def mount_layer(tx: Transaction, known: Repository, source: str | None, digest: str, now: float) -> bool:
    """Let a repository hold what another one of its registry holds already; whether there was such a one.

    ``source`` is that repository's name, ``None`` stands for any.
    """
    if source is None:
        found = tx.count(LAYERS, "registry", f"{registry_of(known)}/{digest}") > 0
    else:
        arn = repository_arn(known.account, known.region, source)
        found = tx.get(LAYERS, member(arn, digest)) is not None
    if found:
        add_layer(tx, known, digest, now)
    return found


def delete_image(tx: Transaction, image: Image, now: float) -> list[str]:
    """Delete an image with its tags, and return those. Raises ImageReferencedByManifestList.

    Layers that nothing needs any more stay for the collector's time of grace, from ``now`` on.
    """
    parents = tx.find(IMAGES, "child", member(image.repository_arn, image.digest))
    if parents:
        raise errors.referenced_by_lists(parent.digest for parent in parents)
    tags = tags_of(tx, image)
    for tag in tags:
        tx.delete(TAGS, member(image.repository_arn, tag))
    tx.delete(IMAGES, member(image.repository_arn, image.digest))
    for blob in image.blobs:
        layer = tx.get(LAYERS, member(image.repository_arn, blob.digest))
        if layer is not None and not is_used(tx, image.repository_arn, blob.digest):
            tx.put(LAYERS, replace(layer, added_at=now))
    return tags


def delete_repository(tx: Transaction, held: Repository) -> None:
    """Delete a repository with all that it holds; the collector removes the bytes."""
    tables: tuple[Table[Any], ...] = (IMAGES, TAGS, LAYERS, UPLOADS)
    for table in tables:
        for key in tx.keys(table, "repository", held.arn):
            tx.delete(table, key)
    tx.delete(REPOSITORIES, held.arn)


def needs_pull_time(image: Image, now: float) -> bool:
    """Whether a pull now should be remembered."""
    return image.pulled_at is None or now - image.pulled_at >= _PULL_SECONDS


def record_pull(tx: Transaction, image: Image, now: float) -> None:
    """Remember that an image was pulled."""
    current = tx.get(IMAGES, member(image.repository_arn, image.digest))
    if current is not None:
        tx.put(IMAGES, replace(current, pulled_at=now))


def referrers(reader: Reader, arn: str, subject: str, artifact_types: Iterable[str] = ()) -> list[Image]:
    """The manifests that refer to a subject, oldest first; with ``artifact_types`` those of these types."""
    wanted = set(artifact_types)
    found = reader.find(IMAGES, "subject", member(arn, subject))
    return [image for image in found if not wanted or artifact_type(image) in wanted]


def artifact_type(image: Image) -> str:
    """An artifact's type: its own, or the media type of its configuration (OCI distribution, "Listing Referrers")."""
    return image.artifact_type or image.config_media_type
