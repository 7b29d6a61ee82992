"""Whether a bucket's policy is public: whether it lets in callers whom it does not fix. Pure.

Source: "The meaning of 'public'", "Blocking public access to your Amazon S3 storage", S3 user guide.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_FIXED = {
    "aws:sourceip",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceowner",
    "aws:sourceaccount",
    "aws:userid",
    "aws:principalorgid",
    "aws:principalaccount",
    "aws:principalarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
}
_OPERATORS = {"stringequals", "stringlike", "arnequals", "arnlike", "ipaddress"}
_NARROW = {4: 8, 6: 32}  # the widest networks that count as fixed, by IP's version: bits of their prefix


@lru_cache(maxsize=256)
def is_public(document: str) -> bool:
    """Whether a checked document has a statement that lets everybody in."""
    listed = json.loads(document)["Statement"]
    return any(_is_public(body) for body in (listed if isinstance(listed, list) else [listed]))


def _is_public(body: dict[str, Any]) -> bool:
    if body["Effect"] != "Allow":
        return False
    if "Principal" in body and not any("*" in text for text in _principals(body["Principal"])):
        return False
    for operator, conditions in (body.get("Condition") or {}).items():
        if operator.lower() not in _OPERATORS:
            continue
        for key, value in conditions.items():
            if key.lower() in _FIXED and all(_is_fixed(key.lower(), text) for text in _texts(value)):
                return False
    return True


def _principals(element: Any) -> Iterator[str]:
    for listed in [element] if isinstance(element, str) else element.values():
        yield from _texts(listed)


def _is_fixed(key: str, text: str) -> bool:
    if key != "aws:sourceip":
        return "*" not in text and "?" not in text and "${" not in text
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _NARROW[network.version]


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
