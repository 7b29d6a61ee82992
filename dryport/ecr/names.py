"""Names, digests and addresses: what is well formed, and how a registry's host is written. Pure.

Sources: OCI distribution specification 1.1 ("Pulling manifests"), OCI image specification ("Digests"), ECR's
``RepositoryName`` in botocore's model.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dryport.aws import arn

_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*",
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_HOST = re.compile(r"([0-9]{12})\.dkr\.ecr\.([a-z]{2}(?:-[a-z]+)+-[0-9])\.[a-z0-9.-]+(?::[0-9]+)?", re.IGNORECASE)


def is_repository_name(text: str) -> bool:
    """Whether a repository may be called so (2 to 256 characters)."""
    return 2 <= len(text) <= 256 and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether a tag may be called so (1 to 128 characters)."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether this is a digest of an algorithm that the registry computes."""
    return _DIGEST.fullmatch(text) is not None


class RegistryAddress(NamedTuple):
    """Whose registry, in which region."""

    account: str
    region: str


def registry_host(account: str, region: str, port: int) -> str:
    """The host, with its port, of an account's registry; every name under ``localhost`` is loopback (RFC 6761)."""
    return f"{account}.dkr.ecr.{region}.localhost:{port}"


def parse_host(host: str) -> RegistryAddress | None:
    """The registry that a Host header names, or ``None`` where it is another name of this server."""
    match = _HOST.fullmatch(host)
    return RegistryAddress(match[1], match[2].lower()) if match else None


def repository_arn(account: str, region: str, name: str) -> str:
    """The ARN of a repository."""
    return arn.make("ecr", region, account, f"repository/{name}")


class Reference(NamedTuple):
    """An image reference, taken apart. ``tag`` is ``latest`` where it names neither tag nor digest."""

    host: str
    name: str
    tag: str
    digest: str


def parse_reference(image: str) -> Reference | None:
    """Take an image reference of a registry with a host apart; ``None`` where it is malformed or has no host."""
    rest, _, digest = image.partition("@")
    host, slash, path = rest.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost") or ("@" in image and not is_digest(digest)):
        return None
    name, colon, tag = path.partition(":")
    if not is_repository_name(name) or (colon and not is_tag(tag)):
        return None
    return Reference(host, name, tag or ("" if digest else "latest"), digest)
