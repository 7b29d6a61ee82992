"""The root user's own access keys: made, listed, switched off, deleted. There are no other users yet.

``credentials.json`` of the state directory keeps the key that it has; where that one is gone or switched off, the next
start of the platform writes one that works.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import credentials
from dryport.iam.api import SERVICE
from dryport.iam.api.common import invalid_input, no_such_entity, page
from dryport.iam.model import Credential

if TYPE_CHECKING:
    from types_boto3_iam.type_defs import (
        CreateAccessKeyRequestTypeDef,
        DeleteAccessKeyRequestTypeDef,
        ListAccessKeysRequestTypeDef,
        UpdateAccessKeyRequestTypeDef,
    )

LIMIT = 2  # Source: "IAM and AWS STS quotas", IAM user guide


@SERVICE.operation("CreateAccessKey")
def create_access_key(call: Call, request: CreateAccessKeyRequestTypeDef) -> Output:
    """A further key of the caller."""
    _check_user(call, request)
    if len(credentials.root_keys(call.tx, call.account)) >= LIMIT:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {LIMIT}", 409)
    made = credentials.create_root_key(call.tx, call.random, call.account, call.now)
    return {"AccessKey": _described(made) | {"SecretAccessKey": made.secret_access_key}}


@SERVICE.operation("ListAccessKeys")
def list_access_keys(call: Call, request: ListAccessKeysRequestTypeDef) -> Output:
    """The caller's keys, without their secrets."""
    _check_user(call, request)
    shown, more = page(credentials.root_keys(call.tx, call.account), request)
    return {"AccessKeyMetadata": [_described(key) for key in shown], **more}


@SERVICE.operation("UpdateAccessKey")
def update_access_key(call: Call, request: UpdateAccessKeyRequestTypeDef) -> Output:
    """Switch a key on or off, which acts with the next request."""
    _check_user(call, request)
    status: str = request["Status"]
    if status == "Expired":
        raise invalid_input("The status of an access key can be set to Active or Inactive.")
    key = _key(call, request["AccessKeyId"])
    credentials.put(call.tx, msgspec.structs.replace(key, inactive=status == "Inactive"))
    return None


@SERVICE.operation("DeleteAccessKey")
def delete_access_key(call: Call, request: DeleteAccessKeyRequestTypeDef) -> Output:
    """Forget a key."""
    _check_user(call, request)
    credentials.forget(call.tx, _key(call, request["AccessKeyId"]))
    return None


def _check_user(call: Call, request: Mapping[str, Any]) -> None:
    """Refuse all but the root user about itself."""
    if (name := request.get("UserName")) is not None:
        raise no_such_entity(f"The user with name {name} cannot be found.")
    if call.principal.arn.rpartition(":")[2] != "root":
        raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials", 400)


def _key(call: Call, access_key_id: str) -> Credential:
    for key in credentials.root_keys(call.tx, call.account):
        if key.access_key_id == access_key_id:
            return key
    raise no_such_entity(f"The Access Key with id {access_key_id} cannot be found.")


def _described(key: Credential) -> dict[str, Any]:
    made = {} if key.created is None else {"CreateDate": int(key.created)}  # older stores do not know
    return {
        "UserName": "root",
        "AccessKeyId": key.access_key_id,
        "Status": "Inactive" if key.inactive else "Active",
        **made,
    }
