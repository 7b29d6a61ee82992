"""The console: what is written to ``/dev/console``, in a file that the driver reads, bounded in size."""

from __future__ import annotations

import os

_PATH = "/dev/console"
_OUTPUT = 1
_MOST = 512 << 10  # bytes; then the older half goes
_PIPE = 64 << 10


class Console:
    """Reads the pipe that ``/dev/console`` is and appends to the file that is open as descriptor 1."""

    def __init__(self) -> None:
        # Open for writing too, so that it does not end while nobody else writes.
        self._reader = os.open(_PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.writer = os.open(_PATH, os.O_WRONLY | os.O_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._reader

    def pump(self) -> None:
        """Move what has been written."""
        try:
            self._append(os.read(self._reader, _PIPE))
        except BlockingIOError:
            pass

    def write_line(self, text: str) -> None:
        """A line of the init's own, never waiting for anybody."""
        self._append(f"{text}\n".encode())

    @staticmethod
    def _append(data: bytes) -> None:
        try:
            if os.fstat(_OUTPUT).st_size + len(data) > _MOST:
                kept = os.pread(_OUTPUT, _MOST, 0)[-_MOST // 2 :]
                os.ftruncate(_OUTPUT, 0)
                os.write(_OUTPUT, kept[kept.find(b"\n") + 1 :])
            os.write(_OUTPUT, data)
        except OSError:
            pass  # the machine's disk is full: an instance goes on without its console
