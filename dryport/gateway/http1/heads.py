"""Heads of answers as bytes (RFC 9112)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE = str.maketrans("", "", "\r\n\0")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _Date:
    """The Date header, made once a second."""

    second = 0
    line = ""


def _date() -> str:
    now = int(time.time())
    if now != _Date.second:
        at = time.gmtime(now)  # in English whatever the locale is: RFC 9110 section 5.6.7
        day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon]
        _Date.second = now
        _Date.line = f"date: {day}, {at.tm_mday:02} {month} {at.tm_year} {time.strftime('%H:%M:%S', at)} GMT\r\n"
    return _Date.line


def phrase(status: int) -> str:
    """What a status is called."""
    return HTTPStatus(status).phrase


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def refusal(method: str, version: str, headers: Mapping[str, str], hosts: int) -> int:
    """The status of a request whose head can be parsed and may not be served; 0 where it may.

    ``hosts`` is how many Host headers it has. Source: RFC 9110 sections 9.1, 10.1.1; RFC 9112 sections 2.3, 3.2, 6.1.
    """
    coding = headers.get("transfer-encoding", "chunked").strip().lower()
    if version not in ("1.0", "1.1"):
        return 505
    if method not in _METHODS:
        return 501
    if hosts > 1 or (version == "1.1" and not hosts) or (version == "1.0" and "transfer-encoding" in headers):
        return 400
    if coding != "chunked":
        return 501
    return 417 if headers.get("expect", "100-continue").lower() != "100-continue" else 0


def framing(headers: Mapping[str, str]) -> bytes:
    """A head of a request with a body that ends as these headers say."""
    name = "transfer-encoding" if "transfer-encoding" in headers else "content-length"
    return f"POST / HTTP/1.1\r\nhost: -\r\n{name}: {headers[name]}\r\n\r\n".encode("latin-1")


def has_body(status: int) -> bool:
    """Whether an answer of this status may have one (RFC 9110 section 6.4.1)."""
    return status >= 200 and status not in (204, 304)


def head(status: int, headers: Iterable[tuple[str, str]], length: int | None, keep_alive: bool) -> bytes:
    """The head of an answer; ``length`` is the content's, where ``headers`` have none; ``None`` for a chunked one."""
    text = _LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    stated = False
    for name, value in headers:
        if name == "content-length":
            stated = True
        if "\r" in value or "\n" in value or "\0" in value:
            value = value.translate(_UNSAFE)  # a value from outside must not become a header of its own
        text += f"{name}: {value}\r\n"
    if not stated and length is not None and has_body(status):
        text += f"content-length: {length}\r\n"
    text += _date()
    text += "\r\n" if keep_alive else "connection: close\r\n\r\n"
    return text.encode("utf-8")
