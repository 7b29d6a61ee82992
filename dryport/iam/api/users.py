"""Users: made, found, renamed, deleted."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import credentials
from dryport.iam.api import SERVICE
from dryport.iam.api.boundaries import boundary, checked
from dryport.iam.api.common import Request, conflict, exists, get, limit, listed, page, put, tag_list, tags_of
from dryport.iam.credentials import unique_id
from dryport.iam.model import CREDENTIALS, IDENTITIES, Identity, identity_key

LIMIT = 5000  # Source: "IAM and AWS STS quotas", IAM user guide


@SERVICE.operation("CreateUser")
def create_user(call: Call, request: Request) -> Output:
    """A user, who may do nothing yet."""
    name = request["UserName"]
    _check_new(call, name)
    if call.tx.count(IDENTITIES, "kind", f"{call.account}/user") >= LIMIT:
        raise limit("UsersPerAccount", LIMIT)
    made = Identity(
        kind="user",
        account=call.account,
        partition=arns.partition_of(call.region),
        name=name,
        path=request.get("Path", "/"),
        id=unique_id(call.random, "AIDA"),
        created=call.now,
        tags=tags_of(request),
        boundary=checked(call, request.get("PermissionsBoundary")),
    )
    put(call, made)
    return {"User": described(made) | _details(made)}


@SERVICE.operation("GetUser")
def get_user(call: Call, request: Request) -> Output:
    """A user; the caller where none is named."""
    name = request.get("UserName")
    if name is None and call.principal.arn.endswith(":root"):
        keys = credentials.root_keys(call.tx, call.account)
        created = min((key.created for key in keys if key.created is not None), default=0.0)
        about = {"UserId": call.account, "Arn": call.principal.arn, "CreateDate": int(created)}
        return {"User": {"UserName": "root", "Path": "/", **about}}
    user = get(call, "user", own_name(call, request))
    return {"User": described(user) | _details(user)}


@SERVICE.operation("ListUsers")
def list_users(call: Call, request: Request) -> Output:
    """The users below a path."""
    shown, more = page(listed(call, "user", request), request)
    return {"Users": [described(user) for user in shown], **more}


@SERVICE.operation("UpdateUser")
def update_user(call: Call, request: Request) -> Output:
    """Rename a user, or move it to another path. Its keys sign for its new ARN."""
    user = get(call, "user", request["UserName"])
    name = request.get("NewUserName", user.name)
    if name.lower() != user.name.lower():
        _check_new(call, name)
        call.tx.delete(IDENTITIES, identity_key(user.account, "user", user.name))
    renamed = msgspec.structs.replace(user, name=name, path=request.get("NewPath", user.path))
    put(call, renamed)
    for key in call.tx.find(CREDENTIALS, "identity", user.id):
        if key.principal_arn == user.arn:
            credentials.put(call.tx, msgspec.structs.replace(key, principal_arn=renamed.arn))
    return None


@SERVICE.operation("DeleteUser")
def delete_user(call: Call, request: Request) -> Output:
    """Delete a user that has nothing left; its sessions end with it."""
    user = get(call, "user", request["UserName"])
    if user.groups:
        raise conflict("remove users from group")
    if user.attached:
        raise conflict("detach all policies")
    if user.inline:
        raise conflict("delete policies")
    if credentials.user_keys(call.tx, user):
        raise conflict("delete access keys")
    for key in call.tx.find(CREDENTIALS, "identity", user.id):
        credentials.forget(call.tx, key)
    call.tx.delete(IDENTITIES, identity_key(user.account, "user", user.name))
    return None


def described(user: Identity) -> dict[str, Any]:
    """A user as lists show it."""
    return {
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "Path": user.path,
        "CreateDate": int(user.created),
    }


def own_name(call: Call, request: Request) -> str:
    """The user that a request names, or the caller. Raises ServiceError for a caller that is no user."""
    name: str | None = request.get("UserName")
    if name is not None:
        return name
    found = call.tx.find(IDENTITIES, "id", call.principal.user_id)
    if not found or not call.principal.arn.startswith(found[0].arn):
        raise must_name()
    return found[0].name


def must_name() -> ServiceError:
    """The refusal of a caller that is no user and names none."""
    return ServiceError("ValidationError", "Must specify userName when calling with non-User credentials", 400)


def _details(user: Identity) -> dict[str, Any]:
    return boundary(user) | ({"Tags": tag_list(user.tags)} if user.tags else {})


def _check_new(call: Call, name: str) -> None:
    if call.tx.get(IDENTITIES, identity_key(call.account, "user", name)) is not None:
        raise exists(f"User with name {name} already exists.")
