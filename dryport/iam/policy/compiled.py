"""Policies, compiled: what a document says of an action is worked out once, the rest when it is first asked.

A document of 20 statements is read in some microseconds; patterns and conditions of a statement are compiled when a
request first comes that far, and the statements of an action are remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from dryport.iam.policy.arns import ArnPattern, lead, resource_pattern
from dryport.iam.policy.conditions import Condition, compile_conditions, texts
from dryport.iam.policy.patterns import Context, action_glob
from dryport.iam.policy.principals import Named, Principals
from dryport.iam.policy.request import Caller

VARIABLES_SINCE = "2012-10-17"
_ACTIONS_REMEMBERED = 512  # a policy: more than Dryport has of a service


class Statement:
    """One statement. ``index`` counts from 0.

    ``action_leads`` is with what its actions begin; ``leads``, there once its action is asked for, with what the last
    part of its resources begins: most statements need no further look. ``inverted`` ones have NotResource.
    """

    __slots__ = (
        *("_body", "_conditions", "_patterns", "_principals", "_variables"),
        *("action_leads", "deny", "index", "inverted", "leads", "sid"),
    )

    def __init__(self, body: dict[str, Any], index: int, variables: bool) -> None:
        self._body = body
        self._variables = variables
        self._patterns: tuple[ArnPattern, ...] | None = None
        self._conditions: tuple[Condition, ...] | None = None
        self._principals: Principals | None = None
        self.deny = body["Effect"] == "Deny"
        self.index = index
        self.inverted = "NotResource" in body
        listed = body.get("Action", "*")
        self.action_leads = tuple(map(_lead, (listed,) if isinstance(listed, str) else listed))
        self.leads: tuple[str, ...] = ()
        self.sid: str | None = body.get("Sid")

    def acts_on(self, action: str) -> bool:
        """Whether an action, in lower case, is one of its actions."""
        listed = self._body.get("Action")
        if listed is None:
            return not _one_of(self._body["NotAction"], action)
        return _one_of(listed, action)

    @property
    def is_blanket(self) -> bool:
        """Whether it speaks of every resource, on no condition."""
        body = self._body
        return not self.inverted and "*" in texts(body.get("Resource", "*")) and not body.get("Condition")

    def named(self, caller: Caller) -> Named:
        """How it names a caller; a statement of an identity's policy speaks of that identity."""
        negated = "NotPrincipal" in self._body
        element = self._body.get("NotPrincipal" if negated else "Principal")
        if element is None:
            return Named.DIRECTLY
        if self._principals is None:
            self._principals = Principals(element)
        if negated:
            return Named.NOT if self._principals.spares(caller) else Named.DIRECTLY
        return self._principals.names(caller)

    def covers(self, resource: str, parts: tuple[str, ...] | None, context: Context) -> bool:
        """Whether a resource is among its resources, and its conditions hold. Raises ValueError for no operator."""
        if self._patterns is None:
            self._patterns = tuple(resource_pattern(text, self._variables) for text in self._resources())
        if any(pattern.matches(resource, parts, context) for pattern in self._patterns) is self.inverted:
            return False
        conditions = self._conditions
        if conditions is None:
            block = self._body.get("Condition") or {}
            conditions = self._conditions = compile_conditions(block, variables=self._variables)
        return all(condition(context) for condition in conditions) if conditions else True

    def prepare(self) -> None:
        """Find the leads."""
        self.leads = tuple(map(lead, self._resources()))

    def _resources(self) -> tuple[str, ...]:
        body = self._body
        return texts(body["NotResource"] if self.inverted else body.get("Resource", "*"))


def _lead(text: str) -> str:
    return text.lower().partition("*")[0].partition("?")[0]


def _one_of(listed: str | list[str], action: str) -> bool:
    if isinstance(listed, str):
        return action_glob(listed).matches(action)
    for text in listed:  # noqa: SIM110  (a generator costs more than what it looks at)
        if action_glob(text).matches(action):
            return True
    return False


Statements = tuple[Statement, ...]


class Policy:
    """A compiled document."""

    __slots__ = ("_by_action", "statements")

    def __init__(self, document: dict[str, Any]) -> None:
        variables = document.get("Version") == VARIABLES_SINCE
        bodies = document.get("Statement", [])
        bodies = bodies if isinstance(bodies, list) else [bodies]
        self.statements = tuple(Statement(body, i, variables) for i, body in enumerate(bodies))
        self._by_action: dict[str, tuple[Statements, Statements]] = {}

    def of(self, action: str) -> tuple[Statements, Statements]:
        """The statements about an action (in lower case) that deny, and those that allow."""
        known = self._by_action.get(action)
        if known is None:
            if len(self._by_action) >= _ACTIONS_REMEMBERED:
                self._by_action.clear()
            # One call of C sends most statements away.
            about = [s for s in self.statements if action.startswith(s.action_leads) and s.acts_on(action)]
            for statement in about:
                statement.prepare()
            known = tuple(s for s in about if s.deny), tuple(s for s in about if not s.deny)
            self._by_action[action] = known
        return known


@lru_cache(maxsize=1024)
def compiled(document: str) -> Policy:
    """A document that ``grammar.check`` accepted, compiled; the last 1024 are kept. Raises ValueError for no JSON."""
    return Policy(msgspec.json.decode(document))
