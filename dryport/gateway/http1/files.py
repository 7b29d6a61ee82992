"""Bytes of a file to a socket, past the event loop."""

from __future__ import annotations

import asyncio
import os
import select
from typing import NamedTuple

from dryport.gateway.file_parts import Opener

# Read and written in pieces that stay in the processor's cache, where a client on this machine finds them. sendfile(2)
# spares the copy, but its reader then fetches each page from memory, and the reader is what a pull waits for: it took
# a fifth longer (bench/registry.py).
_PIECE = 256 << 10
_STINT = 32 << 20  # bytes after which a thread is for others, too
_PATIENCE = 20  # milliseconds for which a thread waits for a peer that takes what it gets


class OpenFile(NamedTuple):
    """``size`` bytes of an open file, from ``start``; deciphered where there is an ``opener``."""

    descriptor: int
    start: int
    size: int
    opener: Opener | None


async def send_file(sock: int, file: OpenFile, stall: float) -> None:
    """Send a part of an open file over a non-blocking socket.

    Done in a thread, which also waits for a peer that keeps up; the event loop, where waiting costs nothing, waits for
    one that is slow. Raises TimeoutError where the peer takes nothing for ``stall`` seconds, ConnectionError where it
    is gone, EOFError where the file is shorter.
    """
    loop = asyncio.get_running_loop()
    own = os.dup(sock)  # the transport watches the other one
    try:
        while file.size:
            sent = await loop.run_in_executor(None, _send_some, own, file._replace(size=min(file.size, _STINT)))
            file = file._replace(start=file.start + sent, size=file.size - sent)
            if file.size:
                await _writable(loop, own, stall)
    finally:
        os.close(own)


def _send_some(sock: int, file: OpenFile) -> int:
    """Send a part of a file, or less of it where the peer is slow; how much. Raises ConnectionError, EOFError."""
    sent = 0
    ready = select.poll()
    ready.register(sock, select.POLLOUT)
    piece = memoryview(bytearray(min(file.size, _PIECE)))
    decipher = file.opener(file.start) if file.opener is not None else None
    while sent < file.size:
        size = os.preadv(file.descriptor, [piece[: file.size - sent]], file.start + sent)
        if not size:
            raise EOFError("the file is shorter than it was")
        content = piece if decipher is None else memoryview(decipher(piece[:size]))
        end = sent + size
        while sent < end:
            try:
                sent += os.write(sock, content[size - (end - sent) : size])
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
