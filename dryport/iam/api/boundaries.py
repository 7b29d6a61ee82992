"""Permissions boundaries: the most that a user or a role may ever do."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, changeable, invalid_input, no_such_entity, put
from dryport.iam.enforcement.identified import document
from dryport.iam.model import Identity


def put_boundary(kind: str, call: Call, request: Request) -> Output:
    """Set a boundary, a managed policy."""
    one = changeable(call, kind.lower(), request[f"{kind}Name"])
    put(call, msgspec.structs.replace(one, boundary=checked(call, request["PermissionsBoundary"])))
    return None


def delete_boundary(kind: str, call: Call, request: Request) -> Output:
    """Take a boundary away."""
    one = changeable(call, kind.lower(), request[f"{kind}Name"])
    if one.boundary is None:
        raise no_such_entity(f"Permissions boundary for {one.kind} {one.name} does not exist.")
    put(call, msgspec.structs.replace(one, boundary=None))
    return None


for _kind in ("User", "Role"):
    SERVICE.operation(f"Put{_kind}PermissionsBoundary")(partial(put_boundary, _kind))
    SERVICE.operation(f"Delete{_kind}PermissionsBoundary")(partial(delete_boundary, _kind))


def checked(call: Call, policy_arn: str | None) -> str | None:
    """The ARN of a policy that can be a boundary, ``None`` for none. Raises ServiceError."""
    if policy_arn is None:
        return None
    if ":policy/" not in policy_arn:
        raise invalid_input(f"ARN {policy_arn} is not valid.")
    if document(call.tx, policy_arn) is None or not usable(call, policy_arn):
        raise no_such_entity(f"Scope ARN: {policy_arn} does not exist or is not attachable.")
    return policy_arn


def usable(call: Call, policy_arn: str) -> bool:
    """Whether a managed policy is the account's own, or AWS's."""
    return policy_arn.split(":")[4:5] in ([call.account], ["aws"])


def boundary(one: Identity) -> dict[str, Any]:
    """The member that tells of a boundary."""
    if one.boundary is None:
        return {}
    about = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": one.boundary}
    return {"PermissionsBoundary": about}
