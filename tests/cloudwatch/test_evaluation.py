"""Alarms' states against CloudWatch's own tables, and against a plain reading of its rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.cloudwatch import reasons
from dryport.cloudwatch.evaluation import COMPARISONS, Point, Terms, evaluate

KEEPS = "Retain current state"
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def points(text: str) -> list[Point]:
    """``0 - X``: a point that does not breach, a missing one, a breaching one; the newest last."""
    values = {"0": 0.0, "X": 5.0, "-": None}
    start = 1_795_741_200
    return [Point(start + 60 * place, values[each], None) for place, each in enumerate(text.split())]


def terms(periods: int, enough: int, missing: str = "missing") -> Terms:
    return Terms("GreaterThanThreshold", 1.0, periods, enough, missing)


# "Configuring how CloudWatch alarms treat missing data": both tables, of this and the earlier edition of the guide.
TABLES = [
    ((3, 3), "0 - X - X", "OK", "OK", "OK", "OK"),
    ((3, 3), "- - - - 0", "OK", "OK", "OK", "OK"),
    ((3, 3), "0 - - - -", "OK", "OK", "OK", "OK"),
    ((3, 3), "- - - - -", "INSUFFICIENT_DATA", KEEPS, "ALARM", "OK"),
    ((3, 3), "0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ((3, 3), "- - - - X", "INSUFFICIENT_DATA", KEEPS, "ALARM", "OK"),
    ((3, 3), "- - X - -", "ALARM", KEEPS, "ALARM", "OK"),
    ((3, 3), "X - - - -", "ALARM", KEEPS, "ALARM", "OK"),
    ((3, 2), "0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ((3, 2), "0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ((3, 2), "0 - X - -", "OK", "OK", "ALARM", "OK"),
    ((3, 2), "- - - - 0", "OK", "OK", "ALARM", "OK"),
    ((3, 2), "- - - - X", "INSUFFICIENT_DATA", KEEPS, "ALARM", "OK"),
    ((3, 2), "- - - X -", "ALARM", KEEPS, "ALARM", "OK"),
]


@pytest.mark.parametrize(("counts", "data", "wanted"), [(row[0], row[1], row[2:]) for row in TABLES])
def test_the_guides_tables(counts: tuple[int, int], data: str, wanted: tuple[str, ...]) -> None:
    found = []
    for missing in TREATMENTS:
        verdict = evaluate(terms(*counts, missing), points(data))
        found.append(KEEPS if verdict is None else verdict.state)
    assert tuple(found) == wanted


series = st.lists(st.sampled_from([0.0, 5.0, None]), min_size=1, max_size=12)


def at_minutes(values: list[float | None]) -> list[Point]:
    return [Point(60 * place, value) for place, value in enumerate(values)]


@given(series, st.integers(1, 6), st.data(), st.sampled_from(TREATMENTS))
def test_with_enough_data_the_latest_decide_whatever_is_missing(
    values: list[float | None], periods: int, data: st.DataObject, missing: str
) -> None:
    enough = data.draw(st.integers(1, periods))
    real = [value for value in values if value is not None]
    verdict = evaluate(terms(periods, enough, missing), at_minutes(values))
    if len(real) >= periods:
        breaching = sum(value > 1 for value in real[-periods:])
        assert verdict is not None
        assert verdict.state == ("ALARM" if breaching >= enough else "OK")
        assert not verdict.filled


@given(series, st.integers(1, 6), st.data())
def test_treatments_differ_as_they_say(values: list[float | None], periods: int, data: st.DataObject) -> None:
    enough = data.draw(st.integers(1, periods))
    found = {each: evaluate(terms(periods, enough, each), at_minutes(values)) for each in TREATMENTS}
    worst, best = found["breaching"], found["notBreaching"]
    assert worst is not None
    assert best is not None
    assert {worst.state, best.state} <= {"OK", "ALARM"}
    assert best.state != "ALARM" or worst.state == "ALARM", "what is filled in as breaching is never better"
    missing, ignored = found["missing"], found["ignore"]
    assert missing is not None
    if not any(value is not None for value in values):
        assert (missing.state, ignored) == ("INSUFFICIENT_DATA", None)
    elif any(value == 0.0 for value in [v for v in values if v is not None][-periods:]):
        assert missing.state != "INSUFFICIENT_DATA"
        assert ignored is not None
        assert ignored.state == missing.state


def test_comparisons() -> None:
    holds = {name: [COMPARISONS[name](value, 1.0) for value in (0.0, 1.0, 2.0)] for name in COMPARISONS}
    assert holds == {
        "GreaterThanOrEqualToThreshold": [False, True, True],
        "GreaterThanThreshold": [False, False, True],
        "LessThanThreshold": [True, False, False],
        "LessThanOrEqualToThreshold": [True, True, False],
    }


def test_few_samples_leave_a_percentile_alarm_alone() -> None:
    on_p99 = Terms("GreaterThanThreshold", 1.0, 1, 1, fewest_samples=1000.0)
    assert evaluate(on_p99, [Point(0, 5.0, 999.0)]) is None
    verdict = evaluate(on_p99, [Point(0, 5.0, 1000.0)])
    assert verdict is not None
    assert verdict.state == "ALARM"


def why(counts: tuple[int, int], data: str, before: str, missing: str = "missing") -> str:
    found = terms(*counts, missing)
    verdict = evaluate(found, points(data))
    assert verdict is not None
    return reasons.reason(found, verdict, before)


@pytest.mark.parametrize(
    ("counts", "data", "before", "missing", "said"),
    [
        (
            (1, 1), "0 0 X", "OK", "missing",
            "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (27/11/26 01:02:00)] was greater than the "
            "threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition).",
        ),
        (
            (1, 1), "X X 0", "ALARM", "missing",
            "Threshold Crossed: 1 out of the last 1 datapoints [0.0 (27/11/26 01:02:00)] was not greater than the "
            "threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (
            (1, 1), "0 0 X", "INSUFFICIENT_DATA", "missing",
            "Threshold Crossed: 1 datapoint [5.0 (27/11/26 01:02:00)] was greater than the threshold (1.0).",
        ),
        (
            (3, 2), "X 0 X", "OK", "missing",
            "Threshold Crossed: 2 out of the last 3 datapoints [5.0 (27/11/26 01:02:00), 5.0 (27/11/26 01:00:00)] were "
            "greater than the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            (1, 1), "- - -", "OK", "breaching",
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
            "[Breaching].",
        ),
        (
            (2, 2), "- - - -", "ALARM", "notBreaching",
            "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as "
            "[NonBreaching].",
        ),
        (
            (3, 1), "- - X", "OK", "notBreaching",
            "Threshold Crossed: 1 out of the last 3 datapoints [5.0 (27/11/26 01:02:00)] was greater than the "
            "threshold (1.0) and 2 missing datapoints were treated as [NonBreaching] (minimum 1 datapoint for OK -> "
            "ALARM transition).",
        ),
        (
            (3, 2), "- - 0", "OK", "breaching",
            "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as "
            "[Breaching].",
        ),
        ((1, 1), "- - -", "OK", "missing", "Insufficient Data: 1 datapoint was unknown."),
        ((2, 2), "- - - -", "OK", "missing", "Insufficient Data: 2 datapoints were unknown."),
    ],
)  # fmt: skip
def test_reasons_are_in_cloudwatchs_words(
    counts: tuple[int, int], data: str, before: str, missing: str, said: str
) -> None:
    assert why(counts, data, before, missing) == said


def test_many_data_points_are_listed_apart() -> None:
    assert why((5, 5), "X X X X X", "INSUFFICIENT_DATA") == (
        "Threshold Crossed: 5 datapoints were greater than the threshold (1.0). The most recent datapoints which "
        "crossed the threshold: [5.0 (27/11/26 01:04:00), 5.0 (27/11/26 01:03:00), 5.0 (27/11/26 01:02:00), 5.0 "
        "(27/11/26 01:01:00), 5.0 (27/11/26 01:00:00)]."
    )


def test_reason_data() -> None:
    found, seen = terms(2, 1, "notBreaching"), points("- X -")
    verdict = evaluate(found, seen)
    assert verdict is not None
    text = reasons.data(found, verdict, seen, 1_795_741_384.5, statistic="Sum", period=60, unit="Count")
    assert text == (
        '{"version":"1.0","queryDate":"2026-11-27T01:03:04.500+0000","startDate":"2026-11-27T01:01:00.000+0000",'
        '"unit":"Count","statistic":"Sum","period":60,"recentDatapoints":[5.0],"threshold":1.0,"evaluatedDatapoints":['
        '{"timestamp":"2026-11-27T01:02:00.000+0000"},{"timestamp":"2026-11-27T01:01:00.000+0000","value":5.0}]}'
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (5.0, "5.0"),
        (-0.25, "-0.25"),
        (20000.0, "20000.0"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (1.5e300, "1.5E300"),
        (0.001, "0.001"),
        (0.0005, "5.0E-4"),
        (-0.00012, "-1.2E-4"),
        (1e-9, "1.0E-9"),
    ],
)
def test_numbers_are_written_as_java_does(number: float, text: str) -> None:
    assert reasons.java(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_what_they_are(number: float) -> None:
    assert float(reasons.java(number)) == number
