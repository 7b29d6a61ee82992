"""What other services may ask of IAM: plain functions inside their own transactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dryport.aws import arn as arns
from dryport.iam import credentials, linked
from dryport.iam.model import CREDENTIALS, IDENTITIES, PROFILES, SERVER_CERTIFICATES, Credential, identity_key
from dryport.store import Reader

if TYPE_CHECKING:
    from dryport.gateway.service import Call
    from dryport.iam.web_identity.assuming import Assumed
    from dryport.store.sealing import Sealer


def has_server_certificate(reader: Reader, account: str, certificate_arn: str) -> bool:
    """Whether an account has a server certificate of this ARN."""
    return any(each.account == account for each in reader.find(SERVER_CERTIFICATES, "arn", certificate_arn))


def server_certificate(reader: Reader, sealer: Sealer, certificate_arn: str) -> bytes:
    """A server certificate, its chain and its private key, as PEM.

    Raises LookupError where there is none, ``store.sealing.Broken`` where the key does not open.
    """
    for found in reader.find(SERVER_CERTIFICATES, "arn", certificate_arn):
        parts = [found.body.encode(), found.chain.encode(), sealer.open(found.key, found.arn)]
        return b"\n".join(part.strip() for part in parts if part) + b"\n"
    raise LookupError(certificate_arn)


def resource_policy_problem(document: str) -> str | None:
    """What AWS's message has against the document of a resource-based policy; ``None`` where it is well."""
    from dryport.iam.policy import MalformedPolicy, Purpose, check  # with the engine: a megabyte

    try:
        check(document, Purpose.RESOURCE)
    except MalformedPolicy as error:
        return error.message
    return None


def denies(call: Call, document: str, action: str, resource: str) -> bool:
    """Whether a resource's policy would deny its caller an action, whatever else allows it."""
    from dryport.iam.enforcement.about import About
    from dryport.iam.enforcement.decision import denied_by  # with the engine: a megabyte

    caller = call.principal
    credential = credentials.find(call.tx, caller.access_key_id)
    if credential is None:  # a root user's that is not stored
        credential = Credential(
            access_key_id=caller.access_key_id,
            secret_access_key="",
            account=caller.account,
            principal_arn=caller.arn,
            user_id=caller.user_id,
        )
    about = About(call.region, call.now, call.source_ip)
    return denied_by(call.tx, credential, document, action, resource, about)


class HeldRole(NamedTuple):
    """An instance profile as it is stored: its ARN and id, the ARN and the name of its role (``None`` without one)."""

    arn: str
    id: str
    role_arn: str | None
    role_name: str | None


def assume_role(call: Call, request: Mapping[str, Any]) -> Credential:
    """What STS's AssumeRole gives. Raises ServiceError."""
    from dryport.iam import assuming  # with the engine: a megabyte

    return assuming.assume_role(call, request)


async def assume_role_with_web_identity(call: Call, request: Mapping[str, Any]) -> Assumed:
    """What STS's AssumeRoleWithWebIdentity gives. Raises ServiceError."""
    from dryport.iam.web_identity import assuming

    return await assuming.assume(call, request)


def get_session_token(call: Call, request: Mapping[str, Any]) -> Credential:
    """What STS's GetSessionToken gives."""
    from dryport.iam import sessions

    return sessions.get_session_token(call, request)


def get_federation_token(call: Call, request: Mapping[str, Any]) -> Credential:
    """What STS's GetFederationToken gives. Raises ServiceError."""
    from dryport.iam import sessions

    return sessions.get_federation_token(call, request)


def account_of_key(reader: Reader, access_key_id: str) -> str | None:
    """The account of an access key, whatever state it is in; ``None`` for one that is not known."""
    found = reader.get(CREDENTIALS, access_key_id)
    return None if found is None else found.account


def decode_message(sealer: Sealer, account: str, message: str) -> str:
    """What DecodeAuthorizationMessage shows. Raises ``store.sealing.Broken``."""
    from dryport.iam.enforcement import guard

    return guard.decode(sealer, account, message)


