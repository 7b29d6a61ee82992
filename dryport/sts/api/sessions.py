"""Sessions of roles, of users, and of whom users vouch for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dryport.gateway.service import Call, Output, Service
from dryport.iam import published as iam
from dryport.iam.model import Credential

_PACKED = 2048  # characters of policies and tags that fill a session


def assume_role(call: Call, request: Mapping[str, Any]) -> Output:
    """Temporary credentials of a role, for whom its trust policy lets have them."""
    session = iam.assume_role(call, request)
    source = {} if session.source_identity is None else {"SourceIdentity": session.source_identity}
    return {
        "Credentials": _credentials(session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.principal_arn},
        **_packed(session),
        **source,
    }


async def assume_role_with_web_identity(call: Call, request: Mapping[str, Any]) -> Output:
    """Temporary credentials of a role, for whom a provider's token is about."""
    assumed = await iam.assume_role_with_web_identity(call, request)
    session = assumed.session
    source = {} if session.source_identity is None else {"SourceIdentity": session.source_identity}
    return {
        "Credentials": _credentials(session),
        "SubjectFromWebIdentityToken": assumed.token.subject,
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.principal_arn},
        "Provider": assumed.provider.arn,
        "Audience": assumed.token.audience,
        **_packed(session),
        **source,
    }


def get_session_token(call: Call, request: Mapping[str, Any]) -> Output:
    """Temporary credentials of the caller's own."""
    return {"Credentials": _credentials(iam.get_session_token(call, request))}


def get_federation_token(call: Call, request: Mapping[str, Any]) -> Output:
    """Temporary credentials of somebody whom the caller vouches for."""
    session = iam.get_federation_token(call, request)
    return {
        "Credentials": _credentials(session),
        "FederatedUser": {"FederatedUserId": session.user_id, "Arn": session.principal_arn},
        "PackedPolicySize": 0,
        **_packed(session),
    }


def register(service: Service) -> None:
    """Add the operations to the service."""
    service.operation("AssumeRole", unsupported=("SerialNumber", "TokenCode", "ProvidedContexts"))(assume_role)
    service.operation("AssumeRoleWithWebIdentity", unsupported=("ProviderId",))(assume_role_with_web_identity)
    service.operation("GetSessionToken", unsupported=("SerialNumber", "TokenCode"))(get_session_token)
    service.operation("GetFederationToken")(get_federation_token)


def _credentials(session: Credential) -> dict[str, Any]:
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.session_token,
        "Expiration": int(session.expires or 0),
    }


def _packed(session: Credential) -> dict[str, Any]:
    carried = sum(map(len, session.limits or ())) + sum(len(k) + len(v) for k, v in session.tags.items())
    return {"PackedPolicySize": -(-100 * carried // _PACKED)} if carried else {}
