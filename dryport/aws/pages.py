"""Pages of a list that a token goes on from by position: ``MaxResults`` and ``NextToken``. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from dryport.aws.errors import ServiceError

T = TypeVar("T")
_MOST = 2**63  # what a database takes for an offset


def page(
    items: Sequence[T], token: str | None, limit: int, refusal: ServiceError
) -> tuple[Sequence[T], dict[str, str]]:
    """A page of items, and the ``NextToken`` member where there are more. Raises ``refusal`` for a token not ours."""
    first = start(token, refusal)
    end = first + limit
    return items[first:end], {"NextToken": make_token(end)} if end < len(items) else {}


def start(token: str | None, refusal: ServiceError) -> int:
    """The position that a token says, 0 without one. Raises ``refusal`` for a token not ours."""
    if token is None:
        return 0
    try:
        found = int(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        raise refusal from None
    if not 0 <= found < _MOST:
        raise refusal
    return found


def make_token(position: int) -> str:
    """The token that says a position."""
    return base64.b64encode(str(position).encode()).decode()
