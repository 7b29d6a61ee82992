"""What the protocols have in common: the request as they read it, the answer as they write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from dryport.aws.errors import ServiceError
from dryport.gateway.file_parts import FilePart
from dryport.gateway.models import OperationModel, ServiceModel, Shape
from dryport.gateway.service import Payload

Headers = list[tuple[str, str]]


class Message(msgspec.Struct):
    """A request, as far as a protocol reads it.

    ``labels`` are the path's parts that a REST template names, decoded; ``form`` the parameters of a query protocol's
    request, from its query and its body. ``payload`` stands in for ``body`` where the
    operation streams its input.
    """

    method: str
    query: str
    header: Callable[[str], str | None]
    headers: Callable[[], Mapping[str, str]]
    body: bytes = b""
    labels: Mapping[str, str] = {}
    form: Mapping[str, str] = {}
    payload: Payload | None = None


class Answer(msgspec.Struct):
    """An answer; ``file`` stands in for ``body`` where one is sent."""

    status: int
    headers: Headers
    body: bytes = b""
    file: FilePart | None = None


class Codec(Protocol):
    """One operation in one protocol."""

    streams_input: bool

    def read(self, message: Message) -> dict[str, Any]:
        """The input, typed as handlers see it but not yet held against the constraints. Raises ServiceError."""
        ...

    def write(self, output: Mapping[str, Any], request_id: str) -> Answer:
        """The answer that carries an output."""
        ...


class WireProtocol(Protocol):
    """One protocol of one service."""

    def codec(self, operation: OperationModel) -> Codec:
        """Compile an operation."""
        ...

    def error(self, error: ServiceError, request_id: str) -> Answer:
        """The answer that carries an error."""
        ...


def serialization_error(message: str | None = None) -> ServiceError:
    """What a body that cannot be read as the protocol's answers."""
    return ServiceError("SerializationException", message or "", status=400)


@dataclass(frozen=True, slots=True)
class ErrorOnWire:
    """How an error shows: its code, its HTTP status, the model's shape where it has one."""

    code: str
    status: int
    shape: str | None


class ErrorShapes:
    """How a service's model declares its errors, found by their shapes' names or their codes on the wire."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._shapes: dict[str, tuple[str, Shape]] | None = None

    def traits(self, error: ServiceError) -> ErrorOnWire:
        """How to show an error."""
        if self._shapes is None:
            self._shapes = {}
            for name, shape in self._model.errors():
                self._shapes[name] = (name, shape)
                if shape.error is not None and shape.error.code:
                    self._shapes.setdefault(shape.error.code, (name, shape))
        found = self._shapes.get(error.code)
        if found is None:
            return ErrorOnWire(error.code, error.status, None)
        name, shape = found
        declared = shape.error
        status = (declared.httpStatusCode if declared else None) or (500 if shape.fault else error.status)
        return ErrorOnWire((declared.code if declared else None) or error.code, status, name)

    def message_member(self, shape: str | None) -> str:
        """What the message is called: ``message``, or ``Message`` where the shape has only that."""
        members = self._model.shape(shape).members if shape else {}
        return "Message" if "Message" in members and "message" not in members else "message"
