"""Who may assume a role, and the session that comes of it.

A role's trust policy decides: it must allow whoever asks, by name, or (naming the account) with the policies of that
one. Tags and a source identity of the session need permissions of their own.

Source: "AssumeRole", STS API reference; "Passing session tags in AWS STS", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from dryport.aws import arn as arns
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.iam import credentials
from dryport.iam.enforcement import identified
from dryport.iam.enforcement.about import About
from dryport.iam.enforcement.decision import keys_of
from dryport.iam.enforcement.identified import Identified
from dryport.iam.model import IDENTITIES, Credential, Identity, identity_key
from dryport.iam.policy import Attached, Caller, CallerKind, Policies, Request, check, evaluate
from dryport.store import Reader

CHAINED_SECONDS = 3600.0
_POLICY_CHARACTERS = 2048
_NOBODY = Identified(Policies(), {})
Keys = dict[str, str | tuple[str, ...]]


def assume_role(call: Call, request: Mapping[str, Any]) -> Credential:
    """A session of the role that AssumeRole's input names. Raises ServiceError."""
    if call.principal.arn.endswith(":root"):
        raise ServiceError("AccessDenied", "Roles may not be assumed by root accounts.", 403)
    caller = credentials.find(call.tx, call.principal.access_key_id)
    role = role_of(call.tx, request["RoleArn"])
    if caller is None or role is None:
        raise _denied(call, "sts:AssumeRole", request["RoleArn"])
    tags, transitive = _tags(caller, request)
    _authorize(call, caller, role, request, tags, transitive)
    seconds = _seconds(caller, role, request)
    limited = limits(call.tx, call.account, request)
    owner = f"{credentials.ASSUMED}{role.id}"
    credentials.revoke_expired(call.tx, owner, call.now)
    session = credentials.issue_session(
        call.tx,
        call.random,
        role_arn=role.arn,
        session_name=request["RoleSessionName"],
        now=call.now,
        owner=owner,
        seconds=seconds,
    )
    source = request.get("SourceIdentity", caller.source_identity)
    made = msgspec.structs.replace(session, limits=limited, tags=tags, transitive=transitive, source_identity=source)
    credentials.put(call.tx, made)
    return made


def trusts(role: Identity, service: str) -> bool:
    """Whether a role's trust policy lets a service of AWS's (``ecs-tasks.amazonaws.com``) assume it."""
    request = Request("sts:AssumeRole", role.arn, Caller(CallerKind.SERVICE, service), {}, role.account)
    return evaluate(request, Policies(resource=Attached("trust", role.trust), resource_decides=True)).allowed


def role_of(reader: Reader, role_arn: str) -> Identity | None:
    """The role of an ARN. Raises ServiceError where it is none of a role."""
    parts = arns.parse(role_arn)
    if parts is None or parts.service != "iam" or not parts.resource.startswith("role/"):
        raise ServiceError("ValidationError", f"{role_arn} is invalid", 400)
    found = reader.get(IDENTITIES, identity_key(parts.account, "role", parts.resource.rpartition("/")[2]))
    return found if found is not None and found.arn == role_arn else None


def _authorize(
    call: Call,
    credential: Credential,
    role: Identity,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
    transitive: tuple[str, ...],
) -> None:
    unique_id = identified.binding(call.tx, credential)
    known = identified.of(call.tx, unique_id) if unique_id is not None else _NOBODY
    headers = call.headers
    about = About(call.region, call.now, call.source_ip, user_agent=headers.get("user-agent"))
    keys = keys_of(credential, known, about) | session_keys(role, request, tags, transitive)
    actions = ["sts:AssumeRole"]
    actions += ["sts:TagSession"] if tags or transitive else []
    actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in request else []
    for action in actions:
        asked = Request(action, role.arn, identified.caller(credential, known), keys, role.account)
        speaking = identified.policies_of(call.tx, credential, known, action)
        policies = replace(speaking, resource=Attached("trust", role.trust), resource_decides=True)
        if not evaluate(asked, policies).allowed:
            raise _denied(call, action, role.arn)
    if credential.source_identity not in (None, request.get("SourceIdentity", credential.source_identity)):
        raise _denied(call, "sts:SetSourceIdentity", role.arn)  # once set, it stays


def session_keys(
    role: Identity, request: Mapping[str, Any], tags: Mapping[str, str], transitive: tuple[str, ...]
) -> Keys:
    """The condition keys of what a session is asked to be."""
    keys: Keys = {"sts:rolesessionname": request["RoleSessionName"]}
    if "ExternalId" in request:
        keys["sts:externalid"] = request["ExternalId"]
    if "SourceIdentity" in request:
        keys["sts:sourceidentity"] = request["SourceIdentity"]
    keys |= {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
    if tags:
        keys["aws:tagkeys"] = tuple(tags)
    if transitive:
        keys["sts:transitivetagkeys"] = transitive
    for key, value in role.tags.items():
        keys[f"aws:resourcetag/{key.lower()}"] = keys[f"iam:resourcetag/{key.lower()}"] = value
    return keys


def _tags(caller: Credential, request: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The session's tags with those that go on from the caller's, and which of them go on further."""
    inherited = {key: value for key, value in caller.tags.items() if key in caller.transitive}
    given = given_tags(request)
    lower = {key.lower() for key in inherited}
    if any(key.lower() in lower for key in given):
        message = "One or more tag keys have been inherited from a parent session and cannot be set again."
        raise ServiceError("InvalidParameterValue", message, 400)
    transitive = tuple(request.get("TransitiveTagKeys", ()))
    if not set(transitive) <= given.keys():
        message = "The specified transitive tag key must be included in the requested tags."
        raise ServiceError("InvalidParameterValue", message, 400)
    return inherited | given, (*inherited, *transitive)


def given_tags(request: Mapping[str, Any]) -> dict[str, str]:
    """The session's tags that a request gives. Raises ServiceError."""
    given = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
    if len({key.lower() for key in given}) < len(request.get("Tags", ())):
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise ServiceError("InvalidParameterValue", message, 400)
    return given


def _seconds(caller: Credential, role: Identity, request: Mapping[str, Any]) -> float:
    seconds = float(request.get("DurationSeconds", 3600))
    if caller.role_arn is not None and seconds > CHAINED_SECONDS:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise ServiceError("ValidationError", message, 400)
    return duration(role, request)


def duration(role: Identity, request: Mapping[str, Any]) -> float:
    """The seconds of a session. Raises ServiceError where a role has no such long ones."""
    seconds = float(request.get("DurationSeconds", 3600))
    if seconds > role.max_session:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise ServiceError("ValidationError", message, 400)
    return seconds


def limits(reader: Reader, account: str, request: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The session's own policies: a document, and the ARNs of managed ones."""
    found: list[str] = []
    if (document := request.get("Policy")) is not None:
        check(document)
        if len(document) > _POLICY_CHARACTERS:
            raise ServiceError("PackedPolicyTooLarge", "The session policy has more than 2048 characters.", 400)
        found.append(document.strip())
    for one in request.get("PolicyArns", ()):
        arn = one.get("arn", "")
        if arn.split(":")[4:5] not in ([account], ["aws"]) or identified.document(reader, arn) is None:
            raise ServiceError("InvalidParameterValue", f"{arn} is not a managed policy.", 400)
        found.append(arn)
    return tuple(found) if found else None


def _denied(call: Call, action: str, role_arn: str) -> ServiceError:
    message = f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {role_arn}"
    return ServiceError("AccessDenied", message, 403)
