"""Metric math."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.cloudwatch.expressions import Frame, Malformed, NotWorkedOut, Value, evaluate, parse

VALUES: dict[str, Value] = {
    "a": {0: 1.0, 60: 2.0, 120: 3.0},
    "b": {0: 10.0, 120: 0.0},
    "none": {},
}


def worked_out(text: str) -> Value:
    frame = Frame(VALUES, ["a", "b"], dict.fromkeys(VALUES, 60), 0, 240, 60)
    return evaluate(parse(text), frame)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("2 - 3 - 4", -5.0),
        ("a + b", {0: 11.0, 120: 3.0}),
        ("a / b", {0: 0.1}),
        ("a * 2", {0: 2.0, 60: 4.0, 120: 6.0}),
        ("a > 1", {0: 0.0, 60: 1.0, 120: 1.0}),
        ("a > 1 AND a < 3", {0: 0.0, 60: 1.0, 120: 0.0}),
        ("a == 1 || a == 3", {0: 1.0, 60: 0.0, 120: 1.0}),
        ("AVG(a)", 2.0),
        ("MAX(a) - min(a)", 2.0),
        ("STDDEV(b)", 5.0),
        ("SUM([a, b])", {0: 11.0, 60: 2.0, 120: 3.0}),
        ("SUM(METRICS())", {0: 11.0, 60: 2.0, 120: 3.0}),
        ("METRIC_COUNT(METRICS())", 2.0),
        ("METRICS('b')", [{0: 10.0, 120: 0.0}]),
        ("FILL(b, 7)", {0: 10.0, 60: 7.0, 120: 0.0, 180: 7.0}),
        ("FILL(b, REPEAT)", {0: 10.0, 60: 10.0, 120: 0.0, 180: 0.0}),
        ("FILL(b, LINEAR)", {0: 10.0, 60: 5.0, 120: 0.0}),
        ("FILL(b, a)", {0: 10.0, 60: 2.0, 120: 0.0}),
        ("IF(a > 1, a, 0)", {0: 0.0, 60: 2.0, 120: 3.0}),
        ("IF(a > 2, b)", {120: 0.0}),
        ("IF(AVG(a) > 1, a, b)", {0: 1.0, 60: 2.0, 120: 3.0}),
        ("DIFF(a)", {60: 1.0, 120: 1.0}),
        ("RATE(b)", {120: pytest.approx(-10 / 120)}),
        ("RUNNING_SUM(a)", {0: 1.0, 60: 3.0, 120: 6.0}),
        ("TIME_SERIES(3)", {0: 3.0, 60: 3.0, 120: 3.0, 180: 3.0}),
        ("a / PERIOD(a)", {0: pytest.approx(1 / 60), 60: pytest.approx(2 / 60), 120: pytest.approx(0.05)}),
        ("ABS(a - 2)", {0: 1.0, 60: 0.0, 120: 1.0}),
        ("LOG10(b)", {0: 1.0}),
        ("FIRST([a, b]) + LAST([a, b])", {0: 11.0, 120: 3.0}),
        ("[a, b] * 2", [{0: 2.0, 60: 4.0, 120: 6.0}, {0: 20.0, 120: 0.0}]),
        ("SUM(none) + 0", pytest.approx(float("nan"), nan_ok=True)),
    ],
)
def test_what_an_expression_comes_to(text: str, wanted: Value) -> None:
    assert worked_out(text) == wanted


@pytest.mark.parametrize("text", ["", "1 +", "(1", "[a", "a b", "f(", "1..2 $", "'text", "a ? b"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


@pytest.mark.parametrize(
    "text", ["AVG(1)", "'text'", "FILL(a, 'x')", "IF([a], a, b)", "IF(0, 1)", "AVG()", "PERIOD(1)"]
)
def test_what_cannot_be_worked_out(text: str) -> None:
    with pytest.raises(NotWorkedOut):
        worked_out(text)


@given(st.text(alphabet="ab12.+-*/^()[],<>=&|'\" AVGIFUMS", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        node = parse(text)
    except Malformed:
        return
    with contextlib.suppress(NotWorkedOut, KeyError):  # a function that there is not is refused before
        evaluate(node, Frame(VALUES, ["a", "b"], {}, 0, 240, 60))


def test_a_deep_expression_is_refused() -> None:
    for text in ("(" * 500 + "1" + ")" * 500, "-" * 5000 + "1", "2^" * 5000 + "1", "AVG(" * 500):
        with pytest.raises(Malformed):
            parse(text)
