"""Points in time as AWS's protocols write them; ours are float seconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINIMUM = -62135596800.0  # year 1
MAXIMUM = 253402300799.999  # year 9999
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?([eE][+-]?\d{1,2})?\Z", re.ASCII)


def iso8601(seconds: float) -> str:
    """``2026-01-02T03:04:05Z``, with three decimals where there is a fraction of a second."""
    milliseconds = round(seconds * 1000)
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{text}.{milliseconds % 1000:03d}Z" if milliseconds % 1000 else f"{text}Z"


def http_date(seconds: float) -> str:
    """``Fri, 02 Jan 2026 03:04:05 GMT`` (RFC 9110 section 5.6.7)."""
    moment = _EPOCH + timedelta(seconds=int(seconds))
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment:%H:%M:%S} GMT"


def unix(seconds: float) -> str:
    """``1767323045`` or ``1767323045.123``."""
    milliseconds = round(seconds * 1000)
    return str(milliseconds // 1000) if milliseconds % 1000 == 0 else f"{milliseconds / 1000:.3f}"


def parse(text: str) -> float:
    """Seconds since the epoch from any of the three forms. Raises ValueError."""
    text = text.strip()
    if _NUMBER.match(text):
        seconds = float(text)
    elif text[:1].isdigit():
        moment = datetime.fromisoformat(text)
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH).total_seconds()
    else:
        from email.utils import parsedate_to_datetime  # rarely: the package takes a megabyte

        try:
            seconds = (parsedate_to_datetime(text).astimezone(UTC) - _EPOCH).total_seconds()
        except (TypeError, IndexError, OverflowError) as error:
            raise ValueError(text) from error
    if not MINIMUM <= seconds <= MAXIMUM:
        raise ValueError(text)
    return seconds
