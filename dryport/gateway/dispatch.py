"""From an HTTP exchange to a handler and back: route, authenticate, read, validate, run, settle, write."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import msgspec

from dryport.aws import identifiers
from dryport.aws.errors import ServiceError, not_implemented, unsupported_parameter
from dryport.control.config import DEFAULT_REGION
from dryport.control.context import Context, MakeService
from dryport.gateway import answers, bodies, fallback, policies, protocols
from dryport.gateway.auth import Authenticator, Claim, Problem, Signed, principal_of, stated_signature
from dryport.gateway.constraints import Constraints
from dryport.gateway.http1.exchange import BodyTooLarge, Disconnected, HttpExchange
from dryport.gateway.json_types import quick_reader
from dryport.gateway.models import Models, OperationModel, ServiceModel
from dryport.gateway.request_log import Entry, RequestLog
from dryport.gateway.router import Outline, Route, Router, is_form, parse_form
from dryport.gateway.service import Call, Operation, Principal, Service
from dryport.gateway.unsupported import Unsupported
from dryport.gateway.wire import Answer, Codec, Message, WireProtocol, serialization_error
from dryport.store import StoreUnavailable, Transaction

MAX_BODY_BYTES = 32 * 1024 * 1024
_DRAINED_BYTES = 1024 * 1024  # of a refused request's body
_DRAIN_SECONDS = 5.0
log = logging.getLogger("dryport.gateway")


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
            if handler is None:
                return not_implemented(self.model.name, operation)
            known = self._compiled[protocol, operation] = self._compile(protocol, model, handler)
        return known

    def _compile(self, protocol: str, model: OperationModel, operation: Operation) -> Compiled:
        shape = model.input.shape if model.input else None
        return Compiled(
            service=self.model.name,
            operation=operation,
            codec=self.protocol(protocol).codec(model),
            quick=quick_reader(self.model, shape) if shape is not None and protocol.startswith("json-") else None,
            check=self._constraints.checker(model.name, shape),
            refused=Unsupported(operation.unsupported).find,
            check_answer=answers.checker(self.model, model) if answers.WANTED else None,
            waits=inspect.iscoroutinefunction(operation.handler),
            anonymous=model.authtype == "none" or "smithy.api#noAuth" in model.auth or self.model.name == "s3",
            unsigned_body=model.authtype == "v4-unsigned-body" or self.family == "s3",
        )


class Dispatcher:
    """Answers every request that is not a raw route."""

    def __init__(
        self,
        context: Context,
        services: Iterable[tuple[str, Callable[[], Service]]],
        models: Models,
        requests: RequestLog,
    ) -> None:
        self._context = context
        self._store = context.store
        self._requests = requests
        # The built-in store lets many writers share a flush; any other one gets ``transact``.
        self._apply = getattr(context.store, "apply", None)
        self._endpoints = {name: Endpoint(make, models.service(name)) for name, make in services}
        self._router = Router(e.model for e in self._endpoints.values())
        self._authenticator = Authenticator(context.config)
        self._nobody = Principal(context.config.account, "", "", "")

    async def handle(self, exchange: HttpExchange) -> None:
        """Answer one request."""
        began = self._context.clock.time()
        entry = Entry(
            time=began,
            id=identifiers.uuid4(self._context.random),
            method=exchange.method,
            path=exchange.path[:256],
            ip=exchange.source_ip,
        )
        answer = await self._answer(exchange, entry)
        entry.status = answer.status
        if answer.status >= 400:
            await exchange.drain(_DRAINED_BYTES, _DRAIN_SECONDS)
        self._send(exchange, answer)
        entry.sent = exchange.sent
        entry.ms = round((self._context.clock.time() - began) * 1000, 3)
        self._requests.write(entry)

    @staticmethod
    def _send(exchange: HttpExchange, answer: Answer) -> None:
        if answer.file is not None:
            exchange.respond_file(answer.status, answer.headers, answer.file, answer.start, answer.end)
        else:
            exchange.respond(answer.status, answer.headers, answer.body)

    async def _answer(self, exchange: HttpExchange, entry: Entry) -> Answer:
        endpoint: Endpoint | None = None
        protocol = ""  # once it is known
        try:
            try:
                request = self._targeted(exchange) or await self._read(exchange)
                route = request.route
                endpoint = self._endpoints[route.service]
                protocol = route.protocol
                entry.service, entry.operation = route.service, route.operation
                return await self._run(request, endpoint, exchange, entry)
            except Problem as problem:
                family = endpoint.family if endpoint else fallback.family(fallback.guess(exchange.header))
                raise problem.error(family) from None
            except Disconnected:
                # A peer that only closed its sending side still reads the answer.
                raise ServiceError(
                    "IncompleteBody", "The request body ended before the number of bytes that was announced.", 400
                ) from None
            except BodyTooLarge:
                raise ServiceError("RequestEntityTooLargeException", "Request size exceeded the limit.", 413) from None
            except StoreUnavailable as error:
                log.error("request %s could not be made durable: %s", entry.id, error)
                raise ServiceError(
                    "ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503
                ) from None
        except ServiceError as error:
            entry.error = error.code
            return self._refusal(endpoint, protocol or fallback.guess(exchange.header), error, entry.id)
        except Exception:
            log.exception("request %s failed: %s:%s", entry.id, entry.service, entry.operation)
            entry.error = "InternalFailure"
            failure = ServiceError(
                "InternalFailure",
                "The request processing has failed because of an unknown error, exception or failure.",
                500,
            )
            return self._refusal(endpoint, protocol or fallback.guess(exchange.header), failure, entry.id)

    @staticmethod
    def _refusal(endpoint: Endpoint | None, protocol: str, error: ServiceError, request_id: str) -> Answer:
        if endpoint is None:
            return fallback.error(protocol, error, request_id)
        return endpoint.protocol(protocol).error(error, request_id)

    def _targeted(self, exchange: HttpExchange) -> _Request | None:
        """A request that names its operation in a header; ``None`` for another one."""
        header = exchange.header
        target = header("x-amz-target")
        route = self._router.target(target, header("content-type") or "") if target is not None else None
        return None if route is None else _Request(route, _signed(exchange), None)

    async def _read(self, exchange: HttpExchange) -> _Request:
        """Route a request, a form's body read. Raises ServiceError, Problem, BodyTooLarge."""
        header = exchange.header
        content_type = header("content-type") or ""
        target = header("x-amz-target")
        signed = _signed(exchange)
        signature = stated_signature(signed)
        body = None
        form: dict[str, str] = {}
        if target is None and header("smithy-protocol") is None and is_form(exchange.method, content_type):
            body = await exchange.bounded_body(MAX_BODY_BYTES)
            form = parse_form(body)
        route = self._router.route(
            Outline(
                exchange.method,
                exchange.path,
                exchange.query,
                target,
                content_type,
                header("smithy-protocol"),
                signature.service if signature else None,
                form,
                header,
            )
        )
        return _Request(route, signed, body)

    async def _run(self, request: _Request, endpoint: Endpoint, exchange: HttpExchange, entry: Entry) -> Answer:
        route = request.route
        compiled = endpoint.compiled(route.protocol, route.operation)
        signature = stated_signature(request.signed)
        claim: Claim | None = None
        if signature is not None:
            entry.region = signature.region
            claim = self._authenticator.claim(signature, self._store.reader, entry.ip, entry.time)
            entry.principal = claim.credential.principal_arn
        streams = isinstance(compiled, Compiled) and compiled.codec.streams_input
        if request.body is None and not streams:
            request.body = exchange.body_at_hand(MAX_BODY_BYTES)
            if request.body is None:
                request.body = await exchange.bounded_body(MAX_BODY_BYTES)
        entry.received = len(request.body or b"")
        content = bodies.content(request.signed, request.body, unsigned=_may_be_unsigned(compiled))
        if claim is not None:
            self._authenticator.check(claim, request.signed, endpoint.signing_name, content.signed_hash, entry.time)
        if isinstance(compiled, ServiceError):
            raise compiled
        if claim is None and not compiled.anonymous:
            raise Problem("missing")
        secret = claim.credential.secret_access_key if claim else None
        payload = bodies.payload(content, exchange, request.body, signature, secret)
        body = request.body or b""
        if not streams and payload is not None:
            body = await payload.read()
        given = compiled.quick(body) if compiled.quick is not None else None
        if given is None:
            streamed = payload if streams else None
            given = self._read_input(
                compiled,
                Message(
                    exchange.method,
                    exchange.query,
                    exchange.header,
                    lambda: exchange.headers,
                    body,
                    route.labels,
                    route.form,
                    streamed,
                ),
            )
        refused = compiled.refused(given)
        if refused is not None:
            raise unsupported_parameter(compiled.service, compiled.operation.name, refused)
        call = Call(
            service=route.service,
            operation=route.operation,
            request_id=entry.id,
            principal=principal_of(claim.credential) if claim else self._nobody,
            region=signature.region if signature else DEFAULT_REGION,
            now=entry.time,
            store=self._store,
            clock=self._context.clock,
            random=self._context.random,
            source_ip=entry.ip,
            host=exchange.header("host") or "",
            headers=exchange.headers,
        )
        output = await self._call(compiled, call, given)
        if compiled.check_answer is not None:
            compiled.check_answer(output)
        return compiled.codec.write(output, entry.id)

    @staticmethod
    def _read_input(compiled: Compiled, message: Message) -> dict[str, Any]:
        """The input, validated. Raises ServiceError."""
        try:
            given = compiled.codec.read(message)
            compiled.check(given)
        except RecursionError:
            raise serialization_error("The document is nested too deeply.") from None
        return given

    async def _call(self, compiled: Compiled, call: Call, given: dict[str, Any]) -> Mapping[str, Any]:
        handler = compiled.operation.handler
        if compiled.waits:
            output = await cast(Any, handler(call, given))
            await self._store.settled()
            return output or {}

        def work(tx: Transaction) -> Any:
            call._tx = tx
            return handler(call, given)

        try:
            if self._apply is not None:
                output = self._apply(work)
                await self._store.settled()
            else:
                output = await self._store.transact(work)
        except ServiceError:
            # What was read to refuse may not be durable yet either.
            await self._store.settled()
            raise
        return output or {}


def _signed(exchange: HttpExchange) -> Signed:
    return Signed(exchange.method, exchange.path, exchange.query, exchange.header, exchange.source_ip)


def _may_be_unsigned(compiled: Compiled | ServiceError) -> bool:
    return isinstance(compiled, Compiled) and compiled.unsigned_body


class _Request(msgspec.Struct):
    route: Route
    signed: Signed
    body: bytes | None
