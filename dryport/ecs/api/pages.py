"""Pages of a list: ``maxResults`` and ``nextToken``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError

_MAX_RESULTS = 100


def page(
    items: Sequence[str], request: Mapping[str, Any], most: int = _MAX_RESULTS
) -> tuple[Sequence[str], str | None]:
    """The page of ``items`` that a request asks for, and the token of the next one, ``None`` on the last page.

    A token names the last item seen, and where it was in case it is gone by then: a page is then short or long by what
    came and went before it, never doubled by what came after. Raises ServiceError (InvalidParameterException).
    """
    size = request.get("maxResults") or most
    if not 1 <= size <= most:
        raise ServiceError("InvalidParameterException", f"maxResults must be between 1 and {most}.")
    start = _start(items, request["nextToken"]) if request.get("nextToken") else 0
    chosen = items[start : start + size]
    if start + size >= len(items):
        return chosen, None
    token = msgspec.json.encode([start + size, chosen[-1]])
    return chosen, base64.urlsafe_b64encode(token).decode()


def answer(member: str, items: Sequence[str], request: Mapping[str, Any], most: int = _MAX_RESULTS) -> dict[str, Any]:
    """The answer of a list operation whose items stand under ``member``."""
    chosen, token = page(items, request, most)
    found: dict[str, Any] = {member: list(chosen)}
    if token is not None:
        found["nextToken"] = token
    return found


def _start(items: Sequence[str], token: str) -> int:
    try:
        position, last = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise ServiceError("InvalidParameterException", "Invalid token.") from error
    if 0 < position <= len(items) and items[position - 1] == last:
        return position
    try:
        return items.index(last) + 1
    except ValueError:
        return max(0, position)
