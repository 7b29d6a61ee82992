"""Ships one container's output to CloudWatch Logs.

The cursor moves only after an answer: what an agent that was killed had sent is perhaps sent twice, nothing is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from dryport.agent.logs.batch import Joiner, LogEvent, batches
from dryport.agent.logs.options import Options
from dryport.agent.runtime import LogLine, RuntimeFailure
from dryport.client import PATIENCE, ApiError, Client, Credentials, Unreachable

log = logging.getLogger("dryport.agent.logs")
_FLUSH_AFTER = 0.5  # seconds from an event to its shipping, so that several go together
_JOIN_AFTER = 1.0  # seconds that an event of several lines waits for its next one
_FIRST_RETRY, _LAST_RETRY = 0.25, 15.0
_BLOCKING_BUFFER = 4 << 20  # bytes read ahead; the rest waits in the runtime's own file

# A session that has ended, or was revoked with its task.
_REFUSED_KEYS = ("UnrecognizedClientException", "ExpiredTokenException", "InvalidClientTokenId")

Reader = Callable[[str], AsyncIterator[LogLine]]


class Shipper:
    """Follows a container's output until it has ended and all of it is shipped.

    ``read(cursor)`` gives lines from a cursor; ``moved(cursor)`` is told how far shipping has come. Of ``credentials``
    those are used that are still good: a task's end with it.
    """

    def __init__(
        self,
        client: Client,
        options: Options,
        credentials: Callable[[], list[Credentials]],
        read: Reader,
        moved: Callable[[str], None],
    ) -> None:
        self._client = client
        self._options = options
        self._credentials = credentials
        self._read = read
        self._moved = moved
        self._waiting: list[LogEvent] = []
        self._bytes = 0
        self._dropped = 0
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._joiner = Joiner(options.first_line)

    async def run(self, cursor: str) -> None:
        """Ship everything after ``cursor``."""
        self._ended = False
        self._hurry.clear()
        sender = asyncio.get_running_loop().create_task(self._send())
        try:
            await self._follow(cursor)
            self._add(self._joiner.flush())
            self._ended = True
            self._changed.set()
            self._hurry.set()
            await sender
        finally:
            sender.cancel()

    def hurry(self) -> None:
        """The container has ended: don't wait for more to go along."""
        self._hurry.set()

    async def _follow(self, cursor: str) -> None:
        delay = _FIRST_RETRY
        while True:
            try:
                async for line in self._read(cursor):
                    cursor = line.cursor
                    delay = _FIRST_RETRY
                    self._add(self._joiner.add(line))
                    if self._joiner.holds:
                        self._changed.set()
                    while self._options.buffer is None and self._bytes > _BLOCKING_BUFFER:
                        self._room.clear()
                        await self._room.wait()
                return
            except RuntimeFailure as failure:
                log.info("output cannot be read now: %s", failure.message)
                await asyncio.sleep(delay)
                delay = min(_LAST_RETRY, delay * 2)

    def _add(self, events: list[LogEvent]) -> None:
        for event in events:
            if self._options.buffer is not None and self._waiting and self._bytes + event.size > self._options.buffer:
                self._dropped += 1  # non-blocking: Docker's driver drops what does not fit, too
                continue
            self._waiting.append(event)
            self._bytes += event.size
            self._changed.set()

    async def _send(self) -> None:
        while True:
            if not self._waiting:
                if self._ended:
                    return
                await self._changed.wait()
                self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _JOIN_AFTER if self._joiner.holds else _FLUSH_AFTER)
            if not self._waiting and self._joiner.holds:
                self._add(self._joiner.flush())
            for batch in batches(self._waiting[:]):
                await self._put(batch)
                self._done(len(batch), sum(event.size for event in batch))
            if self._dropped:
                log.warning("%d events of %s did not fit the buffer", self._dropped, self._options.stream)
                self._dropped = 0

    def _done(self, count: int, size: int) -> None:
        shipped, self._waiting = self._waiting[:count], self._waiting[count:]
        self._bytes -= size
        self._room.set()
        for event in reversed(shipped):
            if event.cursor:
                self._moved(event.cursor)
                break

    async def _put(self, batch: list[LogEvent]) -> None:
        request = {
            "logGroupName": self._options.group,
            "logStreamName": self._options.stream,
            "logEvents": [{"timestamp": e.timestamp, "message": e.message} for e in batch],
        }
        delay = _FIRST_RETRY
        attempts = 0
        while True:
            usable = self._credentials()
            chosen = usable[attempts % len(usable)]
            try:
                await call(self._client, self._options, "PutLogEvents", request, chosen)
                return
            except ApiError as error:
                if error.code in _REFUSED_KEYS and attempts + 1 < len(usable):
                    attempts += 1
                    continue
                attempts = 0
                if error.code in ("InvalidParameterException", "DataAlreadyAcceptedException"):
                    log.warning("%d events of %s were refused: %s", len(batch), self._options.stream, error)
                    return
                if error.code == "ResourceNotFoundException":
                    with contextlib.suppress(ApiError, Unreachable):
                        await create(self._client, self._options, chosen)
                why: Exception = error
            except Unreachable as error:
                why = error
            log.info("events of %s wait: %s", self._options.stream, why)
            await asyncio.sleep(delay)
            delay = min(_LAST_RETRY, delay * 2)


async def call(
    client: Client, options: Options, operation: str, request: Mapping[str, object], credentials: Credentials
) -> dict[str, object]:
    """A call of CloudWatch Logs where the options say. Raises ApiError, Unreachable."""
    return await client.call(
        *("logs", operation, request, credentials),
        endpoint=options.endpoint,
        region=options.region,
        patience=PATIENCE,
    )


async def create(client: Client, options: Options, credentials: Credentials) -> None:
    """Make the stream, and if the options wish the group; they may exist. Raises ApiError, Unreachable."""
    group: dict[str, object] = {"logGroupName": options.group}
    stream = group | {"logStreamName": options.stream}
    try:
        await _make(client, options, "CreateLogStream", stream, credentials)
    except ApiError as error:
        if error.code != "ResourceNotFoundException" or not options.create_group:
            raise
        await _make(client, options, "CreateLogGroup", group, credentials)
        await _make(client, options, "CreateLogStream", stream, credentials)


async def _make(
    client: Client, options: Options, operation: str, request: dict[str, object], credentials: Credentials
) -> None:
    try:
        await call(client, options, operation, request, credentials)
    except ApiError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise
