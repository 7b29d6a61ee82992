"""An answer that is written as it comes from somewhere else: implements ``gateway.service.Stream``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dryport.gateway.http1 import heads

if TYPE_CHECKING:
    from dryport.gateway.http1.exchange import HttpExchange


class AnswerStream:
    """Writes with the client's pace. ``begun`` once the head is out: from then on an error can only cut it off."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._line = exchange.line()
        self._chunked = False
        self._silent = False
        self.begun = False
        self.method = exchange.method
        self.path = exchange.path
        self.query = exchange.query

    def begin(self, status: int, headers: list[tuple[str, str]], length: int | None) -> None:
        """Write the head; ``length`` is the body's in bytes, ``None`` where nobody knows it."""
        exchange = self._exchange
        self.begun = True
        self._silent = exchange.method == "HEAD" or not heads.has_body(status)
        self._chunked = length is None and not self._silent
        exchange.status = status
        given = [pair for pair in headers if pair[0] != "content-length"]
        if self._chunked:
            given.append(("transfer-encoding", "chunked"))
        elif length is not None and heads.has_body(status):
            given.append(("content-length", str(length)))
        self._line.write(heads.head(status, given, None if self._chunked else 0, self._line.keeps(exchange)))

    async def send(self, data: bytes) -> None:
        """Write a part of the body, and wait while the client is slow. Raises ConnectionError where it is gone."""
        if self._silent or not data:
            return
        self._exchange.sent += len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._line.write(data)
        await self._line.drained()

    def end(self) -> None:
        """The body is whole."""
        if self._chunked:
            self._line.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """End the connection in the middle, so that nobody takes a part for the whole."""
        self._line.abort()
