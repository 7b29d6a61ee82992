"""Roles put into a store, for tests of what needs some and has no IAM."""

from __future__ import annotations

from typing import Any

from dryport.control.config import DEFAULT_ACCOUNT
from dryport.iam.model import IDENTITIES, Identity
from tests.iam.accounts import trust


def put_roles(tx: Any, service: str, *names: str) -> None:
    """Roles that a service of AWS's (``ecs-tasks``) may assume, and which may do nothing."""
    for name in names:
        role = Identity(
            kind="role",
            account=DEFAULT_ACCOUNT,
            partition="aws",
            name=name,
            path="/",
            id=f"AROA{name.upper():A<17.17}",
            created=0.0,
            trust=trust(service),
        )
        tx.put(IDENTITIES, role)
