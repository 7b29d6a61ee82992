"""Roles: made, found, changed, deleted."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws import arn as arns
from dryport.gateway.service import Call, Output
from dryport.iam import credentials, last_use, linked
from dryport.iam.api import SERVICE
from dryport.iam.api.boundaries import boundary, checked
from dryport.iam.api.common import (
    Request,
    changeable,
    conflict,
    exists,
    get,
    invalid_input,
    length,
    limit,
    listed,
    page,
    put,
    tag_list,
    tags_of,
)
from dryport.iam.api.policies import encoded
from dryport.iam.credentials import unique_id
from dryport.iam.model import CREDENTIALS, IDENTITIES, PROFILES, Identity, identity_key
from dryport.iam.policy import Purpose, check

# Source: "IAM and AWS STS quotas", IAM user guide
LIMIT, TRUST_SIZE = 1000, 2048


@SERVICE.operation("CreateRole")
def create_role(call: Call, request: Request) -> Output:
    """A role that those whom its trust policy names may assume."""
    name, trust = request["RoleName"], _trust(request["AssumeRolePolicyDocument"])
    if call.tx.get(IDENTITIES, identity_key(call.account, "role", name)) is not None:
        raise exists(f"Role with name {name} already exists.")
    if request.get("Path", "/").startswith(linked.PATH):
        raise invalid_input(f"The path {linked.PATH} is reserved for service-linked roles.")
    if call.tx.count(IDENTITIES, "kind", f"{call.account}/role") >= LIMIT:
        raise limit("RolesPerAccount", LIMIT)
    made = Identity(
        kind="role",
        account=call.account,
        partition=arns.partition_of(call.region),
        name=name,
        path=request.get("Path", "/"),
        id=unique_id(call.random, "AROA"),
        created=call.now,
        tags=tags_of(request),
        boundary=checked(call, request.get("PermissionsBoundary")),
        trust=trust,
        max_session=request.get("MaxSessionDuration", 3600),
        description=request.get("Description"),
    )
    put(call, made)
    return {"Role": described(made) | _details(made)}


@SERVICE.operation("GetRole")
def get_role(call: Call, request: Request) -> Output:
    """A role."""
    role = get(call, "role", request["RoleName"])
    used = last_use.of(call.tx, role.id)
    last = {} if used is None else {"LastUsedDate": int(used.time), "Region": used.region}
    return {"Role": described(role) | _session(role) | _details(role) | {"RoleLastUsed": last}}


@SERVICE.operation("ListRoles")
def list_roles(call: Call, request: Request) -> Output:
    """The roles below a path."""
    shown, more = page(listed(call, "role", request), request)
    return {"Roles": [described(role) | _session(role) for role in shown], **more}


@SERVICE.operation("UpdateRole")
def update_role(call: Call, request: Request) -> Output:
    """Change a role's description and the most seconds of its sessions."""
    role = changeable(call, "role", request["RoleName"])
    seconds = request.get("MaxSessionDuration", role.max_session)
    changed = msgspec.structs.replace(
        role, description=request.get("Description", role.description), max_session=seconds
    )
    put(call, changed)
    return {}


@SERVICE.operation("UpdateRoleDescription")
def update_role_description(call: Call, request: Request) -> Output:
    """Change a role's description."""
    role = msgspec.structs.replace(get(call, "role", request["RoleName"]), description=request["Description"])
    put(call, role)
    return {"Role": described(role)}


@SERVICE.operation("UpdateAssumeRolePolicy")
def update_assume_role_policy(call: Call, request: Request) -> Output:
    """Change who may assume a role. Sessions that there are go on."""
    trust = _trust(request["PolicyDocument"])
    put(call, msgspec.structs.replace(changeable(call, "role", request["RoleName"]), trust=trust))
    return None


@SERVICE.operation("DeleteRole")
def delete_role(call: Call, request: Request) -> Output:
    """Delete a role that has nothing left; its sessions may do nothing any more."""
    role = changeable(call, "role", request["RoleName"])
    if call.tx.find(PROFILES, "role", role.id):
        raise conflict("remove roles from instance profile")
    if role.attached:
        raise conflict("detach all policies")
    if role.inline:
        raise conflict("delete policies")
    for key in call.tx.find(CREDENTIALS, "identity", role.id):
        if key.owner is None or key.owner.startswith(credentials.ASSUMED):
            credentials.forget(call.tx, key)
    last_use.forget(call.tx, role.id)
    call.tx.delete(IDENTITIES, identity_key(role.account, "role", role.name))
    return None


def described(role: Identity) -> dict[str, Any]:
    """A role as it is told of wherever it is not asked for: when it is made, in instance profiles."""
    about = {} if role.description is None else {"Description": role.description}
    return {
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "Path": role.path,
        "CreateDate": int(role.created),
        "AssumeRolePolicyDocument": encoded(role.trust),
        **about,
    }


def _session(role: Identity) -> dict[str, Any]:
    return {"MaxSessionDuration": role.max_session}


def _details(role: Identity) -> dict[str, Any]:
    return boundary(role) | ({"Tags": tag_list(role.tags)} if role.tags else {})


def _trust(document: str) -> str:
    check(document, Purpose.TRUST)
    if length(document) > TRUST_SIZE:
        raise limit("ACLSizePerRole", TRUST_SIZE)
    return document
