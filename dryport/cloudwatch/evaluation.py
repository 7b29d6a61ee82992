"""What state an alarm is in. Pure.

Sources: "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data", CloudWatch user guide. How many
periods an alarm looks back beyond those that it evaluates CloudWatch does not say; in its examples it is two.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import msgspec

from dryport.cloudwatch.model import ALARM, INSUFFICIENT, OK

MORE_PERIODS = 2  # that are looked at, so that one that comes late is seen
MISSING, IGNORE, BREACHING, NOT_BREACHING = "missing", "ignore", "breaching", "notBreaching"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class Point(msgspec.Struct, frozen=True):
    """A period that began ``at``: its value, ``None`` where there are no data, and of how many values it is."""

    at: float
    value: float | None = None
    samples: float | None = None


class Terms(msgspec.Struct, frozen=True):
    """What an alarm compares. ``fewest_samples``: with fewer its state stays, 0 where it is always evaluated."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = MISSING
    fewest_samples: float = 0.0

    def breaches(self, value: float) -> bool:
        """Whether a value crosses the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)


class Verdict(msgspec.Struct, frozen=True):
    """The state, and what it was seen by: data points, the newest first, and how many missing ones were filled in."""

    state: str
    points: tuple[Point, ...]
    filled: int


def evaluate(terms: Terms, points: Sequence[Point]) -> Verdict | None:
    """The state that periods, the newest last, put an alarm in; ``None``: the one that it is in.

    Where as many periods as are evaluated have data, wherever they lie in the range, those decide. Else what is missing
    is filled in as the alarm says it.
    """
    real = [point for point in reversed(points) if point.value is not None]
    if terms.fewest_samples and real and _samples(real, terms) < terms.fewest_samples:
        return None
    chosen = tuple(real[: terms.evaluation_periods])
    lacking = terms.evaluation_periods - len(chosen)
    breaching = sum(terms.breaches(point.value) for point in chosen if point.value is not None)
    if lacking and terms.missing == BREACHING:
        breaching += lacking
    if breaching >= terms.datapoints_to_alarm:
        return Verdict(ALARM, chosen, lacking)
    if not lacking or terms.missing in (BREACHING, NOT_BREACHING) or breaching < len(chosen):
        # Of missing and ignored data only those that are there count, and one that does not breach is enough.
        return Verdict(OK, chosen, lacking)
    if terms.missing == IGNORE:
        return None
    return Verdict(ALARM if _late(terms, points) else INSUFFICIENT, chosen, lacking)


def _late(terms: Terms, points: Sequence[Point]) -> bool:
    """Whether the oldest of the periods with data, all of which breach, is so old that as many as it takes would have
    been breaching by now ("Avoiding premature transitions to alarm state")."""
    oldest = next((place for place, point in enumerate(points) if point.value is not None), None)
    return oldest is not None and len(points) - oldest >= terms.datapoints_to_alarm


def _samples(real: Sequence[Point], terms: Terms) -> float:
    return sum(point.samples or 0.0 for point in real[: terms.evaluation_periods])
