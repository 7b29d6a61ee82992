"""The policies of users, as the store has them now: worked out once, and anew after a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dryport.iam import managed
from dryport.iam.model import IDENTITIES, POLICIES, Credential, Identity
from dryport.iam.policy import Attached, Caller, CallerKind, Policies
from dryport.store import Reader, View

_NOTHING = '{"Version": "2012-10-17", "Statement": []}'


@dataclass(frozen=True, slots=True)
class Identified:
    """What is known of a caller: its policies, and the keys that it brings to each request."""

    policies: Policies
    keys: dict[str, str | tuple[str, ...]]


def _clear(known: dict[str, Identified], change: Any) -> None:
    known.clear()


_KNOWN: View[dict[str, Identified]] = View("iam.identified", (IDENTITIES, POLICIES), dict, _clear)


def of(reader: Reader, credential: Credential) -> Identified:
    """Whose policies a credential stands under. A user who is no more has none, and is refused everything."""
    unique_id = credential.identity or ""
    known = reader.view(_KNOWN)
    found = known.get(unique_id)
    if found is None:
        found = known[unique_id] = _look(reader, unique_id)
    return found


def caller(credential: Credential) -> Caller:
    """Who calls, as the engine takes it."""
    return Caller(CallerKind.USER, credential.principal_arn, credential.account, unique_ids=(credential.user_id,))


def identity(reader: Reader, unique_id: str) -> Identity | None:
    """The user, group or role of a unique id."""
    return next(iter(reader.find(IDENTITIES, "id", unique_id)), None)


def document(reader: Reader, policy_arn: str) -> str | None:
    """What a managed policy says, AWS's or a customer's."""
    own = reader.get(POLICIES, policy_arn)
    return own.document if own is not None else managed.document(policy_arn)


def attached(reader: Reader, one: Identity) -> list[Attached]:
    """The policies of a user with those of its groups."""
    groups = [found for group in one.groups if (found := identity(reader, group)) is not None]
    every: list[Attached] = []
    for holder in (one, *groups):
        every += [Attached(name, text) for name, text in holder.inline.items()]
        every += [Attached(arn, text) for arn in holder.attached if (text := document(reader, arn)) is not None]
    return every


def _look(reader: Reader, unique_id: str) -> Identified:
    one = identity(reader, unique_id)
    if one is None:
        return Identified(Policies(), {})
    boundary = None
    if one.boundary is not None:
        boundary = Attached(one.boundary, document(reader, one.boundary) or _NOTHING)
    keys: dict[str, str | tuple[str, ...]] = {
        f"aws:principaltag/{key.lower()}": value for key, value in one.tags.items()
    }
    keys |= {"aws:username": one.name, "aws:principaltype": "User"}
    return Identified(Policies(tuple(attached(reader, one)), boundary=boundary), keys)
