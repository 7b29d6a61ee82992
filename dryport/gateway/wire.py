"""What the protocols have in common: the request as they read it, the answer as they write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dryport.aws.errors import ServiceError
from dryport.gateway.models import OperationModel
from dryport.gateway.service import Payload

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Message:
    """A request, as far as a protocol reads it.

    ``labels`` are the path's parts that a REST template names, decoded. ``payload`` stands in for ``body`` where the
    operation streams its input.
    """

    method: str
    query: str
    header: Callable[[str], str | None]
    headers: Callable[[], Mapping[str, str]]
    body: bytes = b""
    labels: Mapping[str, str] = field(default_factory=dict)
    payload: Payload | None = None


@dataclass(slots=True)
class Answer:
    """An answer: ``file`` with ``start`` and ``end`` (exclusive) stands in for ``body`` where one is sent."""

    status: int
    headers: Headers
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    end: int | None = None


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


class ErrorShapes:
    """How a service's model declares its errors: an error code's shape, found under its name or its code."""

    def __init__(self, shape_of: Callable[[str], Any]) -> None:
        self._shape_of = shape_of
        self._known: dict[str, int | None] = {}

    def status(self, error: ServiceError) -> int:
        """The HTTP status of an error: the model's where it declares one, else the error's own."""
        if error.code not in self._known:
            shape = self._shape_of(error.code)
            traits = shape.error if shape is not None and shape.exception else None
            self._known[error.code] = traits.httpStatusCode if traits else None
        return self._known[error.code] or error.status
