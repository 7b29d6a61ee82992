"""Data points of a metric in periods. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dryport.cloudwatch.storage import DAY, FIVE_MINUTES, HOUR, MINUTE, Row
from dryport.cloudwatch.summaries import Summary

SHORT_PERIODS = (1, 5, 10, 20, 30)  # seconds; others are multiples of 60


def is_period(seconds: int) -> bool:
    """Whether data can be asked for in periods of so many seconds."""
    return seconds in SHORT_PERIODS or (seconds >= MINUTE and seconds % MINUTE == 0)


def begin(start: float, now: float, period: int) -> int:
    """Where the first period begins: CloudWatch rounds down what it is asked for ("GetMetricStatistics", StartTime)."""
    old = now - start
    if period < MINUTE:
        step = period
    elif old < 15 * DAY:
        step = MINUTE
    elif old < 63 * DAY:
        step = FIVE_MINUTES
    else:
        step = HOUR
    return int(start) - int(start) % step


def in_periods(rows: Iterable[Row], start: int, period: int) -> dict[int, Summary]:
    """The rows by the period that they begin in. What is no longer known in such short periods is left out."""
    found: dict[int, Summary] = {}
    for row in rows:
        if row.resolution > period:
            continue
        at = row.at - (row.at - start) % period
        there = found.get(at)
        found[at] = row.summary if there is None else there.plus(row.summary)
    return found
