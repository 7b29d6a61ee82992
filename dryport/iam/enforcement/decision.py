"""A request's requirements, put to the engine one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

from dryport.aws import arn as arns
from dryport.iam.authorization import Requirement, Resource
from dryport.iam.enforcement import identified, resources, tagged
from dryport.iam.enforcement.about import About
from dryport.iam.enforcement.identified import Identified
from dryport.iam.model import Credential
from dryport.iam.policy import Attached, Caller, CallerKind, Decision, Policies, PolicyType, Request, evaluate, refusal
from dryport.iam.policy.cautious import cautious, stand_in
from dryport.store import Reader


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that may not go on, with AWS's message."""

    message: str
    action: str
    resource: str
    decision: Decision | None = None
    policies: Policies = field(default_factory=Policies)
    keys: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


def authorize(
    reader: Reader, credential: Credential, requirements: Iterable[Requirement], about: About
) -> Refused | None:
    """Why a request that needs all of this is refused; ``None`` where it may go on."""
    unique_id = identified.binding(reader, credential)
    if unique_id is None:
        return unbound(reader, credential, requirements, about)
    known = identified.of(reader, unique_id)
    unlimited = credential.limits is None
    keys: dict[str, str | tuple[str, ...]] = {}
    for requirement in requirements:
        action = requirement.action
        for resource in requirement.resources:
            # A resource's policy can change whatever its callers' do.
            if unlimited and not resources.governed(action) and (action, resource) in known.settled:
                continue
            keys = keys or keys_of(credential, known, about)
            refused = _decide(reader, credential, known, requirement, resource, {**keys, **requirement.keys})
            if refused is not None:
                return refused
    return None


def _decide(
    reader: Reader,
    credential: Credential,
    known: Identified,
    requirement: Requirement,
    resource: Resource,
    context: Mapping[str, str | tuple[str, ...]],
) -> Refused | None:
    """One permission on one resource."""
    action, name = requirement.action, resource.arn
    owned = resources.access(reader, action, name)
    if owned is not None or credential.limits is not None or known.asks_tags:
        context, unknown = _with_tags(reader, requirement, resource, context)
    else:
        unknown = _unknown(requirement, context)
    policies = identified.policies_of(reader, credential, known, action, unknown, None if resource.exact else name)
    caller = identified.caller(credential, known)
    asked = name if resource.exact else stand_in(name)
    account = owned.account if owned is not None else requirement.account or _owner(name, credential)
    if owned is not None:
        context = {**context, "aws:resourceaccount": account}
        if action.startswith("s3:"):
            context["s3:resourceaccount"] = account
        policies = replace(policies, resource=_own(owned, caller, unknown, None if resource.exact else name))
    request = Request(action, asked, caller, context, account)
    decision = evaluate(request, policies)
    if not decision.allowed:
        message = refusal(decision, replace(request, resource=name))
        return Refused(message, action, name, decision, policies, context)
    if owned is None:
        known.settle(action, resource, policies)
    return None


