"""Making and finding credentials: what other services may call."""

from __future__ import annotations

import base64
from random import Random

from dryport.aws import arn
from dryport.iam.model import CREDENTIALS, IDENTITIES, LAST_USES, Credential, Identity, identity_key
from dryport.store import Reader, Transaction

ASSUMED = "sts/"  # with what the owner of an assumed role's session begins
SESSION_SECONDS = 6 * 3600.0  # what ECS gives the credentials of a task


def unique_id(random: Random, prefix: str) -> str:
    """An identifier such as ``AIDA…`` (a user's), of 21 characters as IAM's are. ``random`` as for keys."""
    return prefix + base64.b32encode(random.randbytes(11)).decode()[:17]


def key_id(random: Random, prefix: str) -> str:
    """An access key id, ``AKIA…`` or ``ASIA…``."""
    return prefix + base64.b32encode(random.randbytes(10)).decode()


def secret(random: Random, octets: int) -> str:
    """Random octets as text. ``random`` must be a cryptographic source."""
    return base64.b64encode(random.randbytes(octets)).decode()


def find(reader: Reader, access_key_id: str) -> Credential | None:
    """The credential of an access key id, expired or not."""
    return reader.get(CREDENTIALS, access_key_id)


def create_key(
    tx: Transaction,
    random: Random,
    account: str,
    principal_arn: str,
    user_id: str,
    now: float | None = None,
    identity: str | None = None,
) -> Credential:
    """A new long-term access key of a principal. ``random`` must be a cryptographic source."""
    credential = Credential(
        access_key_id=key_id(random, "AKIA"),
        secret_access_key=secret(random, 30),
        account=account,
        principal_arn=principal_arn,
        user_id=user_id,
        created=now,
        identity=identity,
    )
    tx.put(CREDENTIALS, credential)
    return credential


def create_root_key(tx: Transaction, random: Random, account: str, now: float | None = None) -> Credential:
    """A new access key of an account's root user."""
    return create_key(tx, random, account, arn.make("iam", "", account, "root"), account, now)


def root_keys(reader: Reader, account: str) -> list[Credential]:
    """The access keys of an account's root user, inactive ones too, the oldest first."""
    found = [c for c in reader.find(CREDENTIALS, "account", account) if c.session_token is None]
    return [c for c in found if c.user_id == account]


def user_keys(reader: Reader, user: Identity) -> list[Credential]:
    """The access keys of a user, inactive ones too, the oldest first."""
    return [c for c in reader.find(CREDENTIALS, "identity", user.id) if c.session_token is None]


def put(tx: Transaction, credential: Credential) -> None:
    """Keep a changed credential."""
    tx.put(CREDENTIALS, credential)


def forget(tx: Transaction, credential: Credential) -> None:
    """Forget a credential: it is refused from the next request on."""
    tx.delete(CREDENTIALS, credential.access_key_id)
    if credential.session_token is None:
        tx.delete(LAST_USES, credential.access_key_id)


def issue_session(
    tx: Transaction,
    random: Random,
    *,
    role_arn: str,
    session_name: str,
    now: float,
    owner: str | None = None,
    seconds: float = SESSION_SECONDS,
) -> Credential:
    """Temporary credentials of a role, as AssumeRole gives them, under its policies.

    Those of a role that is no more may do nothing. ``random`` must be a cryptographic source.
    """
    role = arn.parse(role_arn)
    if role is None:
        raise ValueError(f"{role_arn} is not an ARN")
    role_name = role.resource.rsplit("/", 1)[-1]
    stored = tx.get(IDENTITIES, identity_key(role.account, "role", role_name))
    role_id = stored.id if stored is not None and stored.arn == role_arn else unique_id(random, "AROA")
    credential = Credential(
        access_key_id=key_id(random, "ASIA"),
        secret_access_key=secret(random, 30),
        session_token=secret(random, 96),
        account=role.account,
        principal_arn=arn.make("sts", "", role.account, f"assumed-role/{role_name}/{session_name}"),
        user_id=f"{role_id}:{session_name}",
        role_arn=role_arn,
        identity=role_id,
        created=now,
        expires=now + seconds,
        owner=owner,
    )
    tx.put(CREDENTIALS, credential)
    return credential


def revoke_sessions(tx: Transaction, owner: str) -> None:
    """Forget every session that was issued for an owner."""
    for key in tx.keys(CREDENTIALS, "owner", owner):
        tx.delete(CREDENTIALS, key)


def revoke_expired(tx: Transaction, owner: str, now: float) -> None:
    """Forget the sessions of an owner that have ended."""
    for credential in tx.find(CREDENTIALS, "owner", owner):
        if credential.expires is not None and credential.expires <= now:
            tx.delete(CREDENTIALS, credential.access_key_id)
