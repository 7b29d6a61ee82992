"""The byte ranges of the distribution API. Pure.

Sources: OCI distribution specification 1.1 ("Pushing a blob in chunks"), RFC 9110 section 14.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CHUNK = re.compile(r"(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]+|\*))?")
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


class Unsatisfiable(ValueError):
    """A range that the content has no byte of (HTTP 416)."""


class Span(NamedTuple):
    """Bytes from ``start`` to ``end``, which is not included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def parse_content_range(text: str) -> Span:
    """The chunk that an upload's Content-Range (``<first>-<last>``) announces. Raises ValueError."""
    match = _CHUNK.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a range of bytes, <first>-<last>")
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"the range {text} ends before it starts")
    return Span(first, last + 1)


def parse_range(text: str, size: int) -> Span | None:
    """The part that a Range header asks for of content of ``size`` bytes.

    ``None`` where the header is no single range of bytes and so is to be ignored (RFC 9110 section 14.2).
    Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match[0].endswith("=-"):
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= end:
        raise Unsatisfiable(text)
    return Span(start, end)


def received(size: int) -> str:
    """The Range header that says how much of an upload is here; an empty one is ``0-0`` too, as in ECR."""
    return f"0-{max(0, size - 1)}"
