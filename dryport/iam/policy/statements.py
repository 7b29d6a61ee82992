"""What a well-formed statement must say, by what its policy is for."""

from __future__ import annotations

import re
from typing import Any

from dryport.iam.policy.conditions import texts
from dryport.iam.policy.errors import MalformedPolicy

Body = dict[str, Any]
PARTITIONS = frozenset(
    {"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc", "*", "aws*", "aws-*"}
)
_VENDOR = re.compile(r"[A-Za-z0-9.*?_-]+")
_IAM_PATHS = (
    *("user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/"),
    *("sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/"),
)
_TRUST_ACTIONS = frozenset(
    name.lower()
    for name in (
        *("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"),
        *("sts:SetSourceIdentity", "sts:SetContext", "sts:*", "*"),
    )
)
_ACCOUNT = re.compile(r"\d{12}")
_IAM_ARN = re.compile(r"arn:[\w-]+:(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/.+)")
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,124}")
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)")


def check_ids(bodies: list[Body]) -> None:
    """Raises MalformedPolicy where two statements have one id."""
    ids = [body["Sid"] for body in bodies if body.get("Sid")]
    if len(set(ids)) != len(ids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")


def check_identity(bodies: list[Body]) -> None:
    """Statements of an identity-based policy. Raises MalformedPolicy."""
    if any("Principal" in body or "NotPrincipal" in body for body in bodies):
        raise MalformedPolicy("Policy document should not specify a principal.")
    _check_resources(bodies)
    _check_actions(bodies)
    if not all(_listed(body, "Resource") for body in bodies):
        raise MalformedPolicy("Policy statement must contain resources.")


def check_trust(bodies: list[Body]) -> None:
    """Statements of a role's trust policy. Raises MalformedPolicy."""
    for body in bodies:
        for name in ("Resource", "NotResource"):
            if name in body:
                raise MalformedPolicy(f"Has prohibited field {name}")
        if "NotPrincipal" in body and body["Effect"] == "Allow":
            raise MalformedPolicy("Allow with NotPrincipal is not allowed.")
        _check_principals(body)
        if not _listed(body, "Action"):
            raise MalformedPolicy("Missing required field Action")
    _check_actions(bodies)
    for body in bodies:
        for text in texts(body.get("Action", body.get("NotAction"))):
            if text.lower() not in _TRUST_ACTIONS:
                raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")


def check_resource(bodies: list[Body]) -> None:
    """Statements of a resource's policy. Raises MalformedPolicy; ARNs of resources are its service's to check."""
    for body in bodies:
        _check_principals(body)
        if not _listed(body, "Action"):
            raise MalformedPolicy("Missing required field Action")
    _check_actions(bodies)


def _listed(body: Body, name: str) -> list[str] | str | None:
    found: list[str] | str | None = body.get(name) if name in body else body.get(f"Not{name}")
    return found


def _check_resources(bodies: list[Body]) -> None:
    for body in bodies:
        for text in texts(_listed(body, "Resource") or (body.get("Resource") == "" and [""]) or []):
            if text != "*":
                _check_resource_arn(text)


def _check_resource_arn(text: str) -> None:
    parts = text.split(":", 5)
    if len(parts) < 2:
        raise MalformedPolicy(f'Resource {text} must be in ARN format or "*".')
    whole = [*parts, *["*"] * (6 - len(parts))]
    _, partition, vendor, region, account, resource = whole
    if partition not in PARTITIONS:
        arn = ":".join(["arn", *whole[1:]])
        raise MalformedPolicy(f'Partition "{partition}" is not valid for resource "{arn}".')
    if parts[0] != "arn":
        raise MalformedPolicy(f'Resource {text} must be in ARN format or "*".')
    if len(parts) < 3 or "*" in vendor or "?" in vendor:
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    if vendor == "s3" and region not in ("", "*") and account == "":
        raise MalformedPolicy(f"Resource {text} can not contain region information.")
    if vendor == "iam":
        if region not in ("", "*"):
            raise MalformedPolicy(f"IAM resource {text} cannot contain region information.")
        if resource != "*" and not resource.startswith(_IAM_PATHS):
            paths = ", ".join(_IAM_PATHS)
            raise MalformedPolicy(f'IAM resource path must either be "*" or start with {paths}.')


def _check_actions(bodies: list[Body]) -> None:
    for body in bodies:
        listed = _listed(body, "Action")
        if listed is None or listed == []:
            raise MalformedPolicy("Policy statement must contain actions.")
        for text in texts(listed):
            _check_action(text)


def _check_action(text: str) -> None:
    vendor, colon, name = text.partition(":")
    if text == "*":
        return
    if not colon:
        raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if ":" in name:
        raise MalformedPolicy("Actions/Condition can contain only one colon.")
    if not _VENDOR.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor} is not valid")


def _check_principals(body: Body) -> None:
    element = body.get("Principal", body.get("NotPrincipal"))
    if element is None:
        raise MalformedPolicy("Missing required field Principal")
    if isinstance(element, str):
        return
    for kind, listed in element.items():
        for text in texts(listed):
            if not _is_principal(kind, text):
                raise MalformedPolicy(f'Invalid principal in policy: "{kind.upper()}":"{text}"')


def _is_principal(kind: str, text: str) -> bool:
    if text == "*":
        return True
    if kind == "AWS":
        return any(form.fullmatch(text) for form in (_ACCOUNT, _IAM_ARN, _UNIQUE_ID))
    if kind == "Service":
        return _SERVICE.fullmatch(text) is not None
    return text != ""
