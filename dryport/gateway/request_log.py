"""One line of JSON a request, in a file of its own, buffered so that it costs a request next to nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec

_FLUSH_SECONDS = 0.5
_FLUSH_BYTES = 64 * 1024
_ROTATE_BYTES = 64 * 1024 * 1024


class Entry(msgspec.Struct, omit_defaults=True):
    """A line. ``time`` is when the request came, in seconds since the epoch; ``ms`` how long it took.

    ``sent`` and ``received`` count bytes of bodies. Never secrets: no headers, no queries, no bodies.
    """

    time: float
    id: str
    method: str
    path: str
    ip: str
    service: str = ""
    operation: str = ""
    principal: str = ""
    region: str = ""
    status: int = 0
    error: str = ""
    ms: float = 0.0
    received: int = 0
    sent: int = 0


class RequestLog:
    """The file; ``path`` ``None`` keeps no log. One older file is kept beside it once it has grown to 64 MiB."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._encode = msgspec.json.Encoder().encode_into
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def write(self, entry: Entry) -> None:
        """Add a line."""
        if self._path is None:
            return
        buffer = self._buffer
        self._encode(entry, buffer, len(buffer))
        buffer += b"\n"
        if len(buffer) >= _FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is waiting. A log that cannot be written (a full disk) stops no request."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._buffer = self._buffer, bytearray()
        if not waiting or self._path is None:
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, waiting)
                size = os.fstat(handle).st_size
            finally:
                os.close(handle)
            if size >= _ROTATE_BYTES:
                os.replace(self._path, self._path.with_suffix(".1"))
        except OSError:
            pass
