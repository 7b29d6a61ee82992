"""What must not be written down of requests and answers: what the models call sensitive, and some that they do not.

Bodies and files (blobs) are left out too: nobody reads them in a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dryport.gateway.models import ServiceModel

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"  # CloudTrail's word for it
# Members that hold secrets whatever the models say, or may: the environments of containers.
_SECRETS = """
    SecretAccessKey SessionToken PrivateKey KeyMaterial UserData Passphrase authorizationToken SecretString SecretBinary
    password Password environment
"""
_SECRET = frozenset(_SECRETS.split())
Plan = Mapping[str, Any]  # by member: a plan of what is in it, or ``None`` for what is hidden


# In a line of JSON: an array of flat objects, each string of it whole; nothing is tried twice.
_ARRAY = re.compile(rb'"environment":\s*+\[(?:[^\[\]"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+\]')
_HIDDEN_ARRAY = b'"environment":"' + HIDDEN.encode() + b'"'


class Redaction:
    """What is to be hidden in values of a shape."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        names = set(_names(plan))
        self._environment = b'"environment"' if "environment" in names else None
        self._suspicious = [f'"{name}"'.encode() for name in sorted(names - {"environment"})]

    @classmethod
    def of(cls, model: ServiceModel, shape_name: str | None) -> Redaction:
        """For a shape of a model; ``None`` for a call without one."""
        return cls((_plan(model, shape_name, ()) if shape_name is not None else None) or {})

    def hide(self, value: Mapping[str, Any], text: bytes | None) -> Any:
        """A value without what is to be hidden, for JSON; what was given stays as it is.

        ``text`` is the value as one line of JSON, where it is at hand: it costs little more than a copy where it names
        nothing hidden but environments.
        """
        shown = self._glanced_at(text) if text else None
        if shown is not None:
            return msgspec.Raw(shown)
        return hide(value, self._plan) if self._plan else value

    def _glanced_at(self, text: bytes) -> bytes | None:
        """The text without what is to be hidden; ``None`` where that is not to be told at a glance."""
        # Some searches cost less than one pattern. Names may be spelled with escapes, and a line is to stay one.
        if b"\\u" in text or b"\n" in text:
            return None
        for each in self._suspicious:
            if each in text:
                return None
        if self._environment is None or self._environment not in text:
            return text
        shown, count = _ARRAY.subn(_HIDDEN_ARRAY, text)
        return shown if count == text.count(self._environment) else None


def _names(plan: Plan) -> Iterator[str]:
    """The members that are hidden."""
    for name, inside in plan.items():
        if inside is None:
            yield name
        else:
            yield from _names(inside)


def _plan(model: ServiceModel, name: str, above: tuple[str, ...]) -> Plan | None:
    """``None`` for a shape that is hidden as a whole."""
    shape = model.shape(name)
    if shape.sensitive or shape.type == "blob":
        return None
    if name in above:
        return {}
    if shape.type in ("list", "map"):
        inner = shape.member or shape.value
        return _plan(model, inner.shape, (*above, name)) if inner is not None else {}
    found: dict[str, Any] = {}
    for member, reference in shape.members.items():
        if member in _SECRET:
            found[member] = None
        else:
            inside = _plan(model, reference.shape, (*above, name))
            if inside is None or inside:
                found[member] = inside
    return found


def hide(value: Any, planned: Plan) -> Any:
    """A value without what is to be hidden; what it was given stays as it is."""
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    if isinstance(value, Mapping):
        return {name: _hidden(each, planned, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [hide(each, planned) for each in value]
    return value


def _hidden(value: Any, planned: Plan, name: str) -> Any:
    if name not in planned:
        # A map's values stand for themselves: its plan is that of each.
        return hide(value, planned) if isinstance(value, Mapping) and planned.keys() & value.keys() else value
    inside = planned[name]
    return HIDDEN if inside is None else hide(value, inside)
