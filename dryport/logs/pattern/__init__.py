"""Filter patterns: parsing them and matching messages against them. Pure.

Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail", CloudWatch
Logs user guide. Three languages share a name: terms (``ERROR -exit``), JSON (``{ $.status = 4* }``) and space-delimited
fields (``[ip, ..., bytes > 1000]``); each knows regular expressions (``%4[0-9]{2}%``).
"""

from __future__ import annotations

from typing import Protocol

from dryport.logs.pattern import fields, json_events, terms
from dryport.logs.pattern.scanner import invalid

__all__ = ["Pattern", "parse"]


class Pattern(Protocol):
    """A parsed filter pattern."""

    def matches(self, message: str) -> bool:
        """Whether a message matches."""
        ...

    def extract(self, message: str) -> dict[str, str] | None:
        """The values that the pattern names in a message that matches; ``None`` where it does not."""
        ...


def parse(text: str) -> Pattern | None:
    """The pattern, or ``None`` for the empty one, which matches everything.

    Raises ServiceError (InvalidParameterException) where it is none.
    """
    stripped = text.strip()
    if not stripped:
        return None
    for opening, closing, of in (("{", "}", json_events.parse), ("[", "]", fields.parse)):
        if stripped.startswith(opening):
            if not stripped.endswith(closing):
                raise invalid(f"If a filter pattern starts with '{opening}' it must end with '{closing}'")
            return of(stripped[1:-1])
    return terms.parse(stripped)