def _unknown(requirement: Requirement, context: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    """Keys that AWS would know for a requirement, and nobody here does."""
    return tuple(one for one in _names(requirement.others) if one not in context)


def _with_tags(
    reader: Reader, requirement: Requirement, resource: Resource, context: Mapping[str, str | tuple[str, ...]]
) -> tuple[Mapping[str, str | tuple[str, ...]], tuple[str, ...]]:
    """A request's keys with those of its resource's tags, and the names of the keys that are still unknown."""
    unknown = _unknown(requirement, context)
    found = tagged.keys(reader, resource)
    if found is None:
        more = () if any("resourcetag/" in name for name in context) else tagged.unknown(resource)
        return context, tuple(dict.fromkeys((*unknown, *more)))
    return {**context, **found}, tagged.without(unknown)


def unbound(
    reader: Reader, credential: Credential | None, requirements: Iterable[Requirement], about: About
) -> Refused | None:
    """``authorize`` for whom no policies of his own bind: the root user, and nobody at all (``None``).

    What is left are the policies of resources.
    """
    caller = Caller(CallerKind.ANONYMOUS)
    keys: dict[str, str | tuple[str, ...]] = {**surroundings(about), "aws:principaltype": "Anonymous"}
    if credential is not None:
        caller = Caller(CallerKind.ROOT, credential.principal_arn, credential.account)
        keys = keys_of(credential, Identified(Policies(), {"aws:principaltype": "Account"}), about)
    for requirement in requirements:
        for resource in requirement.resources:
            action, name = requirement.action, resource.arn
            owned = resources.access(reader, action, name)
            if owned is None or (resources.always(action) and owned.account == caller.account):
                continue
            context: Mapping[str, str | tuple[str, ...]] = {
                **keys,
                **requirement.keys,
                "aws:resourceaccount": owned.account,
                **({"s3:resourceaccount": owned.account} if action.startswith("s3:") else {}),
            }
            context, unknown = _with_tags(reader, requirement, resource, context)
            wide = None if resource.exact else name
            asked = Request(action, name if wide is None else stand_in(name), caller, context, owned.account)
            policies = Policies(resource=_own(owned, caller, unknown, wide))
            decision = evaluate(asked, policies)
            if not decision.allowed:
                message = refusal(decision, replace(asked, resource=name))
                return Refused(message, action, name, decision, policies, context)
    return None


def denied_by(reader: Reader, credential: Credential, document: str, action: str, resource: str, about: About) -> bool:
    """Whether a resource's policy, were it stored, would deny a caller an action on it, whatever else allows that."""
    unique_id = identified.binding(reader, credential)
    known = identified.of(reader, unique_id) if unique_id is not None else Identified(Policies(), {})
    policies = replace(known.policies, resource=Attached("resource policy", document))
    request = Request(
        action, resource, identified.caller(credential, known), keys_of(credential, known, about), credential.account
    )
    decision = evaluate(request, policies)
    return decision.explicit and decision.by is PolicyType.RESOURCE


def _own(owned: resources.Access, caller: Caller, unknown: tuple[str, ...], wide: str | None) -> Attached | None:
    """A resource's policy as it speaks to a caller."""
    if not owned.policy or (owned.restricted and caller.account != owned.account):
        return None
    return Attached("resource policy", cautious(owned.policy, unknown, wide))


def permitted(
    reader: Reader,
    credential: Credential,
    action: str,
    resource: str,
    about: About,
    keys: Mapping[str, str | tuple[str, ...]] | None = None,
) -> Refused | None:
    """Why one action on one resource is refused, for routes without an operation; ``None`` where it may go on."""
    named = Resource(resource, "*" not in resource)
    tags = ("aws:ResourceTag/${TagKey}", f"{action.partition(':')[0]}:ResourceTag/${{TagKey}}")
    return authorize(reader, credential, (Requirement(action, (named,), keys or {}, tags),), about)


def keys_of(credential: Credential, known: Identified, about: About) -> dict[str, str | tuple[str, ...]]:
    """The global keys that every request of a caller has.

    Source: "AWS global condition context keys", IAM user guide.
    """
    keys = surroundings(about) | {
        "aws:principalarn": credential.principal_arn,
        "aws:principalaccount": credential.account,
        "aws:userid": credential.user_id,
    }
    if credential.session_token is not None:
        keys["aws:multifactorauthpresent"] = "false"
        if credential.created is not None:
            keys["aws:tokenissuetime"] = _time(credential.created)
    if credential.source_identity is not None:
        keys["aws:sourceidentity"] = credential.source_identity
    if credential.provider is not None:
        keys["aws:federatedprovider"] = credential.provider
    keys |= known.keys
    if ":federated-user/" in credential.principal_arn:
        keys.pop("aws:username", None)
        keys["aws:principaltype"] = "FederatedUser"
    return keys | {f"aws:principaltag/{key.lower()}": value for key, value in credential.tags.items()}


def surroundings(about: About) -> dict[str, str | tuple[str, ...]]:
    """The global keys that tell of a request and not of its caller."""
    keys: dict[str, str | tuple[str, ...]] = {
        "aws:sourceip": about.source_ip,
        "aws:requestedregion": about.region,
        "aws:currenttime": _time(about.now),
        "aws:epochtime": str(int(about.now)),
        "aws:securetransport": "true" if about.secure else "false",
        "aws:viaawsservice": "false",
        "aws:principalisawsservice": "false",
    }
    if about.user_agent:
        keys["aws:useragent"] = about.user_agent
    if about.referer:
        keys["aws:referer"] = about.referer
    return keys


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=512)
def _names(others: tuple[str, ...]) -> tuple[str, ...]:
    """Keys of an action that AWS would know and nobody here does: ``aws:resourcetag/`` and the like."""
    return tuple(name.lower().partition("${")[0] for name in others)


def _owner(name: str, credential: Credential) -> str:
    """The account of a resource: the caller's where its ARN has none, or is AWS's own."""
    parts = arns.parse(name)
    return parts.account if parts is not None and parts.account.isdigit() else credential.account
