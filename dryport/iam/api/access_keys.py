"""Access keys of users and of the root user: made, listed, switched off, deleted.

``credentials.json`` of the state directory keeps the root user's key that it has; where that one is gone or switched
off, the next start of the platform writes one that works.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import credentials, last_use
from dryport.iam.api import SERVICE
from dryport.iam.api.common import Request, get, invalid_input, limit, no_such_entity, page
from dryport.iam.api.users import own_name
from dryport.iam.enforcement.identified import identity
from dryport.iam.model import Credential, Identity

LIMIT = 2  # Source: "IAM and AWS STS quotas", IAM user guide


@SERVICE.operation("CreateAccessKey")
def create_access_key(call: Call, request: Request) -> Output:
    """A further key of a user, or of the caller."""
    user = _user(call, request)
    if len(_keys(call, user)) >= LIMIT:
        raise limit("AccessKeysPerUser", LIMIT)
    if user is None:
        made = credentials.create_root_key(call.tx, call.random, call.account, call.now)
    else:
        made = credentials.create_key(call.tx, call.random, call.account, user.arn, user.id, call.now, identity=user.id)
    return {"AccessKey": _described(made, user) | {"SecretAccessKey": made.secret_access_key}}


@SERVICE.operation("ListAccessKeys")
def list_access_keys(call: Call, request: Request) -> Output:
    """The keys, without their secrets."""
    user = _user(call, request)
    shown, more = page(_keys(call, user), request)
    return {"AccessKeyMetadata": [_described(key, user) for key in shown], **more}


@SERVICE.operation("UpdateAccessKey")
def update_access_key(call: Call, request: Request) -> Output:
    """Switch a key on or off, which acts with the next request."""
    user, status = _user(call, request), request["Status"]
    if status == "Expired":
        raise invalid_input("The status of an access key can be set to Active or Inactive.")
    key = _key(call, user, request["AccessKeyId"])
    credentials.put(call.tx, msgspec.structs.replace(key, inactive=status == "Inactive"))
    return None


@SERVICE.operation("DeleteAccessKey")
def delete_access_key(call: Call, request: Request) -> Output:
    """Forget a key."""
    credentials.forget(call.tx, _key(call, _user(call, request), request["AccessKeyId"]))
    return None


@SERVICE.operation("GetAccessKeyLastUsed")
def get_access_key_last_used(call: Call, request: Request) -> Output:
    """When a key of the account was used last, exact to a minute, for what and where."""
    key = credentials.find(call.tx, request["AccessKeyId"])
    if key is None or key.account != call.account or key.session_token is not None:
        message = (
            f"User: {call.principal.arn} is not authorized to perform iam:GetAccessKeyLastUsed "
            f"on resource: access key {request['AccessKeyId']}"
        )
        raise ServiceError("AccessDenied", message, 403)
    used = last_use.of(call.tx, key.access_key_id)
    last: dict[str, Any] = {"Region": "N/A", "ServiceName": "N/A"}
    if used is not None:
        last = {"Region": used.region, "ServiceName": used.service, "LastUsedDate": int(used.time)}
    owner = identity(call.tx, key.identity) if key.identity is not None else None
    return {"UserName": "root" if owner is None else owner.name, "AccessKeyLastUsed": last}


def _user(call: Call, request: Request) -> Identity | None:
    """Whose keys a request is about: a user's, or (``None``) those of the root user who asks about itself."""
    if request.get("UserName") is None and call.principal.arn.rpartition(":")[2] == "root":
        return None
    return get(call, "user", own_name(call, request))


def _keys(call: Call, user: Identity | None) -> list[Credential]:
    return credentials.root_keys(call.tx, call.account) if user is None else credentials.user_keys(call.tx, user)


def _key(call: Call, user: Identity | None, access_key_id: str) -> Credential:
    for key in _keys(call, user):
        if key.access_key_id == access_key_id:
            return key
    raise no_such_entity(f"The Access Key with id {access_key_id} cannot be found.")


def _described(key: Credential, user: Identity | None) -> dict[str, Any]:
    made = {} if key.created is None else {"CreateDate": int(key.created)}  # older stores do not know
    return {
        "UserName": "root" if user is None else user.name,
        "AccessKeyId": key.access_key_id,
        "Status": "Inactive" if key.inactive else "Active",
        **made,
    }
