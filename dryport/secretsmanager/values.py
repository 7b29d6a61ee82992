"""Values: sealing them into versions, and opening them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.secretsmanager import stages
from dryport.secretsmanager.model import SECRETS, VERSIONS, Secret, SecretVersion, version_key
from dryport.store import Transaction
from dryport.store.sealing import Sealer

_KEPT = 100  # versions; AWS removes deprecated ones beyond so many, once they are a day old
_DAY = 86_400.0


def given(request: Mapping[str, Any]) -> str | bytes | None:
    """The value that a request holds, if it does. Raises ServiceError where it holds two."""
    text, binary = request.get("SecretString"), request.get("SecretBinary")
    if text is not None and binary is not None:
        raise ServiceError(
            "InvalidParameterException",
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )
    value: str | bytes | None = text if text is not None else binary
    return value


def opened(sealer: Sealer, version: SecretVersion) -> str | bytes:
    """A version's value."""
    plain = sealer.open(version.sealed, version_key(version.secret, version.id))
    return plain if version.binary else plain.decode()


def shape(sealer: Sealer, version: SecretVersion) -> dict[str, str | bytes]:
    """The member of an answer that holds a version's value."""
    return {"SecretBinary" if version.binary else "SecretString": opened(sealer, version)}


def add_version(
    tx: Transaction,
    sealer: Sealer,
    secret: Secret,
    version_id: str,
    value: str | bytes,
    labels: list[str] | None,
    now: float,
) -> Secret:
    """Store a value as a new version; the secret as it is then.

    A version of this id and value that is there already is left as it is. Raises ServiceError where the id is taken by
    another value.
    """
    before = tx.get(VERSIONS, version_key(secret.arn, version_id))
    if before is not None:
        if opened(sealer, before) == value:
            return secret
        raise ServiceError(
            "ResourceExistsException",
            f"You can't use ClientRequestToken {version_id} because that value is already in use for a version of "
            f"secret {secret.arn}.",
        )
    plain = value if isinstance(value, bytes) else value.encode()
    version = SecretVersion(
        secret=secret.arn,
        id=version_id,
        created_at=now,
        sealed=sealer.seal(plain, version_key(secret.arn, version_id)),
        binary=isinstance(value, bytes),
    )
    tx.put(VERSIONS, version)
    changed = msgspec.structs.replace(secret, stages=stages.add(secret.stages, version_id, labels), changed_at=now)
    tx.put(SECRETS, changed)
    _prune(tx, changed, now)
    return changed


def _prune(tx: Transaction, secret: Secret, now: float) -> None:
    versions = tx.find(VERSIONS, "secret", secret.arn)
    labelled = set(secret.stages.values())
    old = [one for one in versions if one.id not in labelled and one.created_at < now - _DAY]
    for version in sorted(old, key=lambda one: one.created_at)[: max(0, len(versions) - _KEPT)]:
        tx.delete(VERSIONS, version_key(secret.arn, version.id))


def forget(tx: Transaction, secret: Secret) -> None:
    """Delete a secret and its versions for good."""
    for key in tx.keys(VERSIONS, "secret", secret.arn):
        tx.delete(VERSIONS, key)
    tx.delete(SECRETS, secret.arn)
