"""A session of a role for whom a provider's token is about.

The role's trust policy must name the provider; ``<issuer>:sub`` and ``<issuer>:aud`` are keys of its conditions.

Source: "AssumeRoleWithWebIdentity", STS API reference; "Available keys for AWS OIDC federation", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.iam import assuming, credentials
from dryport.iam.enforcement.about import About
from dryport.iam.enforcement.decision import surroundings
from dryport.iam.model import PROVIDERS, Credential, Identity, Provider
from dryport.iam.policy import Attached, Caller, CallerKind, Policies, Request, evaluate
from dryport.iam.web_identity import tokens
from dryport.iam.web_identity.keys import KeyRing, Unreachable, Unusable
from dryport.iam.web_identity.tokens import Token
from dryport.store import Reader, Transaction

RING = KeyRing()
_TAGS, _SOURCE = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"
_DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
Keys = dict[str, str | tuple[str, ...]]


class Assumed(NamedTuple):
    """The session, and what the token said."""

    session: Credential
    token: Token
    provider: Provider


async def assume(call: Call, request: Mapping[str, Any]) -> Assumed:
    """What AssumeRoleWithWebIdentity gives. Raises ServiceError."""
    token = tokens.read(request["WebIdentityToken"], call.now)
    role = arns.parse(request["RoleArn"])
    if role is None or role.service != "iam" or not role.resource.startswith("role/"):
        raise ServiceError("ValidationError", "Request ARN is invalid", 400)
    provider = _provider(call.store.reader, role.account, token)
    await _check_signature(call, token, provider)

    def work(tx: Transaction) -> Credential:
        # Both may have gone meanwhile.
        known, found = _provider(tx, role.account, token), assuming.role_of(tx, request["RoleArn"])
        if found is None:
            raise ServiceError("AccessDenied", _DENIED, 403)
        return _session(tx, call, request, token, known, found)

    return Assumed(await call.store.transact(work), token, provider)


def _provider(reader: Reader, account: str, token: Token) -> Provider:
    """The provider of a token, in the role's account. Raises ServiceError."""
    url = token.issuer.removeprefix("https://")
    found = reader.find(PROVIDERS, "url", f"{account}/{url}") if token.issuer.startswith("https://") else []
    if not found:
        raise tokens.invalid(f"No OpenIDConnect provider found in your account for {token.issuer}")
    if not {token.audience, *token.audiences} & set(found[0].clients):
        raise tokens.invalid("Incorrect token audience")
    return found[0]


async def _check_signature(call: Call, token: Token, provider: Provider) -> None:
    try:
        for fresh in (False, True):  # a provider changes its keys now and then
            keys = await RING.of(provider.url, provider.thumbprints, call.now, fresh=fresh)
            if tokens.signed_by(token, keys):
                return
    except Unreachable as error:
        message = f"The identity provider could not be reached: {error}"
        raise ServiceError("IDPCommunicationError", message, 400) from None
    except Unusable:
        pass
    raise tokens.invalid(
        "Couldn't retrieve verification key from your identity provider, "
        "please reference AssumeRoleWithWebIdentity documentation for requirements"
    )


def _session(
    tx: Transaction, call: Call, request: Mapping[str, Any], token: Token, provider: Provider, role: Identity
) -> Credential:
    tags, transitive = _tags(token)
    source = token.claims.get(_SOURCE)
    _authorize(call, request, token, provider, role, tags, transitive)
    seconds = assuming.duration(role, request)
    limits = assuming.limits(tx, role.account, request)
    owner = f"{credentials.ASSUMED}{role.id}"
    credentials.revoke_expired(tx, owner, call.now)
    name = request["RoleSessionName"]
    session = credentials.issue_session(
        tx, call.random, role_arn=role.arn, session_name=name, now=call.now, owner=owner, seconds=seconds
    )
    made = msgspec.structs.replace(
        session,
        limits=limits,
        tags=tags,
        transitive=transitive,
        source_identity=str(source) if source else None,
        provider=provider.arn,
    )
    credentials.put(tx, made)
    return made


def _authorize(
    call: Call,
    request: Mapping[str, Any],
    token: Token,
    provider: Provider,
    role: Identity,
    tags: Mapping[str, str],
    transitive: tuple[str, ...],
) -> None:
    about = About(call.region, call.now, call.source_ip, user_agent=call.headers.get("user-agent"))
    issuer = provider.url.lower()
    keys: Keys = surroundings(about) | {
        f"{issuer}:sub": token.subject,
        f"{issuer}:aud": token.audience,
        f"{issuer}:oaud": tuple(token.audiences),
        "aws:federatedprovider": provider.arn,
    }
    if isinstance(amr := token.claims.get("amr"), list) and amr:
        keys[f"{issuer}:amr"] = tuple(map(str, amr))
    asked = dict(request)
    if token.claims.get(_SOURCE):
        asked["SourceIdentity"] = str(token.claims[_SOURCE])
    keys |= assuming.session_keys(role, asked, tags, transitive)
    caller = Caller(CallerKind.FEDERATED, provider.arn, role.account)
    actions = ["sts:AssumeRoleWithWebIdentity"]
    actions += ["sts:TagSession"] if tags or transitive else []
    actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in asked else []
    policies = Policies(resource=Attached("trust", role.trust), resource_decides=True)
    for action in actions:
        if not evaluate(Request(action, role.arn, caller, keys, role.account), policies).allowed:
            raise ServiceError("AccessDenied", f"Not authorized to perform {action}", 403)


def _tags(token: Token) -> tuple[dict[str, str], tuple[str, ...]]:
    """The session's tags that a token gives. Raises ServiceError."""
    claim = token.claims.get(_TAGS, {})
    given = claim.get("principal_tags", {}) if isinstance(claim, dict) else None
    transitive = claim.get("transitive_tag_keys", []) if isinstance(claim, dict) else None
    if not isinstance(given, dict) or not isinstance(transitive, list):
        raise tokens.invalid("The token's tags are not valid.")
    tags = {str(key): str(value[0] if isinstance(value, list) and value else value) for key, value in given.items()}
    if len(tags) > 50 or len({key.lower() for key in tags}) < len(tags) or not set(transitive) <= tags.keys():
        raise tokens.invalid("The token's tags are not valid.")
    return tags, tuple(map(str, transitive))
