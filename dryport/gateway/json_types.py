"""Shapes as types that msgspec decodes JSON to, with the constraints that it can check meanwhile.

The common request, which is as it should be, is then read and checked in one pass of C. What does not decode is read
again by ``json_values`` and ``constraints``, which know AWS's words for what is wrong, and forgive what AWS forgives
(``null`` for an absent member, timestamps as text).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import msgspec

from dryport.gateway import timestamps
from dryport.gateway.models import Member, ServiceModel, Shape

_BITS = {"integer": 31, "long": 63}


class _NoType(Exception):
    """A shape that has no such type."""


def quick_reader(model: ServiceModel, name: str) -> Callable[[bytes], dict[str, Any] | None] | None:
    """A function that reads a JSON body as a shape and holds it against every constraint; ``None`` where the shape
    holds itself, blobs or other values that need more than a look.

    The function answers ``None`` for a body that it cannot vouch for: others must read it.
    """
    compiler = _Compiler(model)
    try:
        decode = msgspec.json.Decoder(compiler.of(name)).decode
    except _NoType:
        return None
    unsure = frozenset(member for member, ref in model.shape(name).members.items() if ref.shape in compiler.unsure)

    def read(body: bytes) -> dict[str, Any] | None:
        try:
            given: dict[str, Any] = decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return given if unsure.isdisjoint(given) else None

    return read


class _Compiler:
    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._types: dict[str, Any] = {}
        self.unsure: set[str] = set()  # shapes with constraints, their own or below, that a type cannot check

    def of(self, name: str) -> Any:
        """The type of a shape. Raises _NoType."""
        if name not in self._types:
            self._types[name] = None
            self._types[name] = self._compile(name, self._model.shape(name))
        if self._types[name] is None:  # within itself
            raise _NoType(name)
        return self._types[name]

    def _compile(self, name: str, shape: Shape) -> Any:
        if shape.document or shape.streaming or shape.eventstream:
            raise _NoType(name)
        match shape.type:
            case "structure":
                return self._structure(name, shape)
            case "list" if shape.member is not None:
                return _sized(list[self._member(name, shape.member)], shape)  # type: ignore[misc]
            case "map" if shape.key is not None and shape.value is not None:
                return _sized(dict[self._member(name, shape.key), self._member(name, shape.value)], shape)  # type: ignore[misc]
            case "string" | "character":
                return self._string(name, shape)
            case "boolean":
                return bool
            case "integer" | "long":
                limit = 2 ** _BITS[shape.type]
                return Annotated[int, msgspec.Meta(ge=_least(shape, -limit), le=_most(shape, limit - 1))]
            case "float" | "double" if shape.min is None and shape.max is None:
                return float
            case "timestamp":
                return Annotated[float, msgspec.Meta(ge=timestamps.MINIMUM, le=timestamps.MAXIMUM)]
        raise _NoType(name)

    def _structure(self, name: str, shape: Shape) -> Any:
        members: dict[str, Any] = {}
        for member, reference in shape.members.items():
            if reference.locationName not in (None, member):
                raise _NoType(name)
            kind = self._member(name, reference)
            members[member] = Required[kind] if member in shape.required else NotRequired[kind]
        return TypedDict(name, members, total=False)  # type: ignore[operator]

    def _member(self, owner: str, member: Member) -> Any:
        if member.jsonvalue or member.streaming or member.timestampFormat is not None:
            raise _NoType(member.shape)
        kind = self.of(member.shape)
        if member.shape in self.unsure:
            self.unsure.add(owner)
        return kind

    def _string(self, name: str, shape: Shape) -> Any:
        # Regular expressions stay with ``constraints``, which compiles them when they are first needed.
        sized = shape.min is not None or shape.max is not None
        if shape.pattern is not None or (shape.enum and sized):
            self.unsure.add(name)
        return Literal[tuple(shape.enum)] if shape.enum else _sized(str, shape)


def _sized(kind: Any, shape: Shape) -> Any:
    low = None if shape.min is None else int(shape.min)
    high = None if shape.max is None else int(shape.max)
    if low is None and high is None:
        return kind
    return Annotated[kind, msgspec.Meta(min_length=low, max_length=high)]


def _least(shape: Shape, default: int) -> int:
    return default if shape.min is None else max(default, int(shape.min))


def _most(shape: Shape, default: int) -> int:
    return default if shape.max is None else min(default, int(shape.max))
