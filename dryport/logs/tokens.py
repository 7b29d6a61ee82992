"""Positions in a log: event ids, and the tokens that page through events.

Events are ordered by their time stamp and then by a sequence number that grows with every event taken in. An event id
holds both, in the 56 decimal digits that AWS's ids have (the time stamp in milliseconds is their upper part).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Literal, NamedTuple

_SEQUENCE_BITS = 144
_DIRECTED = re.compile(r"([fb])/(\d{56})/s")

Direction = Literal["f", "b"]


class Position(NamedTuple):
    """A place between events, or that of an event: ``timestamp`` in milliseconds, then ``sequence``."""

    timestamp: int
    sequence: int


END = Position(2**63 - 1, 0)
# The last position that 56 digits hold, in the year 2112: no event comes later.
_LAST = Position(10**56 // 2**_SEQUENCE_BITS - 1, 0)


def event_id(position: Position) -> str:
    """The id of the event at a position: 56 digits."""
    return f"{(position.timestamp << _SEQUENCE_BITS) | position.sequence:056d}"


def position_of(identifier: str) -> Position:
    """The position that an event id holds."""
    number = int(identifier)
    return Position(number >> _SEQUENCE_BITS, number & ((1 << _SEQUENCE_BITS) - 1))


def directed(direction: Direction, position: Position) -> str:
    """A GetLogEvents token: what lies after (``f``) or before (``b``) a position."""
    return f"{direction}/{event_id(min(position, _LAST))}/s"


def parse_directed(token: str) -> tuple[Direction, Position] | None:
    """Direction and position of a GetLogEvents token, or ``None`` where it is none."""
    match = _DIRECTED.fullmatch(token)
    if match is None:
        return None
    position = position_of(match[2])
    if position > _LAST or position.sequence >= 2**63:
        return None
    return ("f" if match[1] == "f" else "b"), position


def opaque(*parts: str) -> str:
    """A page token that callers only hand back."""
    return base64.urlsafe_b64encode("\0".join(parts).encode()).decode()


def parse_opaque(token: str, parts: int) -> list[str] | None:
    """The parts of an ``opaque`` token, or ``None`` where it is none of so many parts."""
    try:
        found = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode().split("\0")
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == parts else None
