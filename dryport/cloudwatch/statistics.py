"""The statistics of an interval: CloudWatch's five, percentiles and trimmed ones. Pure.

Source: "CloudWatch statistics definitions", CloudWatch user guide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from dryport.cloudwatch.summaries import Summary

Statistic = Callable[[Summary], float | None]

_NUMBER = r"-?\d+(?:\.\d+)?"
_SHORT = re.compile(r"(p|tm|wm|tc|ts)(\d{1,2}(?:\.\d{1,10})?|100(?:\.0{1,10})?)", re.I)
_RANGE = re.compile(rf"(TM|WM|TC|TS|PR)\(({_NUMBER}%?)?:({_NUMBER}%?)?\)", re.I)
SIMPLE: dict[str, Statistic] = {
    "SampleCount": lambda summary: summary.count,
    "Average": lambda summary: summary.total / summary.count,
    "Sum": lambda summary: summary.total,
    "Minimum": lambda summary: summary.low,
    "Maximum": lambda summary: summary.high,
}


def statistic(name: str) -> Statistic | None:
    """What works out a statistic, by its name; ``None`` of a name that is none.

    It gives ``None`` where the values are not known, and, of percentiles, where some are negative.
    """
    if name in SIMPLE:
        return SIMPLE[name]
    if name.upper() == "IQM":
        return _within("TM", "25%", "75%")
    short = _SHORT.fullmatch(name)
    if short is not None:
        kind = short[1].lower()
        if kind == "p":
            share = float(short[2]) / 100
            return lambda summary: _percentile(summary, share)
        return _within(kind.upper(), None, f"{short[2]}%")
    ranged = _RANGE.fullmatch(name)
    if ranged is None or (ranged[2] is None and ranged[3] is None):
        return None
    ends = [end for end in (ranged[2], ranged[3]) if end is not None]
    percent = [end.endswith("%") for end in ends]
    if any(percent) != all(percent):
        return None
    if percent[0] and (ranged[1].upper() == "PR" or not all(0 <= float(end[:-1]) <= 100 for end in ends)):
        return None
    return _within(ranged[1].upper(), ranged[2], ranged[3])


def is_percentile(name: str) -> bool:
    """Whether it is a percentile (``p99.9``)."""
    return name[:1] in "pP" and _SHORT.fullmatch(name) is not None


def fewest_samples(name: str) -> float:
    """With fewer values than this a percentile says little ("Percentile-based alarms and low data samples")."""
    share = float(name[1:]) / 100
    rest = 1 - share if share >= 0.5 else share
    return math.inf if rest <= 0 else 10 / rest


def _percentile(summary: Summary, share: float) -> float | None:
    if summary.values is None or summary.low < 0:
        return None
    return _at(sorted(summary.values.items()), summary.count, share)


def _at(values: list[tuple[float, float]], count: float, share: float) -> float:
    """The value below which a share of them lies, between two values in proportion."""
    place = share * (count - 1)
    below, seen = values[0][0], 0.0
    for value, each in values:
        if place < seen:
            return below + (value - below) * (place - (seen - 1))
        below, seen = value, seen + each
        if place <= seen - 1:
            return value
    return below


def _within(kind: str, low: str | None, high: str | None) -> Statistic:
    def work_out(summary: Summary) -> float | None:
        if summary.values is None:
            return None
        chosen, clamped = _chosen(summary, low, high)
        count = math.fsum(chosen.values())
        total = math.fsum(value * each for value, each in chosen.items())
        match kind:
            case "TC":
                return count
            case "TS":
                return total
            case "PR":
                return 100 * count / summary.count
            case "WM":
                return (total + clamped) / summary.count
        return total / count if count else None

    return work_out


def _chosen(summary: Summary, low: str | None, high: str | None) -> tuple[Mapping[float, float], float]:
    """The values within the bounds with their counts, and the sum of what lies outside, put at the bounds."""
    assert summary.values is not None
    values = sorted(summary.values.items())
    if (low or high or "").endswith("%"):
        first = float((low or "0%")[:-1]) / 100 * summary.count
        last = float((high or "100%")[:-1]) / 100 * summary.count
        return _by_rank(values, first, last)
    least = -math.inf if low is None else float(low)
    most = math.inf if high is None else float(high)
    # A lower bound is outside, an upper one inside: TM(a:b) has what is more than a and not more than b.
    chosen = {value: each for value, each in values if least < value <= most}
    below = math.fsum(each for value, each in values if value <= least)
    above = math.fsum(each for value, each in values if value > most)
    return chosen, (below * least if below else 0.0) + (above * most if above else 0.0)


def _by_rank(values: list[tuple[float, float]], first: float, last: float) -> tuple[Mapping[float, float], float]:
    chosen: dict[float, float] = {}
    seen = 0.0
    for value, each in values:
        inside = min(seen + each, last) - max(seen, first)
        if inside > 0:
            chosen[value] = inside
        seen += each
    if not chosen:
        return chosen, 0.0
    return chosen, first * min(chosen) + (seen - last) * max(chosen)
