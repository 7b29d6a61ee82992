"""What the operations share: finding parameters and versions, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.ssm import model
from dryport.ssm.model import PARAMETERS, VERSIONS, Parameter, Version, version_key
from dryport.ssm.names import Reference
from dryport.store import Reader

T = TypeVar("T")


def not_found() -> ServiceError:
    """What a parameter that isn't there answers: AWS sends no words with it."""
    return ServiceError("ParameterNotFound", "")


def find(reader: Reader, call: Call, reference: Reference) -> Parameter | None:
    """The parameter of a reference, or ``None``; those of other accounts and regions are out of sight."""
    if reference.owner not in (None, call.account) or reference.region not in (None, call.region):
        return None
    found = reader.get(PARAMETERS, model.key(call.account, call.region, reference.name))
    if found is None and reference.owner is not None:
        # An ARN does not tell a name from one that begins with a slash.
        bare = reference.name.removeprefix("/")
        found = reader.get(PARAMETERS, model.key(call.account, call.region, bare))
    return found


def named(reader: Reader, call: Call, name: str) -> Parameter:
    """The parameter of this very name. Raises ServiceError where there is none."""
    found = reader.get(PARAMETERS, model.key(call.account, call.region, name))
    if found is None:
        raise not_found()
    return found


def versions(reader: Reader, parameter: Parameter) -> list[Version]:
    """A parameter's versions, oldest first."""
    return sorted(reader.find(VERSIONS, "parameter", parameter.key), key=lambda version: version.number)


def version(reader: Reader, parameter: Parameter, number: int) -> Version:
    """A version by its number. Raises ServiceError where there is none."""
    found = reader.get(VERSIONS, version_key(parameter.key, number))
    if found is None:
        raise no_version(parameter.name, str(number))
    return found


def no_version(name: str, selector: str) -> ServiceError:
    """What a version or label that isn't there answers."""
    return ServiceError(
        "ParameterVersionNotFound",
        f"Systems Manager could not find version {selector} of {name}. Verify the version and try again.",
    )


def page(items: Sequence[T], token: str | None, limit: int) -> tuple[Sequence[T], dict[str, str]]:
    """A page of items, and the ``NextToken`` member where there are more. Raises ServiceError for a token not ours."""
    return pages.page(items, token, limit, ServiceError("InvalidNextToken", "The specified token is not valid."))
