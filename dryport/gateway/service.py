"""How a service meets the gateway: ``Service`` holds its handlers, a handler is given a ``Call``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from dryport.control.clock import Clock
    from dryport.iam.authorization import Requirement
    from dryport.iam.model import Credential
    from dryport.store import Store, Transaction

Output = Mapping[str, Any] | None
Handler = Callable[["Call", Any], Output] | Callable[["Call", Any], Awaitable[Output]]
H = TypeVar("H", bound=Callable[..., Any])


class Principal(msgspec.Struct, frozen=True):
    """Who calls.

    ``arn`` is the caller's (a user's, the account's root, an assumed role's session), ``user_id`` its unique id,
    ``account`` the 12 digits of its account.
    """

    account: str
    arn: str
    user_id: str
    access_key_id: str


def principal_of(credential: Credential) -> Principal:
    """Whom a credential signs for."""
    return Principal(credential.account, credential.principal_arn, credential.user_id, credential.access_key_id)


class Occurrence(msgspec.Struct, frozen=True):
    """A call that was made by somebody who is known, for whoever keeps account of them.

    ``time`` is when it came, in seconds since the epoch. ``given`` and ``output`` are without secrets; there is an
    output only of what changes something. ``role_arn`` and ``issued`` are of a session: its role, and its beginning.
    """

    time: float
    request_id: str
    source: str  # what AWS signs for: "ecs"
    operation: str
    principal: Principal
    role_arn: str | None
    issued: float | None
    region: str
    source_ip: str
    user_agent: str
    error: str
    message: str
    given: Any
    output: Any


def occurrence(
    credential: Credential,
    *,
    time: float,
    request_id: str,
    source: str,
    operation: str,
    region: str,
    source_ip: str,
    user_agent: str,
    error: str = "",
    message: str = "",
    given: Any = None,
    output: Any = None,
) -> Occurrence:
    """A call that was made with a credential."""
    session = credential.session_token is not None
    return Occurrence(
        time, request_id, source, operation, principal_of(credential),
        credential.role_arn if session else None, credential.created if session else None,
        region, source_ip, user_agent, error, message, given, output,
    )  # fmt: skip


class Auditor(Protocol):
    """Keeps account of calls."""

    def wants(self, service: str, operation: str) -> bool:
        """Whether an operation is kept account of at all."""
        ...

    def changes(self, operation: str) -> bool:
        """Whether the answers of an operation belong to the account."""
        ...

    def note(self, occurrence: Occurrence) -> None:
        """Keep account of a call. Costs microseconds."""
        ...


class Call(msgspec.Struct):
    """One authenticated API call, as its handler sees it.

    ``tx`` is the transaction that a plain handler reads and writes in; a coroutine handler has none and calls
    ``store.transact`` itself. ``now`` is the call's time in seconds since the epoch.
    """

    service: str
    operation: str
    request_id: str
    principal: Principal
    region: str
    now: float
    store: Store
    clock: Clock
    random: Random
    source_ip: str = ""
    host: str = ""  # the Host header: with which name the client reached us
    headers: Mapping[str, str] = {}
    _tx: Transaction | None = None

    @property
    def account(self) -> str:
        """The account that the call acts in: the caller's."""
        return self.principal.account

    @property
    def tx(self) -> Transaction:
        """The transaction of a plain handler."""
        if self._tx is None:
            raise RuntimeError("a coroutine handler has no transaction; use store.transact")
        return self._tx


class Payload(Protocol):
    """A streamed body (an S3 object) as the input's payload member: read it once, in a coroutine handler.

    ``size`` is its length in bytes where the client said so (of the content, without the framing of aws-chunked).
    """

    size: int | None

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive, with back pressure. Raises ServiceError where a check of them fails."""
        ...

    async def read(self) -> bytes:
        """All of it in memory."""
        ...


class Stream(Protocol):
    """The answer to a forwarded request, written as it comes; and the request's own line, as it came."""

    method: str
    path: str  # percent-encoded
    query: str
    begun: bool

    def begin(self, status: int, headers: list[tuple[str, str]], length: int | None) -> None:
        """Write the head; ``length`` is the body's in bytes, ``None`` where nobody knows it."""
        ...

    async def send(self, data: bytes) -> None:
        """Write a part of the body, at the client's pace. Raises ConnectionError where it is gone."""
        ...

    def end(self) -> None:
        """The body is whole."""
        ...

    def cut(self) -> None:
        """End the connection in the middle of the answer."""
        ...


class Forwarder(Protocol):
    """Has a service's requests answered elsewhere."""

    def requirements(
        self, call: Call, given: Mapping[str, Any], method: str, path: str
    ) -> tuple[Requirement, ...] | None:
        """What a request needs; ``None`` where nobody but a root user may send it. Raises ServiceError."""
        ...

    async def forward(self, call: Call, stream: Stream, body: bytes) -> None:
        """Have an authorized request answered. Raises ServiceError where nothing was begun."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """A handler and what it declines: members of the input, as dotted paths, that Dryport does not act on."""

    name: str
    handler: Handler
    unsupported: tuple[str, ...]


class Service:
    """One AWS service: ``name`` is botocore's (``ecs``, ``secretsmanager``).

    >>> SERVICE = Service("ecs")
    >>> @SERVICE.operation("ListClusters")
    ... def list_clusters(call: Call, request: ListClustersRequestTypeDef) -> Output: ...

    A handler is a plain function ``(call, request)``: it runs inside one store transaction, which is durable before
    the answer goes out and undone if it raises. Work that must wait (a file, another process) needs a coroutine.

    ``request`` has been validated against the model. Its members are as botocore names them; blobs are ``bytes``,
    timestamps are ``float`` seconds since the epoch, a streamed payload is a ``Payload`` (in an answer ``bytes`` or a
    ``FilePart``). The answer is a mapping of the same make; members that AWS leaves out are left out, never
    ``None``. A JSON answer may hold ``msgspec.Raw`` fragments. A refusal is an ``aws.errors.ServiceError``.

    ``unsupported`` names members of the input (``"volumeConfigurations"``, ``"overrides.cpu"``, through lists
    without an index) that Dryport does not act on: the gateway refuses a request that holds one, by name.
    """

    def __init__(self, name: str, forwarder: Forwarder | None = None) -> None:
        """``forwarder`` takes every operation that has no handler."""
        self.name = name
        self.forwarder = forwarder
        self.operations: dict[str, Operation] = {}

    def operation(self, name: str, *, unsupported: tuple[str, ...] = ()) -> Callable[[H], H]:
        """Register the decorated function as the handler of an operation."""

        def register(handler: H) -> H:
            if name in self.operations:
                raise ValueError(f"{self.name}:{name} has two handlers")
            self.operations[name] = Operation(name, handler, unsupported)
            return handler

        return register
