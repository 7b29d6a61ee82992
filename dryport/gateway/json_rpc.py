"""The protocols awsJson 1.0 and 1.1: the operation in ``X-Amz-Target``, JSON objects both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.json_values import JsonReaders, JsonWriters, Reader, Writer
from dryport.gateway.models import OperationModel, ServiceModel
from dryport.gateway.wire import Answer, ErrorOnWire, ErrorShapes, Message, serialization_error

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def decode_object(body: bytes) -> Any:
    """A JSON document, an empty one for an empty body. Raises ServiceError (SerializationException)."""
    if not body:
        return {}
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise serialization_error() from None


class JsonCodec:
    """One operation."""

    streams_input = False

    def __init__(self, read: Reader | None, write: Writer | None, content_type: str) -> None:
        self._read = read
        self._write = write
        self._content_type = content_type

    def read(self, message: Message) -> dict[str, Any]:
        document = decode_object(message.body)
        if self._read is not None:
            value: dict[str, Any] = self._read(document)
            return value
        return {}

    def write(self, output: Mapping[str, Any], request_id: str) -> Answer:
        body = _encode(output if self._write is None else self._write(output))
        return Answer(200, [("content-type", self._content_type), ("x-amzn-requestid", request_id)], body)


class JsonRpc:
    """awsJson for one service; ``version`` is ``1.0`` or ``1.1``."""

    def __init__(self, model: ServiceModel, version: str) -> None:
        self._readers = JsonReaders(model)
        self._writers = JsonWriters(model)
        self._errors = ErrorShapes(model)
        self._model = model
        self._content_type = f"application/x-amz-json-{version}"

    def codec(self, operation: OperationModel) -> JsonCodec:
        read = self._readers.reader(operation.input.shape) if operation.input else None
        write = self._writers.writer(operation.output.shape) if operation.output else None
        return JsonCodec(read, write, self._content_type)

    def error(self, error: ServiceError, request_id: str) -> Answer:
        headers = [("content-type", self._content_type), ("x-amzn-requestid", request_id)]
        traits = self._errors.traits(error)
        kind = error.code
        if self._model.metadata.awsQueryCompatible is not None:
            headers.append(query_error_header(traits))
            kind = qualified(self._model, error, traits)
        document: dict[str, Any] = {"__type": kind}
        if error.message:
            document[self._errors.message_member(traits.shape)] = error.message
        return Answer(traits.status, headers, _encode(document | error.members))


def query_error_header(traits: ErrorOnWire) -> tuple[str, str]:
    """What the error was called while the service spoke the query protocol."""
    return ("x-amzn-query-error", f"{traits.code};{'Receiver' if traits.status >= 500 else 'Sender'}")


def qualified(model: ServiceModel, error: ServiceError, traits: ErrorOnWire) -> str:
    """An error's shape with its namespace, as services say it that were made with Smithy."""
    return f"com.amazonaws.{model.name}#{traits.shape}" if traits.shape else error.code
