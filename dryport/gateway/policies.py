"""How services differ in saying that an input breaks its model's constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dryport.aws.errors import ServiceError
from dryport.gateway.models import ServiceModel


@dataclass(frozen=True, slots=True)
class Violation:
    """A constraint that an input breaks.

    ``path`` is in AWS's form (``containers.1.member.name``), ``value`` the offending value as text, ``None`` where it
    is secret, ``constraint`` AWS's sentence. ``owner`` is the shape that lacks a required member, empty for others.
    """

    path: str
    value: str | None
    constraint: str
    owner: str = ""


OPEN_ENUMERATIONS: dict[str, frozenset[str]] = {"ec2": frozenset({"InstanceType"})}
"""By service the shapes whose values its handlers know better than the model does."""

Policy = Callable[[str, Sequence[Violation]], ServiceError]
"""From an operation's name and what its input breaks to the error that answers it."""


def coral_message(violations: Sequence[Violation]) -> str:
    """The message that most services give: all violations, counted."""
    plural = "" if len(violations) == 1 else "s"
    texts = "; ".join(
        f"Value{'' if v.value is None else ' ' + v.value} at '{v.path}' failed to satisfy constraint: {v.constraint}"
        for v in violations
    )
    return f"{len(violations)} validation error{plural} detected: {texts}"


def _coral(code: str) -> Policy:
    return lambda operation, violations: ServiceError(code, coral_message(violations), 400)


def _ecr(operation: str, violations: Sequence[Violation]) -> ServiceError:
    first = violations[0]
    constraint = first.constraint
    pattern = "Member must satisfy regular expression pattern: "
    if constraint.startswith(pattern):
        constraint = f"must satisfy regular expression '{constraint.removeprefix(pattern)}'"
    message = f"Invalid parameter at '{first.path}' failed to satisfy constraint: '{constraint}'"
    return ServiceError("InvalidParameterException", message, 400)


def _ecs(operation: str, violations: Sequence[Violation]) -> ServiceError:
    code = "ClientException" if operation == "RegisterTaskDefinition" else "InvalidParameterException"
    first = violations[0]
    if not first.owner:
        return ServiceError(code, coral_message(violations), 400)
    member = first.path.rpartition(".")[2]
    if "." not in first.path:
        return ServiceError(code, f"{member[:1].upper()}{member[1:]} can not be blank.", 400)
    return ServiceError(code, f"{first.owner}.{member} should not be null or empty.", 400)


def _ec2(operation: str, violations: Sequence[Violation]) -> ServiceError:
    first = violations[0]
    name = ".".join(part[:1].upper() + part[1:] for part in first.path.split(".") if part != "member")
    if first.owner:
        return ServiceError("MissingParameter", f"The request must contain the parameter {name}", 400)
    value = (first.value or "").strip("'")
    return ServiceError("InvalidParameterValue", f"Value ({value}) for parameter {name} is invalid. ", 400)


def _logs(operation: str, violations: Sequence[Violation]) -> ServiceError:
    first = violations[0]
    if first.path in ("logGroupName", "logStreamName") and first.constraint.endswith("less than or equal to 512"):
        message = "Invalid LogGroup or LogStream, both must have length less than or equal to 512."
        return ServiceError("InvalidParameterException", message, 400)
    return ServiceError("InvalidParameterException", coral_message(violations), 400)


def _s3(operation: str, violations: Sequence[Violation]) -> ServiceError:
    if all("." in one.path for one in violations):  # in the body, which is XML
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        return ServiceError("MalformedXML", message, 400)
    return ServiceError("ValidationException", coral_message(violations), 400)


def _iam(operation: str, violations: Sequence[Violation]) -> ServiceError:
    """IAM shows no values."""
    bare = [replace(one, value=None, constraint=_with_null(one.constraint)) for one in violations]
    return ServiceError("ValidationError", coral_message(bare), 400)


def _with_null(constraint: str) -> str:
    listed = "Member must satisfy constraint: ["
    return f"{constraint[:-1]}, Member must not be null]" if constraint.startswith(listed) else constraint


_POLICIES: dict[str, Policy] = {
    "ec2": _ec2,
    "ecr": _ecr,
    "ecs": _ecs,
    "iam": _iam,
    "logs": _logs,
    "s3": _s3,
}


def policy(model: ServiceModel) -> Policy:
    """The policy of a service."""
    known = _POLICIES.get(model.name)
    if known is not None:
        return known
    return _coral("ValidationError" if "query" in model.protocols else "ValidationException")
