"""What other services may call."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec

from dryport.aws.arn import Arn
from dryport.ecr import names, tokens
from dryport.ecr.model import IMAGES, REPOSITORIES, TAGS, TOKEN_KEYS, TokenKey, member
from dryport.gateway.service import Principal
from dryport.iam import credentials as iam
from dryport.store import Reader, Transaction

_KEY = "1"


class Access(NamedTuple):
    """Whose a repository is, and its policy, empty where it has none. ``restricted`` is S3's."""

    account: str
    policy: str
    restricted: bool = False


class ResolvedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image of one of this server's registries."""

    repository_arn: str
    account: str
    region: str
    name: str
    digest: str
    media_type: str


def signing_secret(tx: Transaction, random: Random) -> bytes:
    """The secret that tokens are signed with, made at the first use. ``random`` must be a cryptographic source."""
    key = tx.get(TOKEN_KEYS, _KEY)
    if key is None:
        key = TokenKey(id=_KEY, secret=random.randbytes(32))
        tx.put(TOKEN_KEYS, key)
    return key.secret


def access(reader: Reader, parts: Arn) -> Access:
    """Who decides about the repository of an ARN besides the caller's account: its own, also where there is none."""
    found = reader.get(REPOSITORIES, str(parts))
    return Access(parts.account, found.policy if found is not None else "")


def known_secret(reader: Reader) -> bytes | None:
    """The secret, or ``None`` where no token was ever made."""
    key = reader.get(TOKEN_KEYS, _KEY)
    return None if key is None else key.secret


def authorization_token(tx: Transaction, random: Random, principal: Principal, region: str, now: float) -> str:
    """The password for ``docker login`` (user ``AWS``) as a principal; good for 12 hours."""
    credential = iam.find(tx, principal.access_key_id)
    claims = tokens.Claims(
        account=principal.account,
        region=region,
        principal_arn=principal.arn,
        user_id=principal.user_id,
        access_key_id=principal.access_key_id,
        expires=now + tokens.TOKEN_SECONDS,
        role_arn=credential.role_arn if credential is not None else None,
        identity=credential.identity if credential is not None else None,
        limited=credential is not None and credential.limits is not None,
    )
    return tokens.issue(signing_secret(tx, random), claims)


def is_registry(image: str) -> bool:
    """Whether an image reference names a registry of the form that this server's have."""
    reference = names.parse_reference(image)
    return reference is not None and names.parse_host(reference.host) is not None


def resolve_image(reader: Reader, image: str) -> ResolvedImage | None:
    """The image that a reference with an ECR host (``….dkr.ecr.….localhost:4566/name:tag``) stands for now.

    ``None`` where the host is no ECR registry, or it has no such repository, tag or digest.
    """
    reference = names.parse_reference(image)
    address = names.parse_host(reference.host) if reference else None
    if reference is None or address is None:
        return None
    arn = names.repository_arn(address.account, address.region, reference.name)
    digest = reference.digest
    if not digest:
        tag = reader.get(TAGS, member(arn, reference.tag))
        digest = tag.digest if tag else ""
    stored = reader.get(IMAGES, member(arn, digest))
    if stored is None or reader.get(REPOSITORIES, arn) is None:
        return None
    return ResolvedImage(
        repository_arn=arn,
        account=address.account,
        region=address.region,
        name=reference.name,
        digest=digest,
        media_type=stored.media_type,
    )


def resource_tags(reader: Reader, parts: Arn) -> dict[str, str] | None:
    """The tags of the resource of an ARN, none of one that does not exist; ``None`` where its kind has none."""
    found = reader.get(REPOSITORIES, str(parts))
    return {tag["Key"]: tag["Value"] for tag in found.tags} if found is not None else {}
