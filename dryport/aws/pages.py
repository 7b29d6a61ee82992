"""Pages of a list that a token goes on from by position: ``MaxResults`` and ``NextToken``. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from dryport.aws.errors import ServiceError

T = TypeVar("T")


def page(
    items: Sequence[T], token: str | None, limit: int, refusal: ServiceError
) -> tuple[Sequence[T], dict[str, str]]:
    """A page of items, and the ``NextToken`` member where there are more. Raises ``refusal`` for a token not ours."""
    start = 0
    if token is not None:
        try:
            start = int(base64.b64decode(token, validate=True))
        except (binascii.Error, ValueError):
            start = -1
        if start < 0:
            raise refusal
    end = start + limit
    more = {"NextToken": base64.b64encode(str(end).encode()).decode()} if end < len(items) else {}
    return items[start:end], more
