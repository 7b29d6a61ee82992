"""Values of conditions: numbers, dates, addresses, truth and bytes, from their text. ``None`` is what cannot be read.

Source: "IAM JSON policy elements: Condition operators", IAM user guide; dates: the W3C's note on ISO 8601.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_NUMBER = re.compile(r"[+-]?(\d{1,64}(\.\d{0,64})?|\.\d{1,64})")
_DATE = re.compile(
    r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[Tt](\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?(Z|z|[+-]\d{1,2}(?::?\d{2})?)?)?)?)?"
)
_EPOCH = re.compile(r"-?\d{1,19}")
_MOST = 2**63 - 1


def number(text: str) -> Decimal | None:
    """An integer or decimal number."""
    text = text.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def date(text: str) -> float | None:
    """Seconds since the epoch, from those or from a date (from a year to parts of a second; UTC unless it says so)."""
    text = text.strip()
    parts = _DATE.fullmatch(text)
    if parts is None:
        return float(text) if _EPOCH.fullmatch(text) and abs(int(text)) <= _MOST else None
    year, month, day, hour, minute, second, fraction, offset = parts.groups()
    try:
        at = datetime(
            *(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)),
            tzinfo=timezone(_offset(offset)),
        )
    except ValueError:
        return None
    return at.timestamp() + float(fraction or 0)


def _offset(text: str | None) -> timedelta:
    if not text or text in "Zz":
        return timedelta()
    digits = text[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    size = timedelta(hours=int(hours), minutes=int(minutes))
    return -size if text[0] == "-" else size


def truth(text: str) -> bool | None:
    """``true`` or ``false``, in whatever case."""
    return {"true": True, "false": False}.get(text.lower())


def blob(text: str) -> bytes | None:
    """Bytes, from Base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@lru_cache(maxsize=1024)
def network(text: str) -> IPv4Network | IPv6Network | None:
    """An address or a range of addresses."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def address(text: str) -> IPv4Address | IPv6Address | None:
    """One address."""
    try:
        return ip_address(text)
    except ValueError:
        return None
