"""The protocol Smithy RPC v2 CBOR: the operation in the path, CBOR maps both ways.

Source: "Smithy RPC v2 CBOR protocol", smithy.io; CBOR is RFC 8949.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import cbor2

from dryport.aws.errors import ServiceError
from dryport.gateway.json_rpc import qualified, query_error_header
from dryport.gateway.models import OperationModel, ServiceModel, Shape
from dryport.gateway.wire import Answer, ErrorShapes, Message, serialization_error

Convert = Callable[[Any], Any]
_INTEGER_LIMITS = {"integer": 2**31, "long": 2**63}
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "blob": (bytes,),
}


def decode(body: bytes) -> Any:
    """A CBOR document. Raises ServiceError (SerializationException)."""
    try:
        return cbor2.loads(body)
    except Exception:
        # The decoder meets hostile bytes: whatever it says of them, they are no document.
        raise serialization_error() from None


class CborReaders:
    """Readers of a service's shapes, compiled on first use and shared."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._readers: dict[str, Convert] = {}

    def reader(self, name: str) -> Convert:
        """The reader of a shape."""
        known = self._readers.get(name)
        if known is None:
            self._readers[name] = lambda value: self._readers[name](value)
            known = self._readers[name] = self._compile(self._model.shape(name))
        return known

    def _compile(self, shape: Shape) -> Convert:
        if shape.type == "structure":
            return self._structure({name: self.reader(member.shape) for name, member in shape.members.items()})
        if shape.type == "list" and shape.member is not None:
            item = self.reader(shape.member.shape)
            return lambda value: [item(part) for part in _typed(value, (list,))]
        if shape.type == "map" and shape.value is not None:
            entry = self.reader(shape.value.shape)
            return lambda value: {_typed(k, (str,)): entry(v) for k, v in _typed(value, (dict,)).items()}
        if shape.type == "timestamp":
            return _seconds
        return _scalar(shape.type)

    @staticmethod
    def _structure(readers: dict[str, Convert]) -> Convert:
        def read(value: Any) -> dict[str, Any]:
            out = {}
            for name, item in _typed(value, (dict,)).items():
                reader = readers.get(name) if isinstance(name, str) else None
                if reader is not None and item is not None:
                    out[name] = reader(item)
            return out

        return read


def _typed(value: Any, kinds: tuple[type, ...]) -> Any:
    if type(value) not in kinds:
        raise serialization_error(f"{type(value).__name__} cannot be converted to {kinds[-1].__name__}")
    return value


def _scalar(kind: str) -> Convert:
    kinds = _KINDS[kind]
    limit = _INTEGER_LIMITS.get(kind)

    def read(value: Any) -> Any:
        value = _typed(value, kinds)
        if limit is not None and not -limit <= value < limit:
            raise serialization_error(f"{value} is out of range")
        return value

    def number(value: Any) -> float:
        try:
            return float(_typed(value, kinds))
        except OverflowError:
            raise serialization_error("a number is out of range") from None

    return number if kind in ("float", "double") else read


def _seconds(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(_typed(value, (int, float)))


class CborWriters:
    """Writers of a service's shapes; ``None`` where the value is written as it is. Timestamps get their tag."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._writers: dict[str, Convert | None] = {}

    def writer(self, name: str) -> Convert | None:
        """The writer of a shape."""
        if name not in self._writers:
            if self._holds_time(name, set()):
                self._writers[name] = lambda value: self._known(name)(value)
                self._writers[name] = self._compile(self._model.shape(name))
            else:
                self._writers[name] = None
        return self._writers[name]

    def _known(self, name: str) -> Convert:
        writer = self._writers[name]
        assert writer is not None
        return writer

    def _holds_time(self, name: str, seen: set[str]) -> bool:
        if name in seen:
            return False
        seen.add(name)
        shape = self._model.shape(name)
        parts = [part for part in (*shape.members.values(), shape.member, shape.value) if part is not None]
        return shape.type == "timestamp" or any(self._holds_time(part.shape, seen) for part in parts)

    def _compile(self, shape: Shape) -> Convert:
        if shape.type == "structure":
            writers = {name: self.writer(member.shape) for name, member in shape.members.items()}
            return lambda value: {k: v if (w := writers[k]) is None else w(v) for k, v in value.items()}
        if shape.type == "list" and shape.member is not None:
            item = self.writer(shape.member.shape)
            return lambda value: value if item is None else [item(part) for part in value]
        if shape.type == "map" and shape.value is not None:
            entry = self.writer(shape.value.shape)
            return lambda value: value if entry is None else {k: entry(v) for k, v in value.items()}
        return lambda value: cbor2.CBORTag(1, float(value))


class CborCodec:
    """One operation."""

    streams_input = False

    def __init__(self, read: Convert | None, write: Convert | None) -> None:
        self._read = read
        self._write = write

    def read(self, message: Message) -> dict[str, Any]:
        if self._read is None or not message.body:
            return {}
        given: dict[str, Any] = self._read(decode(message.body))
        return given

    def write(self, output: Mapping[str, Any], request_id: str) -> Answer:
        body = cbor2.dumps(output if self._write is None else self._write(output))
        return Answer(200, _headers(request_id), body)


def _headers(request_id: str) -> list[tuple[str, str]]:
    return [
        ("content-type", "application/cbor"),
        ("smithy-protocol", "rpc-v2-cbor"),
        ("x-amzn-requestid", request_id),
    ]


class CborRpc:
    """Smithy RPC v2 CBOR for one service."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._readers = CborReaders(model)
        self._writers = CborWriters(model)
        self._errors = ErrorShapes(model)

    def codec(self, operation: OperationModel) -> CborCodec:
        return CborCodec(
            self._readers.reader(operation.input.shape) if operation.input else None,
            self._writers.writer(operation.output.shape) if operation.output else None,
        )

    def error(self, error: ServiceError, request_id: str) -> Answer:
        traits = self._errors.traits(error)
        headers = _headers(request_id)
        if self._model.metadata.awsQueryCompatible is not None:
            headers.append(query_error_header(traits))
        document = {"__type": qualified(self._model, error, traits), "message": error.message} | error.members
        return Answer(traits.status, headers, cbor2.dumps(document))
