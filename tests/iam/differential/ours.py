"""A simulation of the npm package's, decided by Dryport's engine."""

from __future__ import annotations

import json
from typing import Any

from dryport.iam.policy import Attached, Caller, CallerKind, Decision, Policies, Request, evaluate


def decide(case: dict[str, Any]) -> Decision:
    """Our decision about a case."""
    asked = case["request"]
    context = {key.lower(): value for key, value in asked["contextVariables"].items()}
    owner = asked["resource"]["accountId"]
    request = Request(asked["action"], asked["resource"]["resource"], caller(asked["principal"]), context, owner)
    boundary = case.get("permissionBoundaryPolicies")
    session = case.get("sessionPolicy")
    resource = case.get("resourcePolicy")
    return evaluate(
        request,
        Policies(
            identity=[_attached(policy) for policy in case["identityPolicies"]],
            resource=Attached("resource", json.dumps(resource)) if resource else None,
            boundary=_attached(boundary[0]) if boundary else None,
            session=[Attached("session", json.dumps(session))] if session else None,
            service_control=[[_attached(p) for p in level["policies"]] for level in case["serviceControlPolicies"]],
        ),
    )


def word(decision: Decision) -> str:
    """The decision in the package's words."""
    if decision.allowed:
        return "Allowed"
    return "ExplicitlyDenied" if decision.explicit else "ImplicitlyDenied"


def caller(arn: str) -> Caller:
    """The caller of an ARN: a user or a role's session."""
    account, name = arn.split(":")[4:6]
    if name.startswith("assumed-role/"):
        return Caller(CallerKind.ROLE, arn, account, f"arn:aws:iam::{account}:role/{name.split('/')[1]}")
    return Caller(CallerKind.USER, arn, account)


def _attached(policy: dict[str, Any]) -> Attached:
    return Attached(policy["name"], json.dumps(policy["policy"]))
