"""Bytes of a file to a socket, past the event loop."""

from __future__ import annotations

import asyncio
import os
import select

# Read and written in pieces that stay in the processor's cache, where a client on this machine finds them. sendfile(2)
# spares the copy, but its reader then fetches each page from memory, and the reader is what a pull waits for: it took
# a fifth longer (bench/registry.py).
_PIECE = 256 << 10
_STINT = 32 << 20  # bytes after which a thread is for others, too
_PATIENCE = 20  # milliseconds for which a thread waits for a peer that takes what it gets


async def send_file(sock: int, file: int, start: int, count: int, stall: float) -> None:
    """Send ``count`` bytes from ``start`` of an open file over a non-blocking socket.

    Done in a thread, which also waits for a peer that keeps up; the event loop, where waiting costs nothing, waits for
    one that is slow. Raises TimeoutError where the peer takes nothing for ``stall`` seconds, ConnectionError where it
    is gone, EOFError where the file is shorter.
    """
    loop = asyncio.get_running_loop()
    own = os.dup(sock)  # the transport watches the other one
    try:
        while count:
            sent = await loop.run_in_executor(None, _send_some, own, file, start, min(count, _STINT))
            start += sent
            count -= sent
            if count:
                await _writable(loop, own, stall)
    finally:
        os.close(own)


def _send_some(sock: int, file: int, start: int, count: int) -> int:
    """Send up to ``count`` bytes, fewer where the peer is slow; how many. Raises ConnectionError, EOFError."""
    sent = 0
    ready = select.poll()
    ready.register(sock, select.POLLOUT)
    piece = memoryview(bytearray(min(count, _PIECE)))
    while sent < count:
        size = os.preadv(file, [piece[: count - sent]], start + sent)
        if not size:
            raise EOFError("the file is shorter than it was")
        end = sent + size
        while sent < end:
            try:
                sent += os.write(sock, piece[size - (end - sent) : size])
            except BlockingIOError:
                if not ready.poll(_PATIENCE):
                    return sent
    return sent


async def _writable(loop: asyncio.AbstractEventLoop, sock: int, stall: float) -> None:
    ready = asyncio.Event()
    loop.add_writer(sock, ready.set)
    try:
        async with asyncio.timeout(stall):
            await ready.wait()
    finally:
        loop.remove_writer(sock)
