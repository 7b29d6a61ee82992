"""From an HTTP exchange to a handler and back: route, authenticate, read, validate, run, settle, write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from dryport.aws import identifiers, sigv4
from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.control.config import DEFAULT_REGION
from dryport.control.context import Context, MakeService
from dryport.gateway import bodies, fallback
from dryport.gateway.audit import Audit
from dryport.gateway.auth import Authenticator, Claim, Problem, Signed, stated_signature
from dryport.gateway.endpoint import Compiled, Endpoint
from dryport.gateway.http1.exchange import BodyTooLarge, Disconnected, HttpExchange
from dryport.gateway.http1.streams import AnswerStream
from dryport.gateway.models import Models
from dryport.gateway.request_log import Entry, RequestLog
from dryport.gateway.router import Outline, Route, Router, is_form, parse_form
from dryport.gateway.service import Auditor, Call, Forwarder, Payload, Principal, principal_of
from dryport.gateway.wire import Answer, Message, serialization_error
from dryport.iam.enforcement.about import About
from dryport.iam.enforcement.resources import SERVICES as GOVERNED
from dryport.iam.enforcement.resources import concerns
from dryport.iam.last_use import Notes
from dryport.store import GroupingStore, StoreUnavailable, Transaction

if TYPE_CHECKING:
    from dryport.iam.enforcement.guard import Guard

MAX_BODY_BYTES = 32 * 1024 * 1024
_DRAINED_BYTES = 1024 * 1024  # of a refused request's body
_DRAIN_SECONDS = 5.0
_TURN = 16  # requests; with more, what their answers are made of takes megabytes
_KEPT_BODY = 512  # bytes; decisions on requests with longer ones are not kept
_NO_INPUT: dict[str, Any] = {}
log = logging.getLogger("dryport.gateway")


class Request(msgspec.Struct):
    """A request that was routed, and what is known of it so far."""

    exchange: HttpExchange
    entry: Entry
    route: Route
    endpoint: Endpoint
    operation: Compiled | ServiceError
    signed: Signed
    body: bytes | None
    signature: sigv4.Signature | None = None
    claim: Claim | None = None
    content: bodies.Content = bodies.Content("", None)
    given: dict[str, Any] = _NO_INPUT
    call: Call | None = None
    output: Mapping[str, Any] | None = None
    answer: Answer | None = None
    refusal: str = ""

    @property
    def compiled(self) -> Compiled:
        """The operation. Raises the ServiceError of one that there is not."""
        if isinstance(self.operation, ServiceError):
            raise self.operation
        return self.operation

    @property
    def is_plain(self) -> bool:
        """Whether it is for a plain handler, with a body that needs no more than its hash."""
        operation = self.operation
        return (
            isinstance(operation, Compiled)
            and not operation.waits
            and not operation.unsigned_body
            and not operation.codec.streams_input
        )


class Dispatcher:
    """Answers every request that is not a raw route."""

    def __init__(
        self,
        context: Context,
        services: Iterable[tuple[str, MakeService]],
        models: Models,
        requests: RequestLog,
        auditor: Auditor | None = None,
    ) -> None:
        self._context = context
        self._store = context.store
        # The built-in store lets many writers share a flush; any other one gets ``transact``.
        self._grouping = context.store if isinstance(context.store, GroupingStore) else None
        self._requests = requests
        self._audit = Audit(auditor) if auditor is not None else None
        self._endpoints = {name: Endpoint(make, models.service(name)) for name, make in services}
        self._router = Router(e.model for e in self._endpoints.values())
        self._authenticator = Authenticator(context.config)
        self._nobody = Principal(context.config.account, "", "", "")
        self._guard: Guard | None = None
        self._uses = Notes(context.store)
        self._turn: list[Request] = []

    def handle(self, exchange: HttpExchange) -> Awaitable[None] | None:
        """Answer one request: what is returned has to be awaited; without it the request will be answered by a call.

        The common request (JSON whose body is there, for a plain handler) goes by neither a task nor a future.
        """
        entry = Entry(
            time=self._context.clock.time(),
            id=identifiers.uuid4(self._context.random),
            method=exchange.method,
            path=exchange.path[:256],
            ip=exchange.source_ip,
        )
        request = self._targeted(exchange, entry)
        if request is not None and self._grouping is not None and request.is_plain:
            request.body = exchange.body_at_hand(MAX_BODY_BYTES)
            if request.body is not None:
                if not self._turn:
                    asyncio.get_running_loop().call_soon(self._serve_turn, self._grouping)
                self._turn.append(request)
                return None
        return self._wait(exchange, entry, request)

    # Without waiting

    def _serve_turn(self, store: GroupingStore) -> None:
        """Serve what came in this turn of the loop, stage by stage: the processor's caches then hold the code of one
        stage at a time, which takes a quarter off a request (``bench/api.py``)."""
        turn = self._turn[:_TURN]
        del self._turn[:_TURN]
        if self._turn:
            asyncio.get_running_loop().call_soon(self._serve_turn, store)
        stages: tuple[Callable[[Request], None], ...] = (
            self._claim,
            self._authenticate,
            self._accept,
            self._authorize,
            partial(self._apply, store),
        )
        for stage in stages:
            for request in turn:
                if request.answer is None:
                    try:
                        stage(request)
                    except Exception as error:
                        request.answer = self._failure(error, request, request.exchange, request.entry)
        for request in turn:
            if request.call is None and request.answer is not None:
                self._finish(request.exchange, request.entry, request.answer, request)
            else:  # a refusal tells of what was read, too
                store.once_settled(partial(self._settled, request))

    def _accept(self, request: Request) -> None:
        request.given = self._given(request, request.body or b"", None)

    def _apply(self, store: GroupingStore, request: Request) -> None:
        request.call = call = request.call or self._call_of(request)
        request.output = store.apply(_work(request.compiled, call, request.given))

    def _settled(self, request: Request, error: StoreUnavailable | None) -> None:
        answer = request.answer
        try:
            if error is not None:
                raise error
            if answer is None:
                answer = _written(request.compiled, request.output, request.entry)
        except Exception as failed:
            answer = self._failure(failed, request, request.exchange, request.entry)
        self._finish(request.exchange, request.entry, answer, request)

    # With waiting

    async def _wait(self, exchange: HttpExchange, entry: Entry, request: Request | None) -> None:
        try:
            request = request or await self._read(exchange, entry)
            answer = await self._run(request)
        except Exception as error:
            answer = self._failure(error, request, exchange, entry)
        if answer.status >= 400:
            await exchange.drain(_DRAINED_BYTES, _DRAIN_SECONDS)
        self._finish(exchange, entry, answer, request)

    async def _run(self, request: Request) -> Answer:
        self._claim(request)
        exchange = request.exchange
        operation = request.operation
        streams = isinstance(operation, Compiled) and operation.codec.streams_input and operation.forwarder is None
        if request.body is None and not streams:
            request.body = exchange.body_at_hand(MAX_BODY_BYTES)
            if request.body is None:
                request.body = await exchange.bounded_body(MAX_BODY_BYTES)
        self._authenticate(request)
        secret = request.claim.credential.secret_access_key if request.claim else None
        payload = bodies.payload(request.content, exchange, request.body, request.signature, secret)
        body = request.body or b""
        if not streams and payload is not None:
            body, payload = await payload.read(), None
        given = request.given = self._given(request, body, payload)
        try:
            self._authorize(request)
        except ServiceError:
            await self._store.settled()  # the policies that were read may not be durable yet
            raise
        if request.compiled.forwarder is not None:
            return await self._forward(request, request.compiled.forwarder)
        output = request.output = await self._call(request.compiled, self._call_of(request), given)
        return _written(request.compiled, output, request.entry)

    async def _forward(self, request: Request, forwarder: Forwarder) -> Answer:
        """Have a request answered elsewhere: the answer is on its way then."""
        if request.signature is not None and request.signature.expires is not None:
            raise ServiceError("NotImplemented", "Dryport does not forward presigned URLs.", 501)
        stream = AnswerStream(request.exchange)
        try:
            await forwarder.forward(self._call_of(request), stream, request.body or b"")
        except ConnectionError:  # the client has gone
            if not stream.begun:
                raise Disconnected from None
        except ServiceError:
            await self._store.settled()
            raise
        return Answer(request.exchange.status, [])

    async def _call(self, compiled: Compiled, call: Call, given: dict[str, Any]) -> Mapping[str, Any] | None:
        output: Mapping[str, Any] | None
        if compiled.waits:
            handler: Any = compiled.operation.handler
            output = await handler(call, given)
            await self._store.settled()
            return output
        work = _work(compiled, call, given)
        try:
            if self._grouping is None:
                return await self._store.transact(work)
            output = self._grouping.apply(work)
            await self._store.settled()
        except ServiceError:
            # What was read to refuse may not be durable yet either.
            await self._store.settled()
            raise
        return output

    # Routing

    def _targeted(self, exchange: HttpExchange, entry: Entry) -> Request | None:
        """A request that names its operation in a header; ``None`` for another one."""
        header = exchange.header
        target = header("x-amz-target")
        route = self._router.target(target, header("content-type") or "") if target is not None else None
        return None if route is None else self._request(exchange, entry, route, _signed(exchange), None)

    async def _read(self, exchange: HttpExchange, entry: Entry) -> Request:
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
            form = parse_form(bodies.unpacked(body, header("content-encoding")))
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
        return self._request(exchange, entry, route, signed, body)

    def _request(
        self, exchange: HttpExchange, entry: Entry, route: Route, signed: Signed, body: bytes | None
    ) -> Request:
        entry.service, entry.operation = route.service, route.operation
        endpoint = self._endpoints[route.service]
        operation = endpoint.compiled(route.protocol, route.operation)
        return Request(exchange, entry, route, endpoint, operation, signed, body)

    # Stages

    def _claim(self, request: Request) -> None:
        """Find the credential that a request says it is signed with. Raises Problem."""
        entry = request.entry
        signature = request.signature = stated_signature(request.signed)
        if signature is not None:
            entry.region = signature.region
            claim = self._authenticator.claim(signature, self._store.reader, entry.ip, entry.time)
            entry.principal = claim.credential.principal_arn
            request.claim = claim

    def _authenticate(self, request: Request) -> None:
        """Check the signature, and that there is what is asked for. Raises Problem, ServiceError."""
        operation, claim, entry = request.operation, request.claim, request.entry
        entry.received = len(request.body or b"")
        may_be_unsigned = isinstance(operation, Compiled) and operation.unsigned_body
        request.content = bodies.content(request.signed, request.body, unsigned=may_be_unsigned)
        if claim is not None:
            name = request.endpoint.signing_name
            self._authenticator.check(claim, request.signed, name, request.content.signed_hash, entry.time)
            self._uses.note(claim.credential, name, claim.signature.region, entry.time)
        if not request.compiled.anonymous and claim is None:
            raise Problem("missing")
        if request.body and request.route.service != "s3":  # whose objects have an encoding of their own
            request.body = bodies.unpacked(request.body, request.exchange.header("content-encoding"))

    def _authorize(self, request: Request) -> None:
        """Ask the policies that bind the caller, where any do. Raises ServiceError."""
        credential = request.claim.credential if request.claim is not None else None
        service = request.route.service
        governed = service in GOVERNED  # its resources have policies of their own
        if credential is None and not governed:
            return
        if credential is not None and credential.identity is None and credential.session_token is None:
            # The root user: only a resource's policy can say no.
            if not governed:
                return
            region = request.signature.region if request.signature else DEFAULT_REGION
            if not concerns(self._store.reader, service, credential.account, region, request.given):
                return
        if self._guard is None:
            from dryport.iam.enforcement.guard import Guard as Made  # with the engine: a megabyte, once there are users

            self._guard = Made(self._context)
        body = request.body if request.route.protocol.startswith("json") else None
        if body is not None and credential is not None and request.signature is not None:
            asked = request.route.service, request.route.operation, request.signature.region, body
            if self._guard.lets_pass(self._store.reader, credential, asked):
                return
            if self._guard.knows(self._store.reader, credential, asked[:2], asked[2], request.given):
                return
        request.call = self._call_of(request)  # refused or not, the store is read
        header, entry = request.exchange.header, request.entry
        about = About(
            region=request.signature.region if request.signature else DEFAULT_REGION,
            now=entry.time,
            source_ip=entry.ip,
            secure=request.exchange.scheme == "https",
            user_agent=header("user-agent"),
            referer=header("referer"),
        )
        endpoint, reader, forwarder = request.endpoint, self._store.reader, request.compiled.forwarder
        operation = request.route.service, request.route.operation
        family = endpoint.family, "rest-json" in endpoint.model.protocols
        if forwarder is not None and credential is not None:
            exchange = request.exchange
            needed = forwarder.requirements(request.call, request.given, exchange.method, exchange.path)
            self._guard.check_forwarded(reader, credential, operation, needed, about, family)
            return
        kept = body if body is not None and len(body) <= _KEPT_BODY else None
        self._guard.check(reader, credential, operation, request.given, about, family, kept)

    @staticmethod
    def _given(request: Request, body: bytes, payload: Payload | None) -> dict[str, Any]:
        """The input, validated, with nothing in it that Dryport does not act on. Raises ServiceError."""
        compiled = request.compiled
        given = compiled.quick(body) if compiled.quick is not None else None
        if given is None:
            exchange, route = request.exchange, request.route
            message = Message(
                exchange.method,
                exchange.query,
                exchange.header,
                lambda: exchange.headers,
                body,
                route.labels,
                route.form,
                payload,
            )
            given = _read_input(compiled, message)
        refused = compiled.refused(given)
        if refused is not None:
            raise unsupported_parameter(compiled.service, compiled.operation.name, refused)
        return given

    def _call_of(self, request: Request) -> Call:
        exchange, entry = request.exchange, request.entry
        return Call(
            service=request.route.service,
            operation=request.route.operation,
            request_id=entry.id,
            principal=principal_of(request.claim.credential) if request.claim else self._nobody,
            region=request.signature.region if request.signature else DEFAULT_REGION,
            now=entry.time,
            store=self._store,
            clock=self._context.clock,
            random=self._context.random,
            source_ip=entry.ip,
            host=exchange.header("host") or "",
            headers=exchange.headers,
        )

    def _finish(self, exchange: HttpExchange, entry: Entry, answer: Answer, request: Request | None) -> None:
        """Send an answer, and note it."""
        entry.status = answer.status
        if exchange.status:
            pass  # it has been streamed
        elif answer.file is not None:
            exchange.respond_file(answer.status, answer.headers, answer.file)
        else:
            exchange.respond(answer.status, answer.headers, answer.body)
        entry.sent = exchange.sent
        entry.ms = round((self._context.clock.time() - entry.time) * 1000, 3)
        self._requests.write(entry)
        if self._audit is not None and request is not None and request.claim is not None:
            self._audit.note(request, exchange, request.claim, answer)

    # Refusals

    def _failure(self, error: Exception, request: Request | None, exchange: HttpExchange, entry: Entry) -> Answer:
        """The answer that tells of an exception."""
        endpoint = request.endpoint if request else None
        protocol = request.route.protocol if request else fallback.guess(exchange.header)
        family = endpoint.family if endpoint else fallback.family(protocol)
        refusal = _refusal(error, family, entry)
        entry.error = refusal.code
        if request is not None:
            request.refusal = refusal.message
        if endpoint is None:
            return fallback.error(protocol, refusal, entry.id)
        return endpoint.protocol(protocol).error(refusal, entry.id)


def _refusal(error: Exception, family: str, entry: Entry) -> ServiceError:
    """What AWS calls it."""
    match error:
        case ServiceError():
            return error
        case Problem():
            return error.error(family)
        case Disconnected():  # a peer that only closed its sending side still reads the answer
            return ServiceError(
                "IncompleteBody", "The request body ended before the number of bytes that was announced.", 400
            )
        case BodyTooLarge():
            return ServiceError("RequestEntityTooLargeException", "Request size exceeded the limit.", 413)
        case StoreUnavailable():
            log.error("request %s could not be made durable: %s", entry.id, error)
            return ServiceError(
                "ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503
            )
    log.error("request %s failed: %s:%s", entry.id, entry.service, entry.operation, exc_info=error)
    return ServiceError(
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure.",
        500,
    )


def _work(compiled: Compiled, call: Call, given: dict[str, Any]) -> Callable[[Transaction], Mapping[str, Any] | None]:
    """What a plain handler does in a transaction."""
    handler: Any = compiled.operation.handler

    def work(tx: Transaction) -> Mapping[str, Any] | None:
        call._tx = tx
        output: Mapping[str, Any] | None = handler(call, given)
        return output

    return work


def _written(compiled: Compiled, output: Mapping[str, Any] | None, entry: Entry) -> Answer:
    output = output or {}
    if compiled.check_answer is not None:
        compiled.check_answer(output)
    return compiled.codec.write(output, entry.id)


def _read_input(compiled: Compiled, message: Message) -> dict[str, Any]:
    """The input, validated. Raises ServiceError."""
    try:
        given = compiled.codec.read(message)
        compiled.check(given)
    except RecursionError:
        raise serialization_error("The document is nested too deeply.") from None
    return given


def _signed(exchange: HttpExchange) -> Signed:
    return Signed(exchange.method, exchange.path, exchange.query, exchange.header, exchange.source_ip, exchange.headers)
