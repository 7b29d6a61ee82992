"""Percentiles and trimmed statistics, against lists of values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.cloudwatch.statistics import fewest_samples, statistic
from dryport.cloudwatch.summaries import of_set, of_values


def of(name: str, *values: float) -> float | None:
    work_out = statistic(name)
    assert work_out is not None, name
    return work_out(of_values([(value, 1.0) for value in values]))


@given(st.lists(st.integers(0, 50).map(float), min_size=1, max_size=60), st.integers(0, 100))
def test_a_percentile_is_that_of_the_listed_values(values: list[float], percent: int) -> None:
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    wanted = below + (above - below) * (place - math.floor(place))
    assert of(f"p{percent}", *values) == pytest.approx(wanted)


TEN = tuple(float(each) for each in range(1, 11))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("SampleCount", 10.0),
        ("Average", 5.5),
        ("tm90", 5.0),
        ("TM(10%:90%)", 5.5),
        ("TM(2:4)", 3.5),
        ("tc50", 5.0),
        ("ts50", 15.0),
        ("TS(80%:)", 19.0),
        ("PR(:3)", 30.0),
        ("PR(3:6)", 30.0),
        ("wm80", 5.2),
        ("WM(:5)", 4.0),
        ("IQM", 5.5),
    ],
)
def test_trimmed_statistics(name: str, wanted: float) -> None:
    assert of(name, *TEN) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["", "p", "p101", "pp50", "median", "TM()", "TM(:)", "PR(10%:20%)", "TM(5:50%)", "tm"])
def test_what_is_no_statistic(name: str) -> None:
    assert statistic(name) is None


def test_percentiles_want_known_values_that_are_not_negative() -> None:
    assert of("p50", -1.0, 2.0) is None
    p50 = statistic("p50")
    assert p50 is not None
    assert p50(of_set(3, 9, 1, 5)) is None
    assert p50(of_set(3, 9, 3, 3)) == 3.0


def test_how_many_samples_a_percentile_wants() -> None:
    assert fewest_samples("p99") == pytest.approx(1000)
    assert fewest_samples("p50") == pytest.approx(20)
    assert fewest_samples("p10") == pytest.approx(100)
