"""What is kept of the values of a metric in an interval. Pure.

Sums are exact. How the values are distributed, for percentiles, is exact up to 500 different values an interval; where
there are more, values are rounded to as many binary digits as leave 500 (eight digits are within 0.4 %).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping

import msgspec

_MOST_VALUES = 500
_DIGITS = range(12, 0, -1)
_PAIR = struct.Struct("<dd")


class Summary(msgspec.Struct, frozen=True):
    """Values of an interval.

    ``values`` says how often each value occurred; ``None`` where that is not known, as of a statistic set whose values
    are not all the same.
    """

    count: float
    total: float
    low: float
    high: float
    values: Mapping[float, float] | None

    def plus(self, other: Summary) -> Summary:
        """Both intervals together."""
        values: dict[float, float] | None = None
        if self.values is not None and other.values is not None:
            values = dict(self.values)
            for value, count in other.values.items():
                values[value] = values.get(value, 0.0) + count
        return Summary(
            self.count + other.count,
            self.total + other.total,
            min(self.low, other.low),
            max(self.high, other.high),
            values,
        )


def of_values(counts: Iterable[tuple[float, float]]) -> Summary:
    """Of values and how often each occurred; there is at least one."""
    values: dict[float, float] = {}
    for value, count in counts:
        values[value] = values.get(value, 0.0) + count
    count = math.fsum(values.values())
    total = math.fsum(value * each for value, each in values.items())
    return Summary(count, total, min(values), max(values), values)


def of_set(count: float, total: float, low: float, high: float) -> Summary:
    """Of a statistic set."""
    return Summary(count, total, low, high, {low: count} if low == high else None)


def merged(summaries: Iterable[Summary]) -> Summary | None:
    """All of them together, ``None`` of none."""
    found: Summary | None = None
    for each in summaries:
        found = each if found is None else found.plus(each)
    return found


def packed(summary: Summary) -> bytes | None:
    """The distribution as it is stored: ``None`` where all values are the same, nothing where it is not known."""
    values = summary.values
    if values is None:
        return b""
    if summary.low == summary.high:
        return None
    values = _coarse(values)
    return b"".join(_PAIR.pack(value, values[value]) for value in sorted(values))


def unpacked(count: float, total: float, low: float, high: float, distribution: bytes | None) -> Summary:
    """A summary as it was stored."""
    if distribution is None:
        return Summary(count, total, low, high, {low: count})
    if not distribution:
        return Summary(count, total, low, high, None)
    return Summary(count, total, low, high, dict(_PAIR.iter_unpack(distribution)))


def _coarse(values: Mapping[float, float]) -> Mapping[float, float]:
    found = values
    for digits in _DIGITS:
        if len(found) <= _MOST_VALUES:
            break
        found = {}
        for value, count in values.items():
            rounded = _rounded(value, digits)
            found[rounded] = found.get(rounded, 0.0) + count
    return found


def _rounded(value: float, digits: int) -> float:
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * (1 << digits)), exponent - digits)
