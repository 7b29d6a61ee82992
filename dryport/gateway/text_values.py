"""Scalars as text: in forms, XML, headers, paths and queries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from dryport.gateway import timestamps
from dryport.gateway.models import Shape

FromText = Callable[[str], Any]
ToText = Callable[[Any], str]
_INTEGER_LIMITS = {"integer": 2**31, "long": 2**63}


def _integer(limit: int) -> FromText:
    def read(text: str) -> int:
        text = text.strip()
        if len(text) > 20 or not text.isascii():
            raise ValueError(text)
        value = int(text)
        if not -limit <= value < limit or "_" in text:
            raise ValueError(text)
        return value

    return read


def _boolean(text: str) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}.get(text.strip().lower())
    if known is None:
        raise ValueError(text)
    return known


def _float(text: str) -> float:
    if len(text) > 400 or "_" in text:
        raise ValueError(text)
    return float(text)


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


_READERS: dict[str, FromText] = {
    "string": str,
    "character": str,
    "boolean": _boolean,
    "integer": _integer(_INTEGER_LIMITS["integer"]),
    "long": _integer(_INTEGER_LIMITS["long"]),
    "float": _float,
    "double": _float,
    "blob": _blob,
    "timestamp": timestamps.parse,
}


def reader(shape: Shape) -> FromText:
    """How a scalar shape's text is read; the function raises ValueError."""
    return _READERS[shape.type]


def _boolean_text(value: Any) -> str:
    return "true" if value else "false"


def _float_text(value: Any) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return str(value)


def _blob_text(value: Any) -> str:
    return base64.b64encode(value).decode()


_TIMESTAMPS: dict[str, ToText] = {
    "iso8601": timestamps.iso8601,
    "rfc822": timestamps.http_date,
    "unixTimestamp": timestamps.unix,
}
_WRITERS: dict[str, ToText] = {
    "boolean": _boolean_text,
    "float": _float_text,
    "double": _float_text,
    "blob": _blob_text,
}


def writer(shape: Shape, style: str | None, default_style: str = "iso8601") -> ToText:
    """How a scalar is written; ``style`` is the form of a timestamp that the reference to the shape asks for."""
    if shape.type == "timestamp":
        return _TIMESTAMPS[style or shape.timestampFormat or default_style]
    return _WRITERS.get(shape.type, str)
