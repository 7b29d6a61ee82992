"""The policy simulator: the engine asked about policies that nobody has. Pure.

Source: "SimulateCustomPolicy", IAM API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dryport.aws import arn as arns
from dryport.iam.policy import Attached, Caller, Decision, Policies, Request, evaluate, sources
from dryport.iam.policy.arns import split
from dryport.iam.policy.compiled import compiled
from dryport.iam.policy.patterns import Context
from dryport.iam.policy.principals import Named


@dataclass(frozen=True, slots=True)
class Matched:
    """A statement that decided: its policy, and where it stands in the document."""

    policy: str
    start: sources.Position
    end: sources.Position


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an action on a resource. ``within_boundary`` is ``None`` where there is no boundary."""

    decision: Decision
    matched: Sequence[Matched]
    within_boundary: bool | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """Who is simulated, with which policies. ``owner`` is the account of resources whose ARNs name none."""

    caller: Caller
    policies: Policies
    context: Context
    owner: str

    def ask(self, action: str, resource: str) -> Result:
        """What the policies say of an action on a resource, with the statements that made it so.

        A refusal by a statement names those that refuse and no others; one for want of any statement names none.
        """
        policies = self.policies
        request = Request(action, resource, self.caller, self.context, self._account(resource))
        decision = evaluate(request, policies)
        matched: list[Matched] = []
        if decision.allowed or decision.explicit:
            speaking = [*policies.identity, *([policies.resource] if policies.resource else [])]
            if decision.explicit and policies.boundary:
                speaking.append(policies.boundary)
            matched = [found for one in speaking for found in self._matched(one, request, deny=decision.explicit)]
        within = None
        if policies.boundary is not None:
            within = evaluate(
                Request(action, resource, self.caller, self.context, self.caller.account),
                Policies(identity=(policies.boundary,)),
            ).allowed
        return Result(decision, matched, within)

    def missing(self) -> list[str]:
        """The keys that the policies ask for, whatever their statements are about, and that are not given."""
        policies = self.policies
        everything = [*policies.identity, *(one for one in (policies.boundary, policies.resource) if one)]
        names = {name.lower(): name for one in everything for name in reversed(sources.keys(one.document))}
        return [name for key, name in sorted(names.items()) if key not in self.context]

    def _account(self, resource: str) -> str:
        """Whose the resource is. Without its policy only the caller's own side is asked, wherever it lies."""
        if self.policies.resource is None:
            return self.caller.account
        parts = arns.parse(resource)
        return parts.account if parts is not None and parts.account.isdigit() else self.owner

    def _matched(self, attached: Attached, request: Request, *, deny: bool) -> list[Matched]:
        denies, allows = compiled(attached.document).of(request.action.lower())
        parts = split(request.resource)
        found = [
            statement
            for statement in (denies if deny else allows)
            if statement.named(self.caller) is not Named.NOT
            and statement.covers(request.resource, parts, request.context)
        ]
        spans = sources.spans(attached.document) if found else []
        return [Matched(attached.name, *spans[statement.index]) for statement in found]
