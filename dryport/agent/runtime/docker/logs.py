"""A container's lines out of the log that Docker keeps, followed through restarts of the daemon.

The cursor's place is a message's time in nanoseconds and its count among those of the same nanosecond: Docker resumes
by time only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiodocker.exceptions import DockerError

from dryport.agent.runtime.docker.connection import AWAY, Connection
from dryport.agent.runtime.interface import LogLine
from dryport.agent.runtime.log_lines import Entry, Joiner, Place, nanoseconds

_RETRY = 0.2  # seconds between attempts while the daemon is away


async def read(
    connection: Connection,
    id: str,
    cursor: str,
    *,
    follow: bool,
    terminal: bool,
    running: Callable[[], Awaitable[bool]],
) -> AsyncIterator[LogLine]:
    """The lines after ``cursor``; with ``follow`` until the container is not ``running`` and all has been given."""
    while True:
        joiner = Joiner(cursor)
        last = not follow or not await running()  # asked before reading: what came before the end is then read
        whole = False
        with suppress(*AWAY):
            try:
                async for entry in _entries(connection, id, joiner.begin, follow=not last, terminal=terminal):
                    for line in joiner.add(entry):
                        cursor = line.cursor
                        yield line
                whole = True
            except DockerError as error:
                if error.status == 404:
                    return
        if last and (whole or not follow):
            break
        await asyncio.sleep(_RETRY if not whole else 0)
    for line in joiner.rest():
        yield line


async def _entries(
    connection: Connection, id: str, begin: Place, *, follow: bool, terminal: bool
) -> AsyncIterator[Entry]:
    since = f"{begin[0] // 1_000_000_000}.{begin[0] % 1_000_000_000:09d}" if begin[0] else ""
    place: Place = (0, 0)
    async for stream, message in connection.log(id, since, follow=follow, terminal=terminal):
        stamp, _, text = message.partition(b" ")
        at = nanoseconds(_fixed(stamp.decode()))
        start = place if place[0] == at else (at, 0)
        place = (at, start[1] + 1)
        if place <= begin:
            continue
        partial = not text.endswith(b"\n")
        yield Entry(at / 1e9, stream, text if partial else text[:-1], partial, start, place)


def _fixed(stamp: str) -> str:
    """A time stamp with all nine digits: Docker leaves trailing zeros out in some places."""
    seconds, _, rest = stamp.rstrip("Z").partition(".")
    return f"{seconds}.{rest:0<9}Z"
