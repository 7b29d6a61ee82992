"""HTTP and websockets as raw routes see them: what is not an AWS protocol (the OCI registry, the agent's sockets).

The server behind it is in ``http1``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dryport.gateway.file_parts import FilePart
    from dryport.gateway.service import Occurrence


def unheard(occurrence: Occurrence) -> None:
    """What becomes of an occurrence where nobody keeps account."""


class Exchange(Protocol):
    """One HTTP request and the answer to it. ``headers`` have lower-case names."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str:
        """As it came, percent-encoded."""
        ...

    @property
    def query(self) -> str:
        """As it came, without the question mark."""
        ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def source_ip(self) -> str: ...

    @property
    def scheme(self) -> str: ...

    @property
    def note(self) -> Callable[[Occurrence], None]:
        """Tell the account of calls what this request was, where somebody is known who made it."""
        ...

    async def body(self) -> bytes:
        """The whole request body."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The request body as it arrives, with back pressure."""
        ...

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        """Answer. A HEAD answer may give the Content-Length of what GET would send."""
        ...

    def respond_file(self, status: int, headers: list[tuple[str, str]], part: FilePart) -> None:
        """Answer with bytes of a file, without reading it whole into memory."""
        ...


class WebSocket(Protocol):
    """An upgraded connection; text frames."""

    async def receive(self) -> str | None:
        """The next text frame; ``None`` once the peer has closed or is gone."""
        ...

    async def send(self, text: str) -> None:
        """Send one text frame. Raises ConnectionError where the peer is gone."""
        ...

    async def close(self, code: int = 1000) -> None:
        """Close with a status code (RFC 6455 section 7.4)."""
        ...


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A websocket handshake before it is answered. Call ``accept`` or ``reject`` (with a status and a body), once."""

    path: str
    query: str
    headers: Mapping[str, str]
    source_ip: str
    accept: Callable[[], Awaitable[WebSocket]]
    reject: Callable[[int, bytes], None]
    note: Callable[[Occurrence], None] = unheard  # as an Exchange's


RawHandler = Callable[[Exchange], Awaitable[None]]
SocketHandler = Callable[[Upgrade], Awaitable[None]]
