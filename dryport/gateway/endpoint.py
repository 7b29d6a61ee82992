"""A service as the dispatcher sees it: each operation compiled for a protocol, when it is first asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

from dryport.aws.errors import ServiceError, not_implemented
from dryport.control.context import MakeService
from dryport.gateway import answers, policies, protocols
from dryport.gateway.constraints import Constraints
from dryport.gateway.json_types import quick_reader
from dryport.gateway.models import OperationModel, ServiceModel
from dryport.gateway.redaction import Redaction
from dryport.gateway.service import Call, Forwarder, Operation, Output, Service
from dryport.gateway.unsupported import Unsupported
from dryport.gateway.wire import Codec, WireProtocol


@dataclass(frozen=True, slots=True)
class Compiled:
    """One operation in one protocol, ready to run."""

    service: str
    operation: Operation
    codec: Codec
    quick: Callable[[bytes], dict[str, Any] | None] | None  # reads and checks in one, where it can
    check: Callable[[dict[str, Any]], None]
    refused: Callable[[dict[str, Any]], str | None]
    check_answer: Callable[[Mapping[str, Any]], None] | None
    waits: bool  # the handler is a coroutine
    anonymous: bool  # may be called without a signature
    unsigned_body: bool
    hidden_of_input: Callable[[], Redaction]  # these are worked out when they are first asked for
    hidden_of_output: Callable[[], Redaction]
    forwarder: Forwarder | None


class Endpoint:
    """A service with everything compiled for it so far."""

    def __init__(self, make: MakeService, model: ServiceModel) -> None:
        self._make = make
        self.model = model
        self.family = protocols.error_family(model)
        self.signing_name = model.metadata.signing_name
        self._protocols: dict[str, WireProtocol] = {}
        self._compiled: dict[tuple[str, str], Compiled] = {}
        self._constraints = Constraints(model, policies.policy(model))

    @cached_property
    def service(self) -> Service:
        """Its handlers, imported at the first request."""
        return self._make()

    def protocol(self, name: str) -> WireProtocol:
        """One of its protocols."""
        known = self._protocols.get(name)
        if known is None:
            known = self._protocols[name] = protocols.make(name, self.model)
        return known

    def compiled(self, protocol: str, operation: str) -> Compiled | ServiceError:
        """An operation in a protocol, or what is answered where the model or Dryport does not have it."""
        known = self._compiled.get((protocol, operation))
        if known is None:
            model = self.model.operation(operation)
            if model is None:
                return protocols.unknown_operation(self.model, protocol, operation)
            handler = self.service.operations.get(operation)
            forwarder = self.service.forwarder
            if handler is None and forwarder is not None:
                handler = Operation(operation, _unhandled, ())
            if handler is None:
                return not_implemented(self.model.name, operation)
            known = self._compiled[protocol, operation] = self._compile(protocol, model, handler)
        return known

    def _compile(self, protocol: str, model: OperationModel, operation: Operation) -> Compiled:
        shape = model.input.shape if model.input else None
        forwarder = self.service.forwarder
        return Compiled(
            service=self.model.name,
            operation=operation,
            codec=self.protocol(protocol).codec(model),
            quick=quick_reader(self.model, shape)
            if shape is not None and protocol.startswith("json-") and forwarder is None
            else None,
            # What a forwarded service's input must be is for the upstream to say.
            check=self._constraints.checker(model.name, shape) if forwarder is None else _nothing,
            refused=Unsupported(operation.unsupported).find,
            check_answer=answers.checker(self.model, model) if answers.WANTED else None,
            waits=inspect.iscoroutinefunction(operation.handler),
            anonymous=forwarder is None
            and (model.authtype == "none" or "smithy.api#noAuth" in model.auth or self.model.name == "s3"),
            unsigned_body=model.authtype == "v4-unsigned-body" or self.family == "s3",
            hidden_of_input=cache(partial(Redaction.of, self.model, shape)),
            hidden_of_output=cache(partial(Redaction.of, self.model, model.output.shape if model.output else None)),
            forwarder=forwarder,
        )


async def _unhandled(call: Call, request: Any) -> Output:
    raise AssertionError("a forwarded operation has no handler")


def _nothing(given: dict[str, Any]) -> None:
    pass
