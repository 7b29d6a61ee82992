"""What EC2's encoded refusals hold: the request and the decision, as DecodeAuthorizationMessage shows them. Pure.

Source: "DecodeAuthorizationMessage", STS API reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dryport.iam.enforcement.decision import Refused
from dryport.iam.model import Credential
from dryport.iam.policy import Attached, Decision, Policies
from dryport.iam.policy.conditions import texts

Json = dict[str, Any]


def details(refused: Refused, credential: Credential) -> Json:
    """The document of a refusal."""
    decision = refused.decision
    principal = {"id": credential.user_id, "arn": credential.principal_arn}
    if ":user/" in credential.principal_arn:
        principal["name"] = credential.principal_arn.rpartition("/")[2]
    explicit = decision is not None and decision.explicit
    matched = [_statement(decision, refused.policies, credential)] if decision is not None and explicit else []
    conditions = [{"key": key, "values": _values(texts(_text(value)))} for key, value in sorted(refused.keys.items())]
    return {
        "allowed": False,
        "explicitDeny": explicit,
        "matchedStatements": {"items": matched},
        "failures": {"items": []},
        "context": {
            "principal": principal,
            "action": refused.action,
            "resource": refused.resource,
            "conditions": {"items": conditions},
        },
    }


def _statement(decision: Decision, policies: Policies, credential: Credential) -> Json:
    """The statement that refused."""
    body: Json = {}
    for one in _every(policies):
        if one.name == decision.policy:
            bodies = json.loads(one.document)["Statement"]
            body = (bodies if isinstance(bodies, list) else [bodies])[decision.statement or 0]
            break
    asked = [
        {"key": key, "values": _values(texts(values))}
        for block in body.get("Condition", {}).values()
        for key, values in block.items()
    ]
    return {
        "statementId": decision.sid or "",
        "effect": "DENY",
        "principals": _values([credential.user_id]),
        "principalGroups": {"items": []},
        "actions": _values(texts(body.get("Action", []))),
        "resources": _values(texts(body.get("Resource", []))),
        "conditions": {"items": asked},
    }


def _every(policies: Policies) -> Iterable[Attached]:
    yield from policies.identity
    yield from (one for one in (policies.boundary, policies.resource) if one is not None)
    yield from policies.session or ()


def _text(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _values(values: Iterable[str]) -> Json:
    return {"items": [{"value": value} for value in values]}
