"""What a balancer's HAProxy notes of requests: a file that only grows, whose beginning is given back to the kernel.

HAProxy holds it open for as long as it lives, so that it can be neither renamed nor cut; a hole in it takes no room,
and places in it stay what they are.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_NAME = "requests.log"
_PART = 4 << 20  # bytes that are taken at once
_MOST = 128 << 20  # bytes that are kept where nobody takes them; half of them then
_PUNCH_HOLE, _KEEP_SIZE = 0x02, 0x01
_libc = ctypes.CDLL(None, use_errno=True)


def opened(directory: Path) -> int:
    """A descriptor to write by."""
    return os.open(directory / _NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def take(directory: Path, after: int, least: int) -> tuple[bytes, int]:
    """Whole lines behind a place, and where they end; nothing where there is not as much as ``least``."""
    try:
        file = os.open(directory / _NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", after
    try:
        size = os.fstat(file).st_size
        if after > size:
            after = 0  # it is another file: the machine was started anew
        if size - after < least:
            return b"", after
        _forget(file, after)
        start = os.lseek(file, after, os.SEEK_DATA)
        content = os.pread(file, _PART, start)
        if start > after:  # in the middle of a line
            begin = content.find(b"\n", len(content) - len(content.lstrip(b"\0"))) + 1
            content, start = content[begin:], start + begin
        content = content[: content.rfind(b"\n") + 1]
        return content, start + len(content)
    except OSError:
        return b"", after  # nothing but a hole
    finally:
        os.close(file)


def bound(directory: Path) -> None:
    """Forget the oldest where there is too much."""
    try:
        file = os.open(directory / _NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        facts = os.fstat(file)
        if facts.st_blocks * 512 > _MOST:
            _forget(file, facts.st_size - _MOST // 2)
    finally:
        os.close(file)


def _forget(file: int, end: int) -> None:
    if end > 0:
        _libc.fallocate(file, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(end))
