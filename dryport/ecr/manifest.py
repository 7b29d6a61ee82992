"""What a manifest says. Pure.

Sources: OCI image specification 1.1 (image manifest, image index), "Image Manifest Version 2, Schema 2" of Docker's
distribution.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec.structs import replace

from dryport.ecr import names
from dryport.ecr.model import Descriptor

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MEDIA_TYPES = frozenset((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST))
_INDEXES = frozenset((OCI_INDEX, DOCKER_LIST))

MAX_SIZE = 4 * 1024 * 1024  # bytes


class InvalidManifest(ValueError):
    """No manifest, or one that breaks its specification."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest as far as a registry minds it. ``blobs`` has the configuration first."""

    media_type: str
    config_media_type: str = ""
    artifact_type: str = ""
    blobs: list[Descriptor] = []
    children: list[Descriptor] = []
    subject: str = ""
    annotations: dict[str, str] = {}


class _Descriptor(msgspec.Struct):
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    media_type: str = msgspec.field(name="mediaType", default="")
    urls: list[str] | None = None


class _Document(msgspec.Struct):
    schema_version: int = msgspec.field(name="schemaVersion")
    media_type: str = msgspec.field(name="mediaType", default="")
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None
    subject: _Descriptor | None = None
    artifact_type: str | None = msgspec.field(name="artifactType", default=None)
    annotations: dict[str, str] | None = None


_DECODER = msgspec.json.Decoder(_Document)


def _descriptor(raw: _Descriptor) -> Descriptor:
    if not names.is_digest(raw.digest):
        raise InvalidManifest(f"'{raw.digest}' is not a digest")
    return Descriptor(digest=raw.digest, media_type=raw.media_type, size=raw.size, optional=bool(raw.urls))


def parse(content: bytes, media_type: str = "") -> Manifest:
    """Read a manifest. ``media_type`` is what its sender calls it; empty: the manifest says so itself.

    Raises InvalidManifest.
    """
    try:
        document = _DECODER.decode(content)
    except msgspec.ValidationError as error:
        raise InvalidManifest(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidManifest("Invalid JSON syntax") from None
    if document.schema_version != 2:
        raise InvalidManifest(f"schemaVersion {document.schema_version} is not 2")
    kind = media_type or document.media_type
    if document.media_type and document.media_type != kind:
        raise InvalidManifest(f"the manifest's mediaType is {document.media_type}, not {kind}")
    if kind not in MEDIA_TYPES:
        raise InvalidManifest(f"the media type '{kind}' is not one of a manifest or an index")
    manifest = Manifest(
        media_type=kind,
        artifact_type=document.artifact_type or "",
        subject=_descriptor(document.subject).digest if document.subject else "",
        annotations=document.annotations or {},
    )
    if kind in _INDEXES:
        if document.config is not None or document.layers is not None or document.manifests is None:
            raise InvalidManifest("an index has manifests, and neither config nor layers")
        return replace(manifest, children=[_descriptor(raw) for raw in document.manifests])
    if document.manifests is not None or document.config is None or document.layers is None:
        raise InvalidManifest("an image manifest has config and layers, and no manifests")
    return replace(
        manifest,
        config_media_type=document.config.media_type,
        blobs=[_descriptor(raw) for raw in (document.config, *document.layers)],
    )


def accepts(accept: list[str], media_type: str) -> bool:
    """Whether any of the Accept headers, or of a list of media types, admits a media type; none at all admits all."""
    wanted = [part.split(";", 1)[0].strip() for line in accept for part in line.split(",")]
    wanted = [part for part in wanted if part]
    return not wanted or any(part in (media_type, "*/*", "application/*", "application/json") for part in wanted)