def ensure_linked_role(call: Call, service: str) -> None:
    """Have the service-linked role of a service (``ecs.amazonaws.com``) be there."""
    linked.ensure(call.tx, call.random, service, call.account, call.now)


def refuses(reader: Reader, role_arn: str, service: str) -> bool:
    """Whether a service of AWS's may not assume a role: there is none, or its trust policy does not let it."""
    parts = arns.parse(role_arn)
    name = parts.resource.rpartition("/")[2] if parts is not None else ""
    role = reader.get(IDENTITIES, identity_key(parts.account, "role", name)) if parts is not None else None
    if role is None or role.arn != role_arn:
        return True
    from dryport.iam import assuming  # with the engine: a megabyte, once there are roles

    return not assuming.trusts(role, service)


def lets(
    document: str,
    action: str,
    resource: str,
    owner: str,
    context: Mapping[str, str],
    service: str,
    account: str,
) -> bool:
    """Whether a resource's policy lets a service of AWS's do something: by its name, or the account that it has.

    ``owner`` is the resource's account; ``context`` are the request's keys in lower case.
    """
    from dryport.iam import policy

    callers = [policy.Caller(policy.CallerKind.SERVICE, service)]
    if account:
        callers.append(policy.Caller(policy.CallerKind.ROOT, f"arn:aws:iam::{account}:root", account))
    policies = policy.Policies(resource=policy.Attached("resource policy", document))
    requests = (policy.Request(action, resource, each, context, owner) for each in callers)
    return any(policy.evaluate(each, policies).allowed for each in requests)


def may(reader: Reader, role_arn: str, service: str, action: str) -> bool:
    """Whether a service of AWS's may assume a role, and with it do something that has no resource (``Describe…``)."""
    parts = arns.parse(role_arn)
    if parts is None or refuses(reader, role_arn, service):
        return False
    from dryport.iam import policy
    from dryport.iam.enforcement import identified

    role = identified.role_of(reader, role_arn)
    if role is None:
        return False
    caller = policy.Caller(policy.CallerKind.ROLE, role_arn, parts.account, role_arn)
    request = policy.Request(action, "*", caller, {}, parts.account)
    return policy.evaluate(request, identified.of(reader, role.id).policies).allowed


def refused_to_role(
    reader: Reader, role_arn: str, service: str, session: str, action: str, resource: str, region: str, now: float
) -> str | None:
    """Why a role that a service of AWS's assumes may not do something, in AWS's words; ``None`` where it may."""
    parts = arns.parse(role_arn)
    name = parts.resource.rpartition("/")[2] if parts is not None else ""
    role = reader.get(IDENTITIES, identity_key(parts.account, "role", name)) if parts is not None else None
    if parts is None or role is None or refuses(reader, role_arn, service):
        return f"The role {role_arn} is not there, or it does not trust {service}"
    from dryport.iam.enforcement.about import About
    from dryport.iam.enforcement.decision import permitted  # with the engine: a megabyte, once there are roles

    credential = Credential(
        access_key_id="",
        secret_access_key="",
        account=parts.account,
        principal_arn=f"arn:{parts.partition}:sts::{parts.account}:assumed-role/{name}/{session}",
        user_id=f"{role.id}:{session}",
        role_arn=role_arn,
        identity=role.id,
    )
    refused = permitted(reader, credential, action, resource, About(region, now, service))
    return refused.message if refused is not None else None


def instance_profile(reader: Reader, profile_arn: str) -> HeldRole | None:
    """A stored instance profile of this ARN's name, ``None`` where there is none."""
    parts = arns.parse(profile_arn)
    if parts is None:
        return None
    found = reader.get(PROFILES, identity_key(parts.account, "instance-profile", parts.resource.rpartition("/")[2]))
    if found is None:
        return None
    held = reader.find(IDENTITIES, "id", found.role) if found.role is not None else []
    return HeldRole(found.arn, found.id, held[0].arn if held else None, held[0].name if held else None)
