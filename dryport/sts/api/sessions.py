"""Sessions of roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.gateway.service import Call, Output
from dryport.iam import published as iam
from dryport.sts.api import SERVICE

_PACKED = 2048  # characters of policies and tags that fill a session


@SERVICE.operation("AssumeRole", unsupported=("SerialNumber", "TokenCode", "ProvidedContexts"))
def assume_role(call: Call, request: Mapping[str, Any]) -> Output:
    """Temporary credentials of a role, for whom its trust policy lets have them."""
    session = iam.assume_role(call, request)
    source = {} if session.source_identity is None else {"SourceIdentity": session.source_identity}
    carried = sum(map(len, session.limits or ())) + sum(len(k) + len(v) for k, v in session.tags.items())
    packed = {"PackedPolicySize": -(-100 * carried // _PACKED)} if carried else {}
    return {
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": int(session.expires or 0),
        },
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.principal_arn},
        **packed,
        **source,
    }
