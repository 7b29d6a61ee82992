"""Groups, and who is in them."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws import arn as arns
from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE, users
from dryport.iam.api.common import Request, conflict, exists, get, limit, listed, page, put
from dryport.iam.credentials import unique_id
from dryport.iam.model import IDENTITIES, Identity, identity_key

LIMIT, LIMIT_OF_USER = 300, 10  # Source: "IAM and AWS STS quotas", IAM user guide


@SERVICE.operation("CreateGroup")
def create_group(call: Call, request: Request) -> Output:
    """A group, with nobody in it."""
    name = request["GroupName"]
    _check_new(call, name)
    if call.tx.count(IDENTITIES, "kind", f"{call.account}/group") >= LIMIT:
        raise limit("GroupsPerAccount", LIMIT)
    made = Identity(
        kind="group",
        account=call.account,
        partition=arns.partition_of(call.region),
        name=name,
        path=request.get("Path", "/"),
        id=unique_id(call.random, "AGPA"),
        created=call.now,
    )
    put(call, made)
    return {"Group": described(made)}


@SERVICE.operation("GetGroup")
def get_group(call: Call, request: Request) -> Output:
    """A group with its users."""
    group = get(call, "group", request["GroupName"])
    members = sorted(call.tx.find(IDENTITIES, "group", group.id), key=lambda user: user.name.lower())
    shown, more = page(members, request)
    return {"Group": described(group), "Users": [users.described(user) for user in shown], **more}


@SERVICE.operation("ListGroups")
def list_groups(call: Call, request: Request) -> Output:
    """The groups below a path."""
    shown, more = page(listed(call, "group", request), request)
    return {"Groups": [described(group) for group in shown], **more}


@SERVICE.operation("UpdateGroup")
def update_group(call: Call, request: Request) -> Output:
    """Rename a group, or move it to another path."""
    group = get(call, "group", request["GroupName"])
    name = request.get("NewGroupName", group.name)
    if name.lower() != group.name.lower():
        _check_new(call, name)
        call.tx.delete(IDENTITIES, identity_key(group.account, "group", group.name))
    put(call, msgspec.structs.replace(group, name=name, path=request.get("NewPath", group.path)))
    return None


@SERVICE.operation("DeleteGroup")
def delete_group(call: Call, request: Request) -> Output:
    """Delete a group with nobody and nothing in it."""
    group = get(call, "group", request["GroupName"])
    if call.tx.count(IDENTITIES, "group", group.id):
        raise conflict("remove users from group")
    if group.attached:
        raise conflict("detach all policies")
    if group.inline:
        raise conflict("delete policies")
    call.tx.delete(IDENTITIES, identity_key(group.account, "group", group.name))
    return None


@SERVICE.operation("AddUserToGroup")
def add_user_to_group(call: Call, request: Request) -> Output:
    """Put a user in a group; one that is in it stays."""
    user, group = get(call, "user", request["UserName"]), get(call, "group", request["GroupName"])
    if group.id not in user.groups:
        if len(user.groups) >= LIMIT_OF_USER:
            raise limit("GroupsPerUser", LIMIT_OF_USER)
        put(call, msgspec.structs.replace(user, groups=(*user.groups, group.id)))
    return None


@SERVICE.operation("RemoveUserFromGroup")
def remove_user_from_group(call: Call, request: Request) -> Output:
    """Take a user out of a group."""
    user, group = get(call, "user", request["UserName"]), get(call, "group", request["GroupName"])
    put(call, msgspec.structs.replace(user, groups=tuple(one for one in user.groups if one != group.id)))
    return None


@SERVICE.operation("ListGroupsForUser")
def list_groups_for_user(call: Call, request: Request) -> Output:
    """The groups that a user is in."""
    user = get(call, "user", request["UserName"])
    found = [group for id in user.groups for group in call.tx.find(IDENTITIES, "id", id)]
    shown, more = page(sorted(found, key=lambda group: group.name.lower()), request)
    return {"Groups": [described(group) for group in shown], **more}


def described(group: Identity) -> dict[str, Any]:
    """A group as it is answered."""
    return {
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "Path": group.path,
        "CreateDate": int(group.created),
    }


def _check_new(call: Call, name: str) -> None:
    if call.tx.get(IDENTITIES, identity_key(call.account, "group", name)) is not None:
        raise exists(f"Group with name {name} already exists.")
