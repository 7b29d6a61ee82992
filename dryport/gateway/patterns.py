"""The models' regular expressions (Java's syntax) in Python's.

Python's ``re`` has no Unicode classes such as ``\\p{L}``; they are written out as ranges. This is done when the models
are prepared, once.
"""

from __future__ import annotations

import re
import sys
import unicodedata
import warnings
from functools import cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from dryport.gateway.models import Shape

_CLASS = re.compile(r"\\([pP])(?:\{(\^?)(?:Is|general_category=)?(\w+)\}|([A-Z]))")
_SETS = (r"\w", r"\d", r"\s", r"\W", r"\D", r"\S")
_POSIX = {
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "ASCII": r"\x00-\x7f",
    "Space": r"\s",
    "Blank": r" \t",
    "Punct": r"!-/:-@\[-`{-~",
    "Print": r"\x20-\x7e",
    "Graph": r"\x21-\x7e",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
}


@cache
def _spans() -> list[tuple[str, int, int]]:
    """All code points as runs of one general category."""
    spans: list[tuple[str, int, int]] = []
    first, category = 0, unicodedata.category("\0")
    for point, current in enumerate(map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))):
        if current != category:
            spans.append((category, first, point - 1))
            first, category = point, current
    spans.append((category, first, sys.maxunicode))
    return spans


@cache
def _ranges(category: str, inverted: bool) -> str:
    """The code points of a general category, or a group of them (``L``), as ranges for a character class."""
    chosen = ((low, high) for name, low, high in _spans() if name.startswith(category) != inverted)
    return "".join(f"\\U{low:08x}" if low == high else f"\\U{low:08x}-\\U{high:08x}" for low, high in chosen)


def _written_out(text: str) -> str:
    out: list[str] = []
    place, inside = 0, False
    while place < len(text):
        found = _CLASS.match(text, place)
        character = text[place]
        if found:
            body = _members(found)
            out.append(body if inside else f"[{body}]")
            place = found.end()
        elif character == "\\":
            out.append(text[place : place + 2])
            place += 2
        else:
            if character == "[" and inside:
                character = "\\["
            elif character in "[]":
                inside = character == "["
            out.append(character)
            place += 1
        if inside and text[place : place + 1] == "-" and (found or out[-1] in _SETS):
            # Java lets a class stand before a hyphen, which then is itself: [\\w-_].
            out.append("\\-")
            place += 1
    return "".join(out)


def _members(found: re.Match[str]) -> str:
    name = found[3] or found[4]
    inverted = (found[1] == "P") != bool(found[2])
    return _POSIX[name] if name in _POSIX and not inverted else _ranges(name, inverted)


def translate(pattern: str) -> str | None:
    """A pattern in Python's syntax, or ``None`` where Python cannot say it."""
    text = (
        _written_out(pattern)
        .replace(r"\z", r"\Z")
        .replace("(?<", "(?P<")
        .replace("(?P<=", "(?<=")
        .replace("(?P<!", "(?<!")
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, OverflowError, KeyError):
        return None
    return text


def translate_shape(shape: Shape) -> Shape:
    """The shape with ``regex``, its pattern in Python's syntax, where Python can say it."""
    if shape.pattern is None:
        return shape
    return msgspec.structs.replace(shape, regex=translate(shape.pattern))
