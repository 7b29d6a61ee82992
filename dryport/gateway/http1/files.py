"""Bytes of a file to a socket by the kernel, without passing through this process (sendfile(2))."""

from __future__ import annotations

import asyncio
import os

_SLICE = 4 << 20  # bytes a call may send: as much as a socket takes at once


async def send_file(sock: int, file: int, start: int, count: int, stall: float) -> None:
    """Send ``count`` bytes from ``start`` of an open file over a non-blocking socket.

    The reading, which may wait for the disk, is done in a thread; the waiting for the socket in the event loop. Raises
    TimeoutError where the peer takes nothing for ``stall`` seconds, ConnectionError where it is gone, EOFError where
    the file is shorter.
    """
    loop = asyncio.get_running_loop()
    own = os.dup(sock)  # the transport watches the other one
    try:
        while count:
            try:
                sent = await loop.run_in_executor(None, os.sendfile, own, file, start, min(count, _SLICE))
            except BlockingIOError:
                await _writable(loop, own, stall)
                continue
            if not sent:
                raise EOFError("the file is shorter than it was")
            start += sent
            count -= sent
    finally:
        os.close(own)


async def _writable(loop: asyncio.AbstractEventLoop, sock: int, stall: float) -> None:
    ready = asyncio.Event()
    loop.add_writer(sock, ready.set)
    try:
        async with asyncio.timeout(stall):
            await ready.wait()
    finally:
        loop.remove_writer(sock)
