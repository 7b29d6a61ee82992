"""Refusals of the distribution API (OCI distribution specification 1.1, "Error Codes")."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws.errors import ServiceError


class RegistryError(Exception):
    """A refusal: HTTP status, the specification's code, a message, and headers that go with it."""

    def __init__(self, status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or []

    @property
    def body(self) -> bytes:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        return msgspec.json.encode({"errors": [error]})


# How the registry says what the API says.
_TRANSLATION = {
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "ImageNotFoundException": (404, "MANIFEST_UNKNOWN"),
    "LayersNotFoundException": (400, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (400, "MANIFEST_BLOB_UNKNOWN"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "ImageReferencedByManifestList": (405, "UNSUPPORTED"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),
    "AccessDeniedException": (403, "DENIED"),
}


def translate(error: ServiceError) -> RegistryError:
    """The registry's form of a refusal of ECR's."""
    status, code = _TRANSLATION.get(error.code, (400, "UNSUPPORTED"))
    return RegistryError(status, code, error.message)


def unsupported(message: str) -> RegistryError:
    return RegistryError(405, "UNSUPPORTED", message)


def digest_invalid(message: str) -> RegistryError:
    return RegistryError(400, "DIGEST_INVALID", message)


def out_of_storage() -> RegistryError:
    """RFC 4918 section 11.5; nothing of what was sent is kept."""
    return RegistryError(507, "UNKNOWN", "The registry's disk is full: free some space and push again")
