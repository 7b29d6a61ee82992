"""The protocols awsJson 1.0 and 1.1: the operation in ``X-Amz-Target``, JSON objects both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.json_values import JsonReaders, JsonWriters, Reader, Writer
from dryport.gateway.models import OperationModel, ServiceModel
from dryport.gateway.wire import Answer, ErrorShapes, Message, serialization_error

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
        self._shapes = ErrorShapes(model.find_shape)
        self._model = model
        self._content_type = f"application/x-amz-json-{version}"

    def codec(self, operation: OperationModel) -> JsonCodec:
        read = self._readers.reader(operation.input.shape) if operation.input else None
        write = self._writers.writer(operation.output.shape) if operation.output else None
        return JsonCodec(read, write, self._content_type)

    def error(self, error: ServiceError, request_id: str) -> Answer:
        headers = [("content-type", self._content_type), ("x-amzn-requestid", request_id)]
        shape = self._model.find_shape(error.code)
        compatible = self._model.metadata.awsQueryCompatible is not None
        if compatible:
            code = shape.error.code if shape is not None and shape.error and shape.error.code else error.code
            fault = "Receiver" if error.status >= 500 else "Sender"
            headers.append(("x-amzn-query-error", f"{code};{fault}"))
        kind = error.code
        if compatible and shape is not None:
            kind = f"{self._namespace()}#{error.code}"
        name = "message" if shape is None or "message" in shape.members else "Message"
        document: dict[str, Any] = {"__type": kind}
        if error.message:
            document[name] = error.message
        return Answer(self._shapes.status(error), headers, _encode(document | error.members))

    def _namespace(self) -> str:
        return f"com.amazonaws.{self._model.name}"
