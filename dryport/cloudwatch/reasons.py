"""Why an alarm is in a state, in CloudWatch's words and as its JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from dryport.cloudwatch.evaluation import BREACHING, Point, Terms, Verdict
from dryport.cloudwatch.model import ALARM, INSUFFICIENT

_LISTED = 5  # data points that a reason lists at most
_INLINE = 3  # so many are named in the middle of the sentence
_IN_DATA = 10
_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


def reason(terms: Terms, verdict: Verdict, before: str) -> str:
    """``StateReason`` of a transition from the state ``before``."""
    if verdict.state == INSUFFICIENT:
        return f"Insufficient Data: {_many(verdict.filled, 'datapoint')} {_was(verdict.filled)} unknown."
    treated = ""
    if verdict.filled and terms.missing in ("breaching", "notBreaching"):
        kind = "Breaching" if terms.missing == BREACHING else "NonBreaching"
        treated = f" and {_many(verdict.filled, 'missing datapoint')} {_was(verdict.filled)} treated as [{kind}]"
    if not verdict.points:
        periods = _many(terms.evaluation_periods, "period")
        return f"Threshold Crossed: no datapoints were received for {periods}{treated}."
    alarming = verdict.state == ALARM
    seen = [each for each in verdict.points if each.value is not None and terms.breaches(each.value) == alarming]
    if not seen:  # those that were filled in have decided
        count, periods = len(verdict.points), _many(terms.evaluation_periods, "period")
        return f"Threshold Crossed: {_many(count, 'datapoint')} {_was(count)} received for {periods}{treated}."
    return f"Threshold Crossed: {_sentence(terms, seen, treated, before, alarming)}."


def _sentence(terms: Terms, seen: Sequence[Point], treated: str, before: str, alarming: bool) -> str:
    count = len(seen)
    enough = terms.datapoints_to_alarm
    if before == INSUFFICIENT:
        who, tail = _many(count, "datapoint"), ""
    else:
        if not alarming:
            enough = terms.evaluation_periods - terms.datapoints_to_alarm + 1
        after = "OK -> ALARM" if alarming else "ALARM -> OK"
        who = f"{count} out of the last {terms.evaluation_periods} datapoints"
        tail = f" (minimum {_many(enough, 'datapoint')} for {after} transition)"
    words = (
        f"{_was(count)} {'' if alarming else 'not '}{_WORDS[terms.comparison]} the threshold ({java(terms.threshold)})"
    )
    listed = ", ".join(_point(each) for each in seen[:_LISTED])
    if count <= _INLINE:
        return f"{who} [{listed}] {words}{treated}{tail}"
    crossed = "crossed" if alarming else "did not cross"
    return f"{who} {words}{treated}. The most recent datapoints which {crossed} the threshold: [{listed}]{tail}"


def data(
    terms: Terms, verdict: Verdict, points: Sequence[Point], now: float, *, statistic: str, period: int, unit: str
) -> str:
    """``StateReasonData``: JSON. ``points`` are the periods that were looked at, the newest last."""
    seen = verdict.points[:_IN_DATA]
    lacking = [each for each in reversed(points) if each.value is None][: min(verdict.filled, _IN_DATA - len(seen))]
    evaluated = sorted([*seen, *lacking], key=lambda each: each.at, reverse=True)
    document: dict[str, Any] = {"version": "1.0", "queryDate": stamp(now)}
    if verdict.points:
        document["startDate"] = stamp(min(each.at for each in verdict.points))
    if unit:
        document["unit"] = unit
    if statistic:
        document["statistic"] = statistic
    document["period"] = period
    document["recentDatapoints"] = [each.value for each in reversed(seen)]
    document["threshold"] = terms.threshold
    document["evaluatedDatapoints"] = [_evaluated(each) for each in evaluated]
    return msgspec.json.encode(document).decode()


def _evaluated(point: Point) -> dict[str, Any]:
    shown: dict[str, Any] = {"timestamp": stamp(point.at)}
    if point.value is not None:
        if point.samples is not None:
            shown["sampleCount"] = point.samples
        shown["value"] = point.value
    return shown


def stamp(seconds: float) -> str:
    """``2026-11-27T01:00:00.000+0000``."""
    at = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}+0000"


def java(number: float) -> str:
    """A number as CloudWatch, which is written in Java, has it: ``5.0``, ``1.0E7``."""
    text = repr(float(number))
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return text
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    mantissa, _, power = text.partition("e")
    whole, _, rest = mantissa.partition(".")
    digits = f"{whole}{rest}".lstrip("0")
    leading = len(whole) if whole.strip("0") else len(digits) - len(rest)
    digits = digits.rstrip("0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{leading - 1 + int(power or 0)}"


def _point(point: Point) -> str:
    assert point.value is not None
    return f"{java(point.value)} ({datetime.fromtimestamp(point.at, UTC):%d/%m/%y %H:%M:%S})"


def _many(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
