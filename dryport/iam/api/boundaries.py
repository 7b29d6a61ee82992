"""Permissions boundaries: the most that a user may ever do."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, get, invalid_input, no_such_entity, put
from dryport.iam.enforcement.identified import document
from dryport.iam.model import Identity


@SERVICE.operation("PutUserPermissionsBoundary")
def put_user_permissions_boundary(call: Call, request: Request) -> Output:
    """Set a user's boundary, a managed policy."""
    user = get(call, "user", request["UserName"])
    put(call, msgspec.structs.replace(user, boundary=checked(call, request["PermissionsBoundary"])))
    return None


@SERVICE.operation("DeleteUserPermissionsBoundary")
def delete_user_permissions_boundary(call: Call, request: Request) -> Output:
    """Take a user's boundary away."""
    user = get(call, "user", request["UserName"])
    if user.boundary is None:
        raise no_such_entity(f"Permissions boundary for user {user.name} does not exist.")
    put(call, msgspec.structs.replace(user, boundary=None))
    return None


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
