"""JSON to the values that handlers see and back, compiled from a model's shapes.

A reader is a function of one value; it raises ServiceError (SerializationException) where the value is of another kind.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any

import msgspec

from dryport.gateway import timestamps
from dryport.gateway.models import Member, ServiceModel, Shape
from dryport.gateway.wire import serialization_error

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]
_INTEGER_LIMITS = {"integer": 2**31, "long": 2**63}
_KINDS = {str: "STRING_VALUE", bool: "TRUE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}


def _unexpected(value: Any, wanted: str) -> Exception:
    if isinstance(value, dict):
        return serialization_error("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return serialization_error("Start of list found where not expected")
    kind = "FALSE_VALUE" if value is False else _KINDS.get(type(value), "NULL_VALUE")
    return serialization_error(f"{kind} cannot be converted to {wanted}")


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _unexpected(value, "String")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _unexpected(value, "Boolean")
    return value


def _integer(kind: str) -> Reader:
    limit = _INTEGER_LIMITS[kind]
    wanted = "Integer" if kind == "integer" else "Long"

    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise _unexpected(value, wanted)
        if not -limit <= value < limit:
            raise _unexpected(value, wanted)
        return value

    return read


def _number(value: Any) -> float:
    if type(value) is str and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) not in (int, float):
        raise _unexpected(value, "Double")
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _blob(value: Any) -> bytes:
    if type(value) is not str:
        raise _unexpected(value, "ByteBuffer")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise serialization_error("Failed to decode base64 value") from None


def _timestamp(value: Any) -> float:
    if type(value) in (int, float):
        if not timestamps.MINIMUM <= value <= timestamps.MAXIMUM:
            raise serialization_error(f"{value} is not a valid timestamp")
        return float(value)
    if type(value) is str:
        try:
            return timestamps.parse(value)
        except ValueError:
            pass
    raise _unexpected(value, "Date")


_SCALARS: dict[str, Reader] = {
    "string": _string,
    "character": _string,
    "boolean": _boolean,
    "integer": _integer("integer"),
    "long": _integer("long"),
    "float": _number,
    "double": _number,
    "blob": _blob,
    "timestamp": _timestamp,
}


class JsonReaders:
    """Readers of a service's shapes, compiled on first use and shared."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._readers: dict[str, Reader] = {}

    def reader(self, name: str) -> Reader:
        """The reader of a shape."""
        known = self._readers.get(name)
        if known is None:
            # Shapes may hold themselves: whoever asks meanwhile gets this.
            self._readers[name] = lambda value: self._readers[name](value)
            known = self._readers[name] = self._compile(self._model.shape(name))
        return known

    def _compile(self, shape: Shape) -> Reader:
        if shape.document:
            return lambda value: value
        if shape.type == "structure":
            return self.structure({m.locationName or name: (name, m) for name, m in shape.members.items()})
        if shape.type == "list" and shape.member:
            return self._list(self.reader(shape.member.shape))
        if shape.type == "map" and shape.value:
            return self._map(self.reader(shape.value.shape))
        return _SCALARS[shape.type]

    def structure(self, members: dict[str, tuple[str, Member]]) -> Reader:
        """A reader of an object with these members, by their names on the wire. Unknown ones are left out."""
        readers = {wire: (name, self._member(member)) for wire, (name, member) in members.items()}

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _unexpected(value, "Structure")
            out = {}
            for wire, item in value.items():
                if item is not None and wire in readers:
                    name, read_member = readers[wire]
                    out[name] = read_member(item)
            return out

        return read

    def _member(self, member: Member) -> Reader:
        read = self.reader(member.shape)
        if not member.jsonvalue:
            return read
        return lambda value: msgspec.json.decode(_string(value))

    @staticmethod
    def _list(read_item: Reader) -> Reader:
        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise _unexpected(value, "List")
            return [read_item(item) for item in value]

        return read

    @staticmethod
    def _map(read_item: Reader) -> Reader:
        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _unexpected(value, "Map")
            return {key: read_item(item) for key, item in value.items()}

        return read


class JsonWriters:
    """Writers of a service's shapes; ``None`` where msgspec's encoder writes the value as it should be.

    msgspec writes bytes as base64 and floats as numbers, as the JSON protocols want blobs and timestamps.
    """

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._writers: dict[str, Writer | None] = {}

    def writer(self, name: str) -> Writer | None:
        """The writer of a shape."""
        if name not in self._writers:
            if not self._converts(name, set()):
                self._writers[name] = None
            else:
                self._writers[name] = lambda value: self._must(name)(value)
                self._writers[name] = self._compile(self._model.shape(name))
        return self._writers[name]

    def _must(self, name: str) -> Writer:
        writer = self._writers[name]
        assert writer is not None
        return writer

    def _converts(self, name: str, seen: set[str]) -> bool:
        if name in seen:
            return False
        seen.add(name)
        shape = self._model.shape(name)
        if shape.timestampFormat not in (None, "unixTimestamp"):
            return True
        parts = [part for part in (shape.member, shape.value) if part is not None]
        for member_name, member in shape.members.items():
            if member.locationName not in (None, member_name) or member.jsonvalue:
                return True
            if member.timestampFormat not in (None, "unixTimestamp"):
                return True
            parts.append(member)
        return any(self._converts(part.shape, seen) for part in parts)

    def _compile(self, shape: Shape) -> Writer | None:
        if shape.type == "structure":
            return self.structure(shape.members)
        if shape.type == "list" and shape.member:
            item = self._member(shape.member)
            return lambda value: [item(part) for part in value] if item else value
        if shape.type == "map" and shape.value:
            entry = self._member(shape.value)
            return lambda value: {key: entry(part) for key, part in value.items()} if entry else value
        if shape.type == "timestamp":
            return _timestamp_writer(shape.timestampFormat)
        return None

    def structure(self, members: dict[str, Member]) -> Writer:
        """A writer of an object with these members."""
        writers = {name: (member.locationName or name, self._member(member)) for name, member in members.items()}

        def write(value: Any) -> Any:
            if isinstance(value, msgspec.Raw):
                return value
            out = {}
            for name, item in value.items():
                wire, writer = writers[name]
                out[wire] = item if writer is None else writer(item)
            return out

        return write

    def _member(self, member: Member) -> Writer | None:
        if member.jsonvalue:
            return lambda value: msgspec.json.encode(value).decode()
        if member.timestampFormat is not None:
            return _timestamp_writer(member.timestampFormat)
        return self.writer(member.shape)


def _timestamp_writer(style: str | None) -> Writer | None:
    if style in (None, "unixTimestamp"):
        return None
    return timestamps.http_date if style == "rfc822" else timestamps.iso8601
