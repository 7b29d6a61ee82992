"""Whether a text is a policy, in AWS's words.

What IAM checks, in its order: the syntax, the version, what its older parser refuses, and then what statements say.
Not checked are the names of actions, services and keys, as AWS does not either when a policy is written.

Source: "Grammar of the IAM JSON policy language", IAM user guide; the messages are what IAM's API answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from dryport.iam.policy import legacy, statements
from dryport.iam.policy.compiled import compiled
from dryport.iam.policy.errors import MalformedPolicy
from dryport.iam.policy.operators import read
from dryport.iam.policy.statements import Body

SYNTAX = "Syntax errors in policy."
VERSIONS = ("2008-10-17", "2012-10-17")
_TOP = {"Version", "Id", "Statement"}
_MEMBERS = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"),
}
_PAIRS = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))
_PRINCIPALS = {"AWS", "Service", "Federated", "CanonicalUser"}


class Purpose(Enum):
    """What a document is for, which decides what it must have and may not have."""

    IDENTITY = "identity"  # also a permissions boundary and a session policy
    TRUST = "trust"
    RESOURCE = "resource"


def check(document: str, purpose: Purpose = Purpose.IDENTITY) -> None:
    """Accept a document, which is compiled then. Raises MalformedPolicy with AWS's message."""
    bodies = _syntax(document, purpose)
    legacy.check(bodies)
    statements.check_ids(bodies)
    if purpose is Purpose.IDENTITY:
        statements.check_identity(bodies)
    elif purpose is Purpose.TRUST:
        statements.check_trust(bodies)
    else:
        statements.check_resource(bodies)
    compiled(document)


def _syntax(document: str, purpose: Purpose) -> list[Body]:
    """The statements of a document that is well formed."""
    top = _read(document, purpose)
    _need(isinstance(top, dict) and top.keys() <= _TOP)
    _need(isinstance(top.get("Id", ""), str) and top.get("Version", VERSIONS[0]) in VERSIONS)
    listed = top.get("Statement")
    bodies = listed if isinstance(listed, list) else [listed]
    _need(bool(bodies))
    for body in bodies:
        _statement(body)
    if purpose is Purpose.IDENTITY and top.get("Version") != VERSIONS[-1]:
        raise MalformedPolicy("Policy document must be version 2012-10-17 or greater.")
    return bodies


def _read(document: str, purpose: Purpose) -> Any:
    try:
        return json.loads(document, object_pairs_hook=_unique, parse_constant=_constant)
    except (ValueError, RecursionError):
        words = "This policy contains invalid Json" if purpose is Purpose.TRUST else SYNTAX
        raise MalformedPolicy(words) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedPolicy(SYNTAX)
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _need(right: bool) -> None:
    if not right:
        raise MalformedPolicy(SYNTAX)


def _statement(body: Any) -> None:
    _need(isinstance(body, dict) and body.keys() <= _MEMBERS)
    for one, other in _PAIRS:
        _need(not (one in body and other in body))
    _need(isinstance(body.get("Sid", ""), str))
    _need(isinstance(body.get("Effect"), str) and body["Effect"].lower() in ("allow", "deny"))
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        _need(_strings(body.get(name, [])))
    for name in ("Principal", "NotPrincipal"):
        if name in body:
            _principal(body[name])
    _conditions(body.get("Condition", {}))


def _principal(element: Any) -> None:
    if isinstance(element, str):
        _need(element == "*")
        return
    _need(isinstance(element, dict) and bool(element) and element.keys() <= _PRINCIPALS)
    for listed in element.values():
        _need(_strings(listed) and bool(listed))


def _conditions(block: Any) -> None:
    _need(isinstance(block, dict))
    for name, keys in block.items():
        _need(isinstance(keys, dict))
        _need(not keys or read(name) is not None)
        for listed in keys.values():
            _need(_strings(listed, _scalar))


def _scalar(value: Any) -> bool:
    return isinstance(value, str | bool | int | float)


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _strings(value: Any, one: Callable[[Any], bool] = _string) -> bool:
    return one(value) or (isinstance(value, list) and all(map(one, value)))


def size(document: str) -> int:
    """The characters that count against a quota: white space does not."""
    return sum(map(len, document.split()))


LIMITS: Mapping[str, int] = {
    "managed": 6144,
    "user": 2048,  # all inline policies of a user together, and so on
    "group": 5120,
    "role": 10240,
    "trust": 2048,
    "session": 2048,
}
"""Characters that a policy may have, without white space. Source: "IAM and AWS STS quotas", IAM user guide."""
