"""What the operations share: finding the secret that a request names, refusals, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.secretsmanager import model
from dryport.secretsmanager.model import Secret

T = TypeVar("T")


def invalid_parameter(message: str) -> ServiceError:
    """An InvalidParameterException."""
    return ServiceError("InvalidParameterException", message)


def invalid_request(message: str) -> ServiceError:
    """An InvalidRequestException."""
    return ServiceError("InvalidRequestException", message)


def not_found() -> ServiceError:
    """What a secret that isn't there answers."""
    return ServiceError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def identified(call: Call, identifier: str) -> Secret:
    """The secret that ``SecretId`` names, marked for deletion or not. Raises ServiceError where there is none."""
    found = model.find(call.tx, call.account, call.region, identifier)
    if found is None:
        raise not_found()
    return found


def usable(call: Call, identifier: str) -> Secret:
    """The secret that ``SecretId`` names. Raises ServiceError where there is none or it is marked for deletion."""
    found = identified(call, identifier)
    if found.deletion_at is not None:
        raise invalid_request("You can't perform this operation on the secret because it was marked for deletion.")
    return found


def page(items: Sequence[T], token: str | None, limit: int) -> tuple[Sequence[T], dict[str, str]]:
    """A page of items, and the ``NextToken`` member where there are more. Raises ServiceError for a token not ours."""
    return pages.page(items, token, limit, ServiceError("InvalidNextTokenException", "The NextToken value is invalid."))
