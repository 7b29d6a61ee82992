"""Principal and NotPrincipal: whom a resource-based policy means, and how directly.

Source: "AWS JSON policy elements: Principal" and "… NotPrincipal", IAM user guide.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

from dryport.iam.policy.conditions import texts
from dryport.iam.policy.request import Caller, CallerKind

_ACCOUNT = re.compile(r"(?:arn:[^:]+:iam::)?(\d{12})(?::root)?")


class Named(IntEnum):
    """How a policy names a caller.

    An account hands the decision on to its own policies. A role that is named needs no identity policy, but its session
    stays within its permissions boundary and session policy; who is named directly (a user, a session, everybody) is
    not limited by what those leave out.
    """

    NOT = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECTLY = 3


class Principals:
    """The principals that an element lists."""

    __slots__ = ("_accounts", "_arns", "_canonical", "_everybody", "_federated", "_services")

    def __init__(self, element: Any) -> None:
        listed = {"AWS": element} if isinstance(element, str) else element
        aws = texts(listed.get("AWS", []))
        accounts = {match[1] for match in map(_ACCOUNT.fullmatch, aws) if match}
        self._everybody = "*" in aws
        self._accounts = frozenset(accounts)
        self._arns = frozenset(aws)
        self._services = frozenset(texts(listed.get("Service", [])))
        self._federated = frozenset(texts(listed.get("Federated", [])))
        self._canonical = frozenset(texts(listed.get("CanonicalUser", [])))

    def names(self, caller: Caller) -> Named:
        """How they name a caller."""
        if self._everybody:
            return Named.DIRECTLY
        if caller.kind is CallerKind.SERVICE:
            mine = (caller.arn, *caller.services)
            everyone = "*" in self._services
            return Named.DIRECTLY if everyone or not self._services.isdisjoint(mine) else Named.NOT
        if caller.kind is CallerKind.FEDERATED:
            return Named.DIRECTLY if caller.arn in self._federated or "*" in self._federated else Named.NOT
        if caller.kind is CallerKind.ANONYMOUS:
            return Named.NOT
        if caller.arn in self._arns and caller.kind is not CallerKind.ROOT:
            return Named.DIRECTLY
        if not self._arns.isdisjoint(caller.unique_ids):
            return Named.ROLE if caller.kind is CallerKind.ROLE else Named.DIRECTLY
        if caller.role_arn is not None and caller.role_arn in self._arns:
            return Named.ROLE
        if caller.account in self._accounts or caller.canonical_user in self._canonical:
            return Named.ACCOUNT
        return Named.NOT

    def spares(self, caller: Caller) -> bool:
        """Whether as a NotPrincipal they except a caller.

        Its account and, of a session, its role must be listed with it.
        """
        if self._everybody:
            return True
        if caller.kind in (CallerKind.SERVICE, CallerKind.FEDERATED, CallerKind.ANONYMOUS):
            return self.names(caller) is not Named.NOT
        account = caller.account in self._accounts
        if caller.kind is CallerKind.ROOT:
            return account
        role = caller.role_arn is None or caller.role_arn in self._arns
        return account and role and caller.arn in self._arns
