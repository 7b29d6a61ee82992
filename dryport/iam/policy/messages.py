"""AWS's words for a refusal.

Source: "Troubleshoot access denied error messages", IAM user guide. A request between accounts, and one that a role's
trust policy decides, is refused without a reason, which would tell of the other side's policies; but ECR tells that a
repository's policy does not allow it.
"""

from __future__ import annotations

from dryport.iam.policy.evaluation import Decision, PolicyType
from dryport.iam.policy.request import CallerKind, Request


def refusal(decision: Decision, request: Request) -> str:
    """The message of a request that was refused."""
    said = f"{who(request)} is not authorized to perform: {request.action}"
    if request.resource != "*":
        said += f" on resource: {request.resource}"
    return f"{said} {reason}" if (reason := why(decision, request)) else said


def who(request: Request) -> str:
    """The caller, as a message names it."""
    caller = request.caller
    if caller.kind is CallerKind.ANONYMOUS:
        return "User: anonymous"
    return f"User: {caller.arn}"


def why(decision: Decision, request: Request) -> str:
    """The reason of a refusal, empty where AWS gives none."""
    if decision.by is None or _trust(request) or (decision.cross_account and not _told(decision, request)):
        return ""
    kind = decision.by.value
    if decision.explicit:
        article = "an" if decision.by is PolicyType.IDENTITY else "a"
        return f"with an explicit deny in {article} {kind}"
    return f"because no {kind} allows the {request.action} action"


def _told(decision: Decision, request: Request) -> bool:
    return request.action.startswith("ecr:") and decision.by is PolicyType.RESOURCE and not decision.explicit


def _trust(request: Request) -> bool:
    return request.action.lower().startswith("sts:assumerole")
