"""gRPC's health checks, which HAProxy has none of: a call in bytes, and what its answer's bytes look like. Pure.

A connection of its own has HTTP/2 (RFC 9113) with headers that are compressed (RFC 7541) by as little as possible. What
a server answers, ``grpc-status`` in its trailers, it may write as text or in Huffman's code; it is there literally,
since no table has it yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_POST, _HTTP, _HTTPS = 0x83, 0x86, 0x87  # whole fields of the static table
_AUTHORITY, _PATH, _CONTENT_TYPE, _USER_AGENT = 1, 4, 31, 58  # names in it
_MESSAGE = bytes(5)  # one that is empty and not compressed
_STATUS = b"grpc-status"
_STATUS_CODED = "9ACAC8B21234DA8F"  # the same in Huffman's code
_DIGITS = ("00000", "00001", "00010", "011001", "011010", "011011", "011100", "011101", "011110", "011111")
MOST = 99  # of AWS's codes


def call(path: str, *, secure: bool) -> str:
    """A call of a method with an empty message, in hexadecimal digits."""
    fields = bytes([_POST, _HTTPS if secure else _HTTP])
    fields += _field(_AUTHORITY, b"elb-health-check") + _field(_PATH, path.encode())
    fields += _field(_CONTENT_TYPE, b"application/grpc") + _field(_USER_AGENT, b"ELB-HealthChecker/2.0")
    fields += b"\0" + _text(b"te") + _text(b"trailers")
    frames = _frame(_SETTINGS, 0, 0, b"") + _frame(_HEADERS, _END_HEADERS, 1, fields)
    return (_PREFACE + frames + _frame(_DATA, _END_STREAM, 1, _MESSAGE)).hex().upper()


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def _number(value: int, bits: int, first: int = 0) -> bytes:
    """RFC 7541, 5.1: a number whose first byte has so many bits for it."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    made, left = [first | most], value - most
    while left >= 128:
        made.append(left % 128 + 128)
        left //= 128
    return bytes([*made, left])


def _text(text: bytes) -> bytes:
    return _number(len(text), 7) + text


def _field(name: int, value: bytes) -> bytes:
    """A field that is not to be remembered, by its name's place in the static table."""
    return _number(name, 4) + _text(value)


def answered() -> str:
    """A regular expression on hexadecimal digits: a status, whichever it is."""
    return f"({_text(_STATUS).hex().upper()}|{0x80 | len(_STATUS_CODED) // 2:02X}{_STATUS_CODED})"


def expected(codes: str) -> str:
    """A regular expression on hexadecimal digits: one of a matcher's statuses (``0-2,12``)."""
    values = sorted({way for code in _each(codes) for way in _ways(code)})
    return f"{answered()}({'|'.join(values)})"


def _each(codes: str) -> Iterable[int]:
    for part in codes.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _ways(code: int) -> tuple[str, str]:
    """A status as a header's value: as text, and in Huffman's code, filled up with ones."""
    plain = str(code).encode()
    bits = "".join(_DIGITS[int(digit)] for digit in str(code))
    size = -(-len(bits) // 8)
    coded = int(bits.ljust(8 * size, "1"), 2).to_bytes(size, "big")
    return _text(plain).hex().upper(), (bytes([0x80 | size]) + coded).hex().upper()


def are_codes(text: str) -> bool:
    """Whether a text is a matcher of gRPC's: codes and ranges, separated by commas."""
    parts = [re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", part) for part in text.split(",")]
    return all(part is not None and int(part[1]) <= int(part[2] or part[1]) <= MOST for part in parts)
