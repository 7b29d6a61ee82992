"""Temporary credentials of a user and of the root user, and of whom they vouch for.

A session of GetSessionToken may do what its user may, but for most of STS and all of IAM. A federated user may do what
both its user and the session's policies allow; without such a policy nothing.

Source: "GetSessionToken", "GetFederationToken", STS API reference; "Compare AWS STS credentials", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.iam import assuming, credentials
from dryport.iam.model import Credential

FEDERATED = "federated-user/"
_DEFAULT_SECONDS = 43200
_ROOT_SECONDS = 3600  # the most of the root user's sessions
_FREE = {"GetCallerIdentity", "AssumeRole"}  # what a user's session may ask STS


def get_session_token(call: Call, request: Mapping[str, Any]) -> Credential:
    """A session of the caller's own."""
    return _issued(call, request, call.principal.arn, call.principal.user_id)


def get_federation_token(call: Call, request: Mapping[str, Any]) -> Credential:
    """A session of somebody whom the caller names. Raises ServiceError."""
    name = request["Name"]
    tags = assuming.given_tags(request)
    limits = assuming.limits(call.tx, call.account, request) or ()
    partition = arns.partition_of(call.region)
    arn = f"arn:{partition}:sts::{call.account}:{FEDERATED}{name}"
    return _issued(call, request, arn, f"{call.account}:{name}", limits, tags)


def restricted(credential: Credential, service: str, operation: str) -> ServiceError | None:
    """Why a temporary credential may not call an operation at all, whatever policies say."""
    if credential.session_token is None:
        return None
    of_role = credential.role_arn is not None
    if service == "iam" and not of_role:
        return ServiceError("InvalidClientTokenId", "The security token included in the request is invalid", 403)
    if service != "sts":
        return None
    asks = operation in ("GetSessionToken", "GetFederationToken")
    free = _FREE if credential.limits is None else {"GetCallerIdentity"}
    if asks or (not of_role and operation not in free):
        return ServiceError("AccessDenied", f"Cannot call {operation} with session credentials", 403)
    return None


def _issued(
    call: Call,
    request: Mapping[str, Any],
    arn: str,
    user_id: str,
    limits: tuple[str, ...] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Credential:
    caller = credentials.find(call.tx, call.principal.access_key_id)
    by_root = call.principal.arn.endswith(":root")
    if caller is None and not by_root:
        raise ServiceError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    identity = caller.identity if caller is not None else None
    if by_root and limits is not None:
        identity = call.account  # for whom everything is allowed, so that the session's policies decide
    seconds = float(request.get("DurationSeconds", _DEFAULT_SECONDS))
    made = Credential(
        access_key_id=credentials.key_id(call.random, "ASIA"),
        secret_access_key=credentials.secret(call.random, 30),
        session_token=credentials.secret(call.random, 96),
        account=call.account,
        principal_arn=arn,
        user_id=user_id,
        identity=identity,
        created=call.now,
        expires=call.now + (min(seconds, _ROOT_SECONDS) if by_root else seconds),
        owner=f"sts/{call.principal.user_id}",
        limits=limits,
        tags=dict(tags or {}),
    )
    credentials.revoke_expired(call.tx, f"sts/{call.principal.user_id}", call.now)
    credentials.put(call.tx, made)
    return made
