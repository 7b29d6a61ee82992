"""The policy engine: may this caller do this with that? Pure; imports nothing of ours but ``aws``.

``check`` accepts a document, or refuses it in AWS's words; ``evaluate`` decides about a ``Request`` with the
``Policies`` that speak to it; ``refusal`` says why not. Documents are compiled once (``compiled``) and found again by
their text, so that a changed policy acts with the next request.

Source: "Policies and permissions in AWS Identity and Access Management", IAM user guide.
"""

from dryport.iam.policy.errors import MalformedPolicy
from dryport.iam.policy.evaluation import Decision, PolicyType, evaluate
from dryport.iam.policy.grammar import Purpose, check
from dryport.iam.policy.messages import refusal
from dryport.iam.policy.request import Attached, Caller, CallerKind, Policies, Request

__all__ = [
    "Attached",
    "Caller",
    "CallerKind",
    "Decision",
    "MalformedPolicy",
    "Policies",
    "PolicyType",
    "Purpose",
    "Request",
    "check",
    "evaluate",
    "refusal",
]
