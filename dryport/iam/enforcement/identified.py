"""The policies of users and roles, as the store has them now: worked out once, and anew after a change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from dryport.aws import arn as arns
from dryport.iam import managed
from dryport.iam.authorization import Gist, Resource
from dryport.iam.enforcement.tagged import asked
from dryport.iam.model import IDENTITIES, POLICIES, Credential, Identity, identity_key
from dryport.iam.policy import Attached, Caller, CallerKind, Policies, sources
from dryport.iam.policy.cautious import cautious
from dryport.iam.policy.compiled import compiled
from dryport.store import Reader, View

_SETTLED = 4096  # decisions kept of each caller
_READ = 512  # readings kept of each caller
_EVERYTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
_NOBODY = "-"  # nobody's unique id
_NOTHING = '{"Version": "2012-10-17", "Statement": []}'


@dataclass(frozen=True, slots=True)
class Identified:
    """What is known of a caller: its policies, and the keys that it brings to each request."""

    policies: Policies
    keys: dict[str, str | tuple[str, ...]]
    role_arn: str | None = None
    asks_tags: bool = False  # whether the policies ask for the tags of resources
    read: dict[tuple[str, tuple[str, ...], str | None], Policies] = field(default_factory=dict)

    # Actions on resources that are allowed whatever else a request brings: no condition and no variable is asked about.
    settled: set[tuple[str, Resource]] = field(default_factory=set)
    # Whole requests of that kind, whose resources are what they are whatever the store holds: service, operation,
    # region, and the body or what of the input decides.
    passed: set[tuple[str, str, str, bytes | Gist | None]] = field(default_factory=set)

    # Of operations (service and name), in whose bodies nothing of this may stand so that they are allowed whatever else
    # does; ``None`` where what stands there decides.
    free: dict[tuple[str, str], tuple[bytes, ...] | None] = field(default_factory=dict)

    def wholly(self, action: str) -> bool:
        """Whether an action is allowed on every resource of the account: nothing denies or bounds it anywhere."""
        name = action.lower()
        spoken = [compiled(one.document).of(name) for one in self.policies.identity]
        if self.policies.boundary is not None or any(denies for denies, _ in spoken):
            return False
        return any(statement.is_blanket for _, allows in spoken for statement in allows)

    def passing(self, request: tuple[str, str, str, bytes | Gist | None]) -> None:
        """Note a request that is allowed whatever else is so."""
        if len(self.passed) >= _SETTLED:
            self.passed.clear()
        self.passed.add(request)

    def settle(self, action: str, resource: Resource, policies: Policies) -> None:
        """Note that an action on a resource is allowed, where that hangs on nothing else."""
        speaking = [*policies.identity, *([policies.boundary] if policies.boundary else [])]
        if policies.session is None and all(_is_plain(one.document) for one in speaking):
            if len(self.settled) >= _SETTLED:
                self.settled.clear()
            self.settled.add((action, resource))

    def speaking_of(self, action: str, unknown: tuple[str, ...], wide: str | None) -> Policies:
        """Those of the policies that have a statement about an action, read as ``policy.cautious`` says; kept."""
        key = action, unknown, wide
        known = self.read.get(key)
        if known is None:
            if len(self.read) >= _READ:
                self.read.clear()
            name, policies = action.lower(), self.policies
            found = tuple(one for one in policies.identity if any(compiled(one.document).of(name)))
            known = self.read[key] = with_caution(replace(policies, identity=found), unknown, wide)
        return known


@lru_cache(maxsize=1024)
def _is_plain(document: str) -> bool:
    """Whether a document has neither conditions nor variables."""
    return not sources.keys(document)


def _clear(known: dict[str, Identified], change: Any) -> None:
    known.clear()


_KNOWN: View[dict[str, Identified]] = View("iam.identified", (IDENTITIES, POLICIES), dict, _clear)


def binding(reader: Reader, credential: Credential) -> str | None:
    """The unique id of whose policies bind a credential; ``None`` for the root user.

    Sessions of older stores do not name it; that of a role which is no more may do nothing.
    """
    if credential.identity is not None or credential.role_arn is None:
        return credential.identity
    role = role_of(reader, credential.role_arn)
    return role.id if role is not None else _NOBODY


def role_of(reader: Reader, role_arn: str) -> Identity | None:
    """The stored role of an ARN, by its name: who has only the name knows no path."""
    parts = arns.parse(role_arn)
    if parts is None or not parts.resource.startswith("role/"):
        return None
    return reader.get(IDENTITIES, identity_key(parts.account, "role", parts.resource.rpartition("/")[2]))


def of(reader: Reader, unique_id: str) -> Identified:
    """What is known of a user or a role. One that is no more has no policies, and is refused everything."""
    known = reader.view(_KNOWN)
    found = known.get(unique_id)
    if found is None:
        found = known[unique_id] = _look(reader, unique_id)
    return found


def policies_of(
    reader: Reader,
    credential: Credential,
    known: Identified,
    action: str,
    unknown: tuple[str, ...] = (),
    wide: str | None = None,
) -> Policies:
    """The policies of a caller that speak of an action, with those that its session was limited by.

    ``unknown`` and ``wide`` are what is not known, as ``policy.cautious`` has it.
    """
    policies = known.speaking_of(action, unknown, wide)
    if credential.limits is None:
        return policies
    session = tuple(Attached(one[:64], _limit(reader, one)) for one in credential.limits)
    return replace(policies, session=with_caution(Policies(session), unknown, wide).identity)


def with_caution(policies: Policies, unknown: tuple[str, ...], wide: str | None) -> Policies:
    """Identity policies and boundary as they are to be read where something is not known."""
    if wide is None and not unknown:
        return policies

    def read(one: Attached) -> Attached:
        return Attached(one.name, cautious(one.document, unknown, wide))

    boundary = read(policies.boundary) if policies.boundary else None
    return replace(policies, identity=tuple(map(read, policies.identity)), boundary=boundary)


def _limit(reader: Reader, one: str) -> str:
    return one if one.startswith("{") else document(reader, one) or _NOTHING


def caller(credential: Credential, known: Identified) -> Caller:
    """Who calls, as the engine takes it."""
    arn, account, user_id = credential.principal_arn, credential.account, credential.user_id
    if credential.role_arn is None and ":federated-user/" in arn:
        return Caller(CallerKind.FEDERATED_USER, arn, account, unique_ids=(user_id,))
    if credential.role_arn is None:
        kind = CallerKind.ROOT if arn.endswith(":root") else CallerKind.USER
        return Caller(kind, arn, account, unique_ids=(user_id,))
    role_arn = known.role_arn or credential.role_arn
    return Caller(CallerKind.ROLE, arn, account, role_arn, (user_id.partition(":")[0], user_id))


def identity(reader: Reader, unique_id: str) -> Identity | None:
    """The user, group or role of a unique id."""
    return next(iter(reader.find(IDENTITIES, "id", unique_id)), None)


def document(reader: Reader, policy_arn: str) -> str | None:
    """What a managed policy says, AWS's or a customer's."""
    own = reader.get(POLICIES, policy_arn)
    return own.document if own is not None else managed.document(policy_arn)


def attached(reader: Reader, one: Identity) -> list[Attached]:
    """The policies of a role, or of a user with those of its groups."""
    groups = [found for group in one.groups if (found := identity(reader, group)) is not None]
    every: list[Attached] = []
    for holder in (one, *groups):
        every += [Attached(name, text) for name, text in holder.inline.items()]
        every += [Attached(arn, text) for arn in holder.attached if (text := document(reader, arn)) is not None]
    return every


def _look(reader: Reader, unique_id: str) -> Identified:
    if unique_id.isdigit():  # an account: whom its root user vouches for
        return Identified(Policies((Attached("root", _EVERYTHING),)), {})
    one = identity(reader, unique_id)
    if one is None:
        return Identified(Policies(), {})
    boundary = None
    if one.boundary is not None:
        boundary = Attached(one.boundary, document(reader, one.boundary) or _NOTHING)
    keys: dict[str, str | tuple[str, ...]] = {
        f"aws:principaltag/{key.lower()}": value for key, value in one.tags.items()
    }
    policies = Policies(tuple(attached(reader, one)), boundary=boundary)
    if one.kind == "role":
        keys |= {"aws:principalarn": one.arn, "aws:principaltype": "AssumedRole"}
        return Identified(policies, keys, one.arn, asked(policies))
    return Identified(
        policies, keys | {"aws:username": one.name, "aws:principaltype": "User"}, asks_tags=asked(policies)
    )
