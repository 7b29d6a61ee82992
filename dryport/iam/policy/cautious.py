"""Policies read with caution, where a request is not wholly known. Pure.

Of a condition key nobody may know the value, of a resource's name a part. ``cautious`` gives a document that denies
whatever the policy might deny, and allows only what it allows in any case; who knows everything gets the same document.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dryport.iam.policy.conditions import texts
from dryport.iam.policy.sources import variables

_SILENT = {"Effect": "Allow", "Action": "none:None", "Resource": "*"}  # in its place, so that the others keep theirs
_UNLIKELY = "\uf8ff" * 48  # what no pattern but one with "*" matches


def cautious(document: str, unknown: tuple[str, ...], resource: str | None) -> str:
    """A checked document as it is to be read.

    ``unknown`` are condition keys in lower case; one that ends in ``/`` stands for all that begin so. ``resource`` is
    an ARN in which ``*`` stands for what nobody knows, ``None`` where it is known.
    """
    if resource is None and not _asks(document, unknown):
        return document
    if resource is not None and not _matters(document) and not _asks(document, unknown):
        return document  # it only allows what it names
    return _rewritten(document, unknown, resource)


def stand_in(resource: str) -> str:
    """For an ARN with ``*`` for what nobody knows: one that a statement covers only if it covers all that it may be."""
    return resource.replace("*", _UNLIKELY)


def may_meet(left: str, right: str) -> bool:
    """Whether some text matches both patterns (``*``: any text, ``?``: any character)."""
    ahead, behind = _literal(left), _literal(right)
    shorter = min(len(ahead), len(behind))
    if ahead[:shorter] != behind[:shorter]:
        return False  # the usual case, without the table of both
    row = [True] + [False] * len(right)
    for j, char in enumerate(right):
        row[j + 1] = row[j] and char == "*"
    for one in left:
        above, row = row, [row[0] and one == "*"] + [False] * len(right)
        for j, two in enumerate(right):
            if one == "*" or two == "*":
                # Either star takes the other's character, or nothing.
                row[j + 1] = above[j + 1] or row[j] or above[j]
            else:
                row[j + 1] = above[j] and (one == two or "?" in (one, two))
    return row[-1]


def _literal(pattern: str) -> str:
    """What a pattern begins with."""
    return pattern.partition("*")[0].partition("?")[0]


@lru_cache(maxsize=1024)
def _matters(document: str) -> bool:
    """Whether a document has a statement that reads otherwise where a part of the resource is not known."""
    return any(body["Effect"] == "Deny" or "NotResource" in body for body in _bodies(json.loads(document)))


@lru_cache(maxsize=1024)
def _asks(document: str, unknown: tuple[str, ...]) -> bool:
    """Whether a document asks for one of the keys."""
    return any(_unknown(_keys(body), unknown) for body in _bodies(json.loads(document)))


@lru_cache(maxsize=256)
def _parsed(document: str) -> dict[str, Any]:
    """A document, which nobody may change."""
    found: dict[str, Any] = json.loads(document)
    return found


@lru_cache(maxsize=512)
def _rewritten(document: str, unknown: tuple[str, ...], resource: str | None) -> str:
    top = _parsed(document)
    bodies = _bodies(top)
    read = [_read(body, unknown, resource) for body in bodies]
    return document if read == bodies else json.dumps(top | {"Statement": read})


def _read(body: dict[str, Any], unknown: tuple[str, ...], resource: str | None) -> dict[str, Any]:
    deny = body["Effect"] == "Deny"
    decides = deny or "NotResource" in body  # otherwise it allows what it names
    body = dict(body)
    if _unknown(_keys(body), unknown):
        if not deny:
            return _SILENT
        body["Condition"] = _known_conditions(body.get("Condition") or {}, unknown)
        if _unknown(_variables(_resources(body)), unknown):
            body.pop("NotResource", None)
            body["Resource"] = "*"
    if resource is not None and decides and any(may_meet(_open(pattern), resource) for pattern in _resources(body)):
        if deny and "Resource" in body:
            body["Resource"] = "*"
        if not deny and "NotResource" in body:
            return _SILENT
    return body


def _known_conditions(block: dict[str, Any], unknown: tuple[str, ...]) -> dict[str, Any]:
    """The conditions that can be decided."""
    found = {
        operator: {
            key: value
            for key, value in conditions.items()
            if not _unknown({key.lower()} | _variables(texts(value)), unknown)
        }
        for operator, conditions in block.items()
    }
    return {operator: conditions for operator, conditions in found.items() if conditions}


def _bodies(top: dict[str, Any]) -> list[dict[str, Any]]:
    listed = top.get("Statement", [])
    return listed if isinstance(listed, list) else [listed]


def _keys(body: dict[str, Any]) -> set[str]:
    """The keys that a statement asks for, in lower case."""
    found = _variables(_resources(body))
    for conditions in (body.get("Condition") or {}).values():
        for key, value in conditions.items():
            found |= {key.lower()} | _variables(texts(value))
    return found


def _resources(body: dict[str, Any]) -> Sequence[str]:
    return texts(body["NotResource"] if "NotResource" in body else body.get("Resource", "*"))


def _variables(listed: Sequence[str]) -> set[str]:
    return {name.lower() for text in listed for name in variables(text)}


def _unknown(keys: set[str], unknown: tuple[str, ...]) -> bool:
    prefixes = tuple(name for name in unknown if name.endswith("/"))
    return any(key in unknown or (prefixes and key.startswith(prefixes)) for key in keys)


def _open(pattern: str) -> str:
    """A pattern with ``*`` for its variables."""
    parts = pattern.split("${")
    return parts[0] + "".join("*" + part.partition("}")[2] for part in parts[1:])
