"""What is asked: who wants to do what with which resource, and the keys that the request brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dryport.aws import arn as arns
from dryport.iam.policy.patterns import Context


class CallerKind(Enum):
    """What a caller is, which decides what of a policy's Principal it can be."""

    ROOT = "root"
    USER = "user"
    ROLE = "role"  # a session of a role
    FEDERATED_USER = "federated user"  # of GetFederationToken
    FEDERATED = "federated"  # somebody with a token of an identity provider, before a role is assumed
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    ``arn`` is the caller's: of the root, a user, a role's session; of a federated caller its provider's, or name; a
    service's is its principal, as ``ecs-tasks.amazonaws.com``; empty for an anonymous one. ``account`` is empty where
    there is none. ``role_arn`` is the role behind a session, ``unique_ids`` are AROA… or AIDA…, ``canonical_user`` is
    the account's id in S3.
    """

    kind: CallerKind
    arn: str = ""
    account: str = ""
    role_arn: str | None = None
    unique_ids: tuple[str, ...] = ()
    canonical_user: str | None = None
    service_linked: bool = False  # a session of a service-linked role: service control policies do not bind it
    services: tuple[str, ...] = ()  # further names of a calling service


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource.

    ``resource`` is an ARN, or ``*`` for an action that has none. ``context`` has keys in lower case (``aws:sourceip``),
    of strings, or of sequences of strings for multivalued keys. ``resource_account`` is the account that owns the
    resource, by default the ARN's, or the caller's where the ARN has none.
    """

    action: str
    resource: str
    caller: Caller
    context: Context
    resource_account: str | None = None

    @property
    def cross_account(self) -> bool:
        """Whether the caller is of another account than the resource."""
        owner = self.resource_account
        if owner is None:
            arn = arns.parse(self.resource)
            owner = arn.account if arn is not None and arn.account.isdigit() else self.caller.account
        return owner != self.caller.account


class Attached(NamedTuple):
    """A policy document with the name that it is reported by: an ARN or an inline policy's name."""

    name: str
    document: str


@dataclass(frozen=True, slots=True)
class Policies:
    """Every policy that speaks to a request.

    ``boundary`` and ``session`` are ``None`` where there is no such limit; several session policies add up. Of
    ``service_control``, one entry a level of the organization, each level must allow. ``resource_decides`` is for
    resources whose policy must allow whatever the identity has: a role's trust policy.
    """

    identity: Sequence[Attached] = ()
    resource: Attached | None = None
    boundary: Attached | None = None
    session: Sequence[Attached] | None = None
    service_control: Sequence[Sequence[Attached]] = ()
    resource_decides: bool = False
