"""Short ways to write policies, callers and requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dryport.iam.policy import Attached, Caller, CallerKind, Decision, Policies, Request, evaluate

ACCOUNT = "111122223333"
OTHER = "444455556666"
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/prod"
USER = Caller(CallerKind.USER, f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, unique_ids=("AIDAALICEALICEALICE1",))
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/app"
SESSION = Caller(CallerKind.ROLE, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/one", ACCOUNT, ROLE_ARN)
ROOT = Caller(CallerKind.ROOT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: Mapping[str, Any], version: str = "2012-10-17") -> str:
    """A policy document's text."""
    return json.dumps({"Version": version, "Statement": list(statements)})


def attached(*statements: Mapping[str, Any], name: str = "p", version: str = "2012-10-17") -> Attached:
    """A policy with a name."""
    return Attached(name, document(*statements, version=version))


def decide(
    *identity: Mapping[str, Any],
    action: str = "ecs:DescribeClusters",
    on: str = CLUSTER,
    by: Caller = USER,
    context: Mapping[str, str | Sequence[str]] | None = None,
    resource: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    boundary: Mapping[str, Any] | None = None,
    session: Mapping[str, Any] | None = None,
    service_control: Sequence[Mapping[str, Any]] = (),
    resource_decides: bool = False,
    version: str = "2012-10-17",
) -> Decision:
    """What is decided with statements in a policy of each type."""
    of_resource = [resource] if isinstance(resource, Mapping) else resource
    policies = Policies(
        identity=(attached(*identity, name="identity", version=version),) if identity else (),
        resource=attached(*of_resource, name="resource") if of_resource is not None else None,
        boundary=attached(boundary, name="boundary") if boundary else None,
        session=(attached(session, name="session"),) if session else None,
        service_control=[(attached(statement, name="scp"),) for statement in service_control],
        resource_decides=resource_decides,
    )
    return evaluate(Request(action, on, by, {k.lower(): v for k, v in (context or {}).items()}), policies)
