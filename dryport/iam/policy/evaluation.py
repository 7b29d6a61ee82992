"""The decision. Pure: a request and the policies that speak to it in, allowed or not and by which statement out.

1. A statement that denies, in whatever policy, decides.
2. Each level of the organization must allow.
3. Within an account, a resource-based policy that names the caller allows by itself: a role within its permissions
   boundary and session policy, all others whatever those leave out. One that names the account hands on to step 4.
4. Otherwise an identity-based policy must allow, and the permissions boundary and session policy where there are any.
5. Between accounts both must allow: the resource's policy, and all of the caller's side.

Source: "Policy evaluation logic", "Cross-account policy evaluation logic" and "Permissions boundaries for IAM
entities", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dryport.iam.policy.arns import split
from dryport.iam.policy.compiled import Statement, Statements, compiled
from dryport.iam.policy.principals import Named
from dryport.iam.policy.request import Attached, CallerKind, Policies, Request


class PolicyType(Enum):
    """The kinds of policies, as AWS's messages name them."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    SERVICE_CONTROL = "service control policy"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided and why.

    ``by`` is the type of policy that refused, or allowed. A statement that decided is given by its policy's name, its
    index (from 0) and its id; an implicit refusal has none. A root user of its own account is allowed by no policy.
    """

    allowed: bool
    explicit: bool = False  # refused by a statement that denies
    by: PolicyType | None = None
    policy: str | None = None
    statement: int | None = None
    sid: str | None = None
    cross_account: bool = False


class _Found(NamedTuple):
    attached: Attached
    statement: Statement
    named: Named = Named.DIRECTLY

    def decision(self, allowed: bool, by: PolicyType, cross_account: bool) -> Decision:
        statement = self.statement
        return Decision(allowed, not allowed, by, self.attached.name, statement.index, statement.sid, cross_account)


def evaluate(request: Request, policies: Policies) -> Decision:
    """Whether a request may go on. Raises ValueError for a document that ``grammar.check`` would have refused."""
    return _Evaluation(request, policies).decide()


class _Evaluation:
    __slots__ = ("_action", "_cross", "_identity", "_parts", "_policies", "_request", "_tail")

    def __init__(self, request: Request, policies: Policies) -> None:
        self._request = request
        self._policies = policies
        self._action = request.action.lower()
        self._parts = split(request.resource)
        self._tail = self._parts[-1] if self._parts else request.resource
        self._cross = request.cross_account
        self._identity = self._look(policies.identity)

    def decide(self) -> Decision:
        return self._denied() or self._outside() or self._allowed()

    def _denied(self) -> Decision | None:
        """A statement that denies, in the order in which AWS looks at the types."""
        policies = self._policies
        for level in policies.service_control:
            if not self._request.caller.service_linked and (found := self._first(self._look(level), deny=True)):
                return found.decision(False, PolicyType.SERVICE_CONTROL, self._cross)
        if policies.resource and (found := self._best(policies.resource, deny=True)):
            return found.decision(False, PolicyType.RESOURCE, self._cross)
        if found := self._first(self._identity, deny=True):
            return found.decision(False, PolicyType.IDENTITY, self._cross)
        if policies.boundary and (found := self._first(self._look((policies.boundary,)), deny=True)):
            return found.decision(False, PolicyType.BOUNDARY, self._cross)
        if policies.session and (found := self._first(self._look(policies.session), deny=True)):
            return found.decision(False, PolicyType.SESSION, self._cross)
        return None

    def _outside(self) -> Decision | None:
        """A level of the organization that does not allow."""
        if self._request.caller.service_linked:
            return None
        for level in self._policies.service_control:
            if self._first(self._look(level)) is None:
                return self._refused(PolicyType.SERVICE_CONTROL)
        return None

    def _allowed(self) -> Decision:
        policies, caller = self._policies, self._request.caller
        by_resource = self._best(policies.resource) if policies.resource else None
        named = by_resource.named if by_resource else Named.NOT
        if caller.kind in (CallerKind.SERVICE, CallerKind.FEDERATED, CallerKind.ANONYMOUS):
            if by_resource:
                return by_resource.decision(True, PolicyType.RESOURCE, self._cross)
            return self._refused(PolicyType.RESOURCE)
        if by_resource is None and policies.resource_decides:
            return self._refused(PolicyType.RESOURCE)
        if by_resource and not self._cross and named is not Named.ACCOUNT:
            limit = self._limit() if named is Named.ROLE else None
            return self._refused(limit) if limit else by_resource.decision(True, PolicyType.RESOURCE, False)
        granted = self._first(self._identity)
        if granted is None and caller.kind is not CallerKind.ROOT:
            return self._refused(PolicyType.IDENTITY)
        if limit := self._limit():
            return self._refused(limit)
        if self._cross and by_resource is None:
            return self._refused(PolicyType.RESOURCE)
        if granted is None:
            return Decision(True, cross_account=self._cross)
        return granted.decision(True, PolicyType.IDENTITY, self._cross)

    def _limit(self) -> PolicyType | None:
        """What of the caller's limits does not allow."""
        boundary, session = self._policies.boundary, self._policies.session
        if boundary is not None and self._first(self._look((boundary,))) is None:
            return PolicyType.BOUNDARY
        if session is not None and self._first(self._look(session)) is None:
            return PolicyType.SESSION
        return None

    def _refused(self, by: PolicyType) -> Decision:
        return Decision(False, by=by, cross_account=self._cross)

    def _look(self, attached: Iterable[Attached]) -> list[tuple[Attached, Statements, Statements]]:
        """What policies have to say of the action: statements that deny, and that allow."""
        action = self._action
        return [(policy, *compiled(policy.document).of(action)) for policy in attached]

    def _first(self, looked: Iterable[tuple[Attached, Statements, Statements]], *, deny: bool = False) -> _Found | None:
        """The first statement of policies that name no principals which denies, or allows."""
        tail, resource, context = self._tail, self._request.resource, self._request.context
        for policy, denies, allows in looked:
            for statement in denies if deny else allows:
                # One call of C sends most statements away.
                likely = tail.startswith(statement.leads) or statement.inverted
                if likely and statement.covers(resource, self._parts, context):
                    return _Found(policy, statement)
        return None

    def _best(self, attached: Attached, *, deny: bool = False) -> _Found | None:
        """The statement of a resource-based policy that names the caller most directly."""
        request = self._request
        denies, allows = compiled(attached.document).of(self._action)
        found: _Found | None = None
        for statement in denies if deny else allows:
            named = statement.named(request.caller)
            better = named > (found.named if found else Named.NOT)
            if better and statement.covers(request.resource, self._parts, request.context):
                found = _Found(attached, statement, named)
        return found
