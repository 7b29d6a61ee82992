"""Tags of users, roles and policies; a user's and a role's are keys of its requests (``aws:PrincipalTag``)."""

from __future__ import annotations

from functools import partial

import msgspec

from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, get, page, put, tag_list, tags_of, without
from dryport.iam.api.policies import own
from dryport.iam.model import POLICIES


def tag(kind: str, call: Call, request: Request) -> Output:
    """Set tags of a user or a role."""
    one = get(call, kind.lower(), request[f"{kind}Name"])
    put(call, msgspec.structs.replace(one, tags=tags_of(request, one.tags)))
    return None


def untag(kind: str, call: Call, request: Request) -> Output:
    """Take tags away."""
    one = get(call, kind.lower(), request[f"{kind}Name"])
    put(call, msgspec.structs.replace(one, tags=without(one.tags, request["TagKeys"])))
    return None


def list_tags(kind: str, call: Call, request: Request) -> Output:
    """The tags of a user or a role."""
    shown, more = page(tag_list(get(call, kind.lower(), request[f"{kind}Name"]).tags), request)
    return {"Tags": shown, **more}


for _kind in ("User", "Role"):
    SERVICE.operation(f"Tag{_kind}")(partial(tag, _kind))
    SERVICE.operation(f"Untag{_kind}")(partial(untag, _kind))
    SERVICE.operation(f"List{_kind}Tags")(partial(list_tags, _kind))


@SERVICE.operation("TagPolicy")
def tag_policy(call: Call, request: Request) -> Output:
    """Set tags of a customer's policy."""
    policy = own(call, request["PolicyArn"])
    call.tx.put(POLICIES, msgspec.structs.replace(policy, tags=tags_of(request, policy.tags, exact=True)))
    return None


@SERVICE.operation("UntagPolicy")
def untag_policy(call: Call, request: Request) -> Output:
    """Take tags of a customer's policy away."""
    policy = own(call, request["PolicyArn"])
    call.tx.put(POLICIES, msgspec.structs.replace(policy, tags=without(policy.tags, request["TagKeys"], exact=True)))
    return None


@SERVICE.operation("ListPolicyTags")
def list_policy_tags(call: Call, request: Request) -> Output:
    """The tags of a customer's policy."""
    shown, more = page(tag_list(own(call, request["PolicyArn"]).tags), request)
    return {"Tags": shown, **more}
