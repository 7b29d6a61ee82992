"""What IAM's operations share: pages, and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from dryport.aws import pages
from dryport.aws.errors import ServiceError

T = TypeVar("T")
_PAGE = 100


def page(items: Sequence[T], request: Mapping[str, Any]) -> tuple[Sequence[T], dict[str, Any]]:
    """A page of ``MaxItems`` items behind ``Marker``, and the members that say whether there are more."""
    refusal = ServiceError("ValidationError", "Invalid Marker.", 400)
    found, more = pages.page(items, request.get("Marker"), request.get("MaxItems", _PAGE), refusal)
    token = more.get("NextToken")
    return found, {"IsTruncated": False} if token is None else {"IsTruncated": True, "Marker": token}


def invalid_input(message: str) -> ServiceError:
    """The refusal of an input that its model allows."""
    return ServiceError("InvalidInput", message, 400)


def no_such_entity(message: str) -> ServiceError:
    """The refusal of what is not there."""
    return ServiceError("NoSuchEntity", message, 404)
