"""Pagination: sorted items, and a token that says after which one to go on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dryport.ecr import errors

T = TypeVar("T")


def page(
    items: Sequence[T], key: Callable[[T], str], request: dict[str, Any], default: int
) -> tuple[list[T], dict[str, str]]:
    """The items of one page, by key, and the ``nextToken`` member where there are more.

    A page has ``maxResults`` items, or ``default``. Raises InvalidParameterException for a token that is none.
    """
    ordered = sorted(items, key=key)
    if "nextToken" in request:
        try:
            after = base64.b64decode(request["nextToken"], validate=True).decode()
        except (binascii.Error, UnicodeError):
            raise errors.invalid_parameter("nextToken", "must be a token of an earlier answer") from None
        ordered = [item for item in ordered if key(item) > after]
    count = request.get("maxResults", default)
    chosen = ordered[:count]
    if len(ordered) <= count:
        return chosen, {}
    return chosen, {"nextToken": base64.b64encode(key(chosen[-1]).encode()).decode()}
