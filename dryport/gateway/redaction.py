"""What must not be written down of requests and answers: what the models call sensitive, and some that they do not.

Bodies and files (blobs) are left out too: nobody reads them in a log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dryport.gateway.models import ServiceModel

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"  # CloudTrail's word for it
# Members that hold secrets whatever the models say.
_SECRETS = """
    SecretAccessKey SessionToken PrivateKey KeyMaterial UserData Passphrase authorizationToken SecretString SecretBinary
    password Password
"""
_SECRET = frozenset(_SECRETS.split())
_ENVIRONMENT = frozenset(("environment", "Environment"))  # of containers: pairs of names and values
Plan = Mapping[str, Any]  # by member: a plan of what is in it, or ``None`` for what is hidden


class Redaction:
    """What is to be hidden in values of a shape."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        names = sorted(set(_names(plan)))
        # What cannot be read at a glance is looked at member by member.
        self._suspicious = (b"\\u", b"\n", *(f'"{name}"'.encode() for name in names))

    @classmethod
    def of(cls, model: ServiceModel, shape_name: str | None) -> Redaction:
        """For a shape of a model; ``None`` for a call without one."""
        return cls((_plan(model, shape_name, ()) if shape_name is not None else None) or {})

    def hide(self, value: Mapping[str, Any], text: bytes | None) -> Any:
        """A value without what is to be hidden, for JSON; what was given stays as it is.

        ``text`` is the value as one line of JSON, where it is at hand: it costs a copy where it names nothing hidden.
        """
        if text and not any(each in text for each in self._suspicious):  # some searches cost less than one pattern
            return msgspec.Raw(text)
        return hide(value, self._plan) if self._plan else value


def _names(plan: Plan, above: str = "") -> Iterator[str]:
    """The members that tell that something is to be hidden."""
    for name, inside in plan.items():
        if inside is None:
            yield above if name == "value" and above else name
        else:
            yield from _names(inside, name)


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
        elif member in _ENVIRONMENT:
            found[member] = {"value": None}
        else:
            inside = _plan(model, reference.shape, (*above, name))
            if inside is None or inside:
                found[member] = inside
    return found


def hide(value: Any, planned: Plan) -> Any:
    """A value without what is to be hidden; what it was given stays as it is."""
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
