"""Tags of users and policies; a user's are keys of its requests (``aws:PrincipalTag``)."""

from __future__ import annotations

import msgspec

from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, get, page, put, tag_list, tags_of, without
from dryport.iam.api.policies import own
from dryport.iam.model import POLICIES


@SERVICE.operation("TagUser")
def tag_user(call: Call, request: Request) -> Output:
    """Set tags of a user."""
    user = get(call, "user", request["UserName"])
    put(call, msgspec.structs.replace(user, tags=tags_of(request, user.tags)))
    return None


@SERVICE.operation("UntagUser")
def untag_user(call: Call, request: Request) -> Output:
    """Take tags of a user away."""
    user = get(call, "user", request["UserName"])
    put(call, msgspec.structs.replace(user, tags=without(user.tags, request["TagKeys"])))
    return None


@SERVICE.operation("ListUserTags")
def list_user_tags(call: Call, request: Request) -> Output:
    """The tags of a user."""
    shown, more = page(tag_list(get(call, "user", request["UserName"]).tags), request)
    return {"Tags": shown, **more}


@SERVICE.operation("TagPolicy")
def tag_policy(call: Call, request: Request) -> Output:
    """Set tags of a customer's policy."""
    policy = own(call, request["PolicyArn"])
    call.tx.put(POLICIES, msgspec.structs.replace(policy, tags=tags_of(request, policy.tags)))
    return None


@SERVICE.operation("UntagPolicy")
def untag_policy(call: Call, request: Request) -> Output:
    """Take tags of a customer's policy away."""
    policy = own(call, request["PolicyArn"])
    call.tx.put(POLICIES, msgspec.structs.replace(policy, tags=without(policy.tags, request["TagKeys"])))
    return None


@SERVICE.operation("ListPolicyTags")
def list_policy_tags(call: Call, request: Request) -> Output:
    """The tags of a customer's policy."""
    shown, more = page(tag_list(own(call, request["PolicyArn"]).tags), request)
    return {"Tags": shown, **more}
