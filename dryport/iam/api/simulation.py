"""The policy simulator's operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dryport.aws import arn as arns
from dryport.gateway.service import Call, Output
from dryport.iam.api import SERVICE
from dryport.iam.api.common import invalid_input, page
from dryport.iam.model import Identity
from dryport.iam.policy import Attached, Caller, CallerKind, MalformedPolicy, Policies, Purpose, check, sources
from dryport.iam.simulation import Result, Simulation

if TYPE_CHECKING:
    from types_boto3_iam.type_defs import (
        ContextEntryTypeDef,
        GetContextKeysForCustomPolicyRequestTypeDef,
        SimulateCustomPolicyRequestTypeDef,
    )

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_ACCOUNT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


@SERVICE.operation("SimulateCustomPolicy", unsupported=("OrderedOrganizationPolicyInputList", "ResourceHandlingOption"))
def simulate_custom_policy(call: Call, request: SimulateCustomPolicyRequestTypeDef) -> Output:
    """What policies say of each action on each resource."""
    return simulate(call, request)


def simulate(
    call: Call,
    request: Mapping[str, Any],
    own: Sequence[Attached] = (),
    boundary: Attached | None = None,
    source: Identity | None = None,
) -> Output:
    """What policies say of each action on each resource: only those of the page are worked out.

    ``own`` and ``boundary`` are those of a stored principal, which ``source`` is.
    """
    actions, resources = request["ActionNames"], request.get("ResourceArns") or ["*"]
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise invalid_input(f"Invalid Entity Action Name: {action}")
    for resource in resources:
        if resource != "*" and arns.parse(resource) is None:
            raise invalid_input(f"Invalid Entity Arn: {resource} does not clearly define entity type and name.")
    simulation = _simulation(call, request, own, boundary, source)
    missing = simulation.missing()
    shown, more = page(range(len(actions) * len(resources)), request)
    results = []
    for index in shown:
        action, resource = actions[index // len(resources)], resources[index % len(resources)]
        results.append(_result(action, resource, simulation.ask(action, resource), missing))
    return {"EvaluationResults": results, **more}


@SERVICE.operation("GetContextKeysForCustomPolicy")
def get_context_keys_for_custom_policy(call: Call, request: GetContextKeysForCustomPolicyRequestTypeDef) -> Output:
    """The keys that policies of whatever purpose ask for."""
    found: dict[str, str] = {}
    for document in request["PolicyInputList"]:
        accept(document, *Purpose)
        for name in sources.keys(document):
            found.setdefault(name.lower(), name)
    return {"ContextKeyNames": list(found.values())}


def accept(document: str, *purposes: Purpose) -> None:
    """Take a document that is a policy for one of these purposes."""
    problem: MalformedPolicy | None = None
    for purpose in purposes:
        try:
            return check(document, purpose)
        except MalformedPolicy as error:
            problem = problem or error
    raise invalid_input(problem.message if problem else "")


def _simulation(
    call: Call,
    request: Mapping[str, Any],
    own: Sequence[Attached],
    boundary: Attached | None,
    source: Identity | None,
) -> Simulation:
    identity = [*own, *_attached("PolicyInputList", request["PolicyInputList"])]
    boundaries = list(
        _attached("PermissionsBoundaryPolicyInputList", request.get("PermissionsBoundaryPolicyInputList", ()))
    )
    if len(boundaries) > 1:
        raise invalid_input("Only one permissions boundary policy can be simulated.")
    resource = None
    if (document := request.get("ResourcePolicy")) is not None:
        accept(document, Purpose.RESOURCE)
        resource = Attached("ResourcePolicy", document)
        if "CallerArn" not in request:
            raise invalid_input("CallerArn must be provided when a resource policy is simulated.")
    caller = _caller(call, request.get("CallerArn"), source)
    owner = caller.account
    if (stated := request.get("ResourceOwner")) is not None:
        account = _ACCOUNT.fullmatch(stated)
        if account is None:
            raise invalid_input(f"Invalid Entity Arn: {stated} is not the ARN of an account.")
        owner = account[1]
    tags = source.tags if source is not None and source.arn == request.get("CallerArn") else {}
    tagged = {f"aws:principaltag/{key.lower()}": value for key, value in tags.items()}
    context = _context(call, caller) | tagged | dict(map(_entry, request.get("ContextEntries", ())))
    boundary = boundaries[0] if boundaries else boundary
    return Simulation(caller, Policies(identity, resource=resource, boundary=boundary), context, owner)


def _attached(member: str, documents: Iterable[str]) -> Iterable[Attached]:
    for number, document in enumerate(documents, 1):
        accept(document, Purpose.IDENTITY)
        yield Attached(f"{member}.{number}", document)


def _caller(call: Call, arn: str | None, source: Identity | None = None) -> Caller:
    """The user who is simulated; nobody in particular, of the account, where none is named."""
    if source is not None and source.kind == "role" and arn == source.arn:
        return Caller(CallerKind.ROLE, source.arn, source.account, source.arn, (source.id,))
    if arn is None:
        return Caller(CallerKind.USER, "", call.account)
    parts = arns.parse(arn)
    if parts is None or parts.service != "iam" or not re.fullmatch(r"user/.+", parts.resource):
        raise invalid_input(f"Invalid Entity Arn: {arn} is not the ARN of a user.")
    return Caller(CallerKind.USER, arn, parts.account)


def _context(call: Call, caller: Caller) -> dict[str, str | tuple[str, ...]]:
    """The keys that every request has, where they follow from what is simulated."""
    found: dict[str, str | tuple[str, ...]] = {
        "aws:currenttime": datetime.fromtimestamp(call.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(call.now)),
    }
    if caller.arn:
        found |= {
            "aws:principalarn": caller.arn,
            "aws:principalaccount": caller.account,
            "aws:principaltype": "User" if caller.kind is CallerKind.USER else "AssumedRole",
        }
    if caller.arn and caller.kind is CallerKind.USER:
        found["aws:username"] = caller.arn.rpartition("/")[2]
    return found


def _entry(entry: ContextEntryTypeDef) -> tuple[str, str | tuple[str, ...]]:
    name, values = entry.get("ContextKeyName"), tuple(entry.get("ContextKeyValues", ()))
    if not name or not values:
        raise invalid_input("A context entry needs ContextKeyName and ContextKeyValues.")
    kind: str | None = entry.get("ContextKeyType")
    if kind is not None and kind.endswith("List"):
        return name.lower(), values
    if len(values) == 1:
        return name.lower(), values[0]
    if kind is not None:
        raise invalid_input(f"Context key {name} of type {kind} takes one value.")
    return name.lower(), values


def _result(action: str, resource: str, result: Result, missing: Sequence[str]) -> Mapping[str, Any]:
    """As AWS answers: what is missing stands with the resource where one is named, and with the action otherwise."""
    decision = result.decision
    said = "allowed" if decision.allowed else "explicitDeny" if decision.explicit else "implicitDeny"
    matched = [
        {
            "SourcePolicyId": found.policy,
            "StartPosition": {"Line": found.start.line, "Column": found.start.column},
            "EndPosition": {"Line": found.end.line, "Column": found.end.column},
        }
        for found in result.matched
    ]
    boundary: dict[str, Any] = {}
    if result.within_boundary is not None:
        boundary["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": result.within_boundary}
    answer = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": said,
        "MatchedStatements": matched,
        "MissingContextValues": missing if resource == "*" else [],
        **boundary,
    }
    if resource != "*":
        specific = {"EvalResourceName": resource, "EvalResourceDecision": said, "MatchedStatements": matched}
        answer["ResourceSpecificResults"] = [specific | {"MissingContextValues": missing} | boundary]
    return answer
