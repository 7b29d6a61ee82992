"""Instance profiles: what hands a role to EC2 instances."""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws import arn as arns
from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE, roles
from dryport.iam.api.common import (
    Request,
    changeable,
    conflict,
    exists,
    get,
    limit,
    no_such_entity,
    page,
    tag_list,
    tags_of,
    without,
)
from dryport.iam.credentials import unique_id
from dryport.iam.model import IDENTITIES, PROFILES, InstanceProfile, identity_key

LIMIT = 1000  # Source: "IAM and AWS STS quotas", IAM user guide


@SERVICE.operation("CreateInstanceProfile")
def create_instance_profile(call: Call, request: Request) -> Output:
    """A profile without a role."""
    name = request["InstanceProfileName"]
    if call.tx.get(PROFILES, _key(call, name)) is not None:
        raise exists(f"Instance Profile {name} already exists.")
    if call.tx.count(PROFILES, "account", call.account) >= LIMIT:
        raise limit("InstanceProfilesPerAccount", LIMIT)
    made = InstanceProfile(
        account=call.account,
        partition=arns.partition_of(call.region),
        name=name,
        path=request.get("Path", "/"),
        id=unique_id(call.random, "AIPA"),
        created=call.now,
        tags=tags_of(request),
    )
    call.tx.put(PROFILES, made)
    tags = {"Tags": request["Tags"]} if request.get("Tags") else {}
    return {"InstanceProfile": described(call, made) | tags}


@SERVICE.operation("GetInstanceProfile")
def get_instance_profile(call: Call, request: Request) -> Output:
    """A profile with its role."""
    profile = _get(call, request)
    return {"InstanceProfile": described(call, profile) | {"Tags": tag_list(profile.tags)}}


@SERVICE.operation("ListInstanceProfiles")
def list_instance_profiles(call: Call, request: Request) -> Output:
    """The profiles below a path."""
    prefix = request.get("PathPrefix", "/")
    found = [one for one in call.tx.find(PROFILES, "account", call.account) if one.path.startswith(prefix)]
    return _page(call, found, request)


@SERVICE.operation("ListInstanceProfilesForRole")
def list_instance_profiles_for_role(call: Call, request: Request) -> Output:
    """The profiles that a role is in."""
    role = get(call, "role", request["RoleName"])
    return _page(call, call.tx.find(PROFILES, "role", role.id), request)


@SERVICE.operation("DeleteInstanceProfile")
def delete_instance_profile(call: Call, request: Request) -> Output:
    """Delete a profile without a role."""
    profile = _get(call, request)
    if profile.role is not None:
        raise conflict("remove roles from instance profile")
    call.tx.delete(PROFILES, _key(call, profile.name))
    return None


@SERVICE.operation("AddRoleToInstanceProfile")
def add_role_to_instance_profile(call: Call, request: Request) -> Output:
    """Put a role in a profile, which holds one."""
    profile, role = _get(call, request), changeable(call, "role", request["RoleName"])
    if profile.role is not None:
        raise limit("InstanceSessionsPerInstanceProfile", 1)
    call.tx.put(PROFILES, msgspec.structs.replace(profile, role=role.id))
    return None


@SERVICE.operation("RemoveRoleFromInstanceProfile")
def remove_role_from_instance_profile(call: Call, request: Request) -> Output:
    """Take a role out of a profile."""
    profile, role = _get(call, request), get(call, "role", request["RoleName"])
    if profile.role != role.id:
        raise no_such_entity(f"The role with name {role.name} cannot be found.")
    call.tx.put(PROFILES, msgspec.structs.replace(profile, role=None))
    return None


@SERVICE.operation("TagInstanceProfile")
def tag_instance_profile(call: Call, request: Request) -> Output:
    """Set tags of a profile."""
    profile = _get(call, request)
    call.tx.put(PROFILES, msgspec.structs.replace(profile, tags=tags_of(request, profile.tags)))
    return None


@SERVICE.operation("UntagInstanceProfile")
def untag_instance_profile(call: Call, request: Request) -> Output:
    """Take tags of a profile away."""
    profile = _get(call, request)
    call.tx.put(PROFILES, msgspec.structs.replace(profile, tags=without(profile.tags, request["TagKeys"])))
    return None


@SERVICE.operation("ListInstanceProfileTags")
def list_instance_profile_tags(call: Call, request: Request) -> Output:
    """The tags of a profile."""
    shown, more = page(tag_list(_get(call, request).tags), request)
    return {"Tags": shown, **more}


def _page(call: Call, found: list[InstanceProfile], request: Request) -> Output:
    shown, more = page(sorted(found, key=lambda one: one.name.lower()), request)
    return {"InstanceProfiles": [described(call, one) for one in shown], **more}


def _key(call: Call, name: str) -> str:
    return identity_key(call.account, "instance-profile", name)


def _get(call: Call, request: Request) -> InstanceProfile:
    name = request["InstanceProfileName"]
    found = call.tx.get(PROFILES, _key(call, name))
    if found is None:
        raise no_such_entity(f"Instance Profile {name} cannot be found.")
    return found


def described(call: Call, profile: InstanceProfile) -> dict[str, Any]:
    """A profile as lists show it."""
    held = call.tx.find(IDENTITIES, "id", profile.role) if profile.role is not None else []
    return {
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "Path": profile.path,
        "CreateDate": int(profile.created),
        "Roles": [roles.described(role) for role in held],
    }
