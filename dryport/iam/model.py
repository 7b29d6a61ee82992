"""What is stored of identity."""

from __future__ import annotations

import msgspec

from dryport.store import Table


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An access key: a long-term one, or with ``session_token`` and ``expires`` a temporary one.

    ``principal_arn`` is who the key signs for, ``role_arn`` the role behind a session. ``expires`` and
    ``created`` are in seconds since the epoch. An ``inactive`` key is refused as one that is not there.
    """

    access_key_id: str
    secret_access_key: str
    account: str
    principal_arn: str
    user_id: str
    session_token: str | None = None
    role_arn: str | None = None
    expires: float | None = None
    created: float | None = None
    inactive: bool = False
    owner: str | None = None  # what a session was issued for, a task's ARN: they go together


CREDENTIALS = Table(
    "iam.credential",
    Credential,
    key=lambda c: c.access_key_id,
    indexes={"owner": lambda c: c.owner, "account": lambda c: c.account},
)
