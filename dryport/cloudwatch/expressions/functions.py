"""The functions of metric math that Dryport has."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise

from dryport.cloudwatch.expressions.evaluation import (
    Frame,
    Function,
    NotWorkedOut,
    Series,
    Value,
    as_series,
    each_of,
)
from dryport.cloudwatch.expressions.parser import Node

_MOST_PERIODS = 100_800  # data points that GetMetricData gives in one answer


def _of_each(change: Callable[[float], float]) -> Function:
    def work_out(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
        return each_of(_one(given), change)

    return work_out


def _folded(fold: Callable[[list[float]], float]) -> Function:
    """Of a series a number; of several series one: of the values at each time."""

    def work_out(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
        value = _one(given)
        if isinstance(value, list):
            times: dict[int, list[float]] = {}
            for series in value:
                for at, each in series.items():
                    times.setdefault(at, []).append(each)
            return {at: float(fold(each)) for at, each in times.items()}
        return _of_all(as_series(value)[0].values(), fold)

    return work_out


def _of_all(values: Iterable[float], fold: Callable[[list[float]], float]) -> float:
    listed = list(values)
    return float(fold(listed)) if listed else math.nan


def _one(given: list[Value]) -> Value:
    if len(given) != 1:
        raise NotWorkedOut("the function takes one value")
    return given[0]


def _metrics(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    """All metrics of the request, or those whose id has a text in it."""
    wanted = parts[0].word if parts else ""
    values = (frame.values[each] for each in frame.metrics if wanted in each)
    return [series for value in values for series in as_series(value)]


def _metric_count(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    return float(len(as_series(_one(given))))


def _fill(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    if len(parts) != 2:
        raise NotWorkedOut("FILL takes a value and what to fill in")
    word = parts[1].word.upper() if parts[1].kind == "name" else ""
    if word not in ("REPEAT", "LINEAR") and len(given) != 2:
        raise NotWorkedOut("FILL takes a number, a series, REPEAT or LINEAR")
    filled = [_filled(frame, series, word, given[1] if len(given) > 1 else 0.0) for series in as_series(given[0])]
    return filled if isinstance(given[0], list) else filled[0]


def _filled(frame: Frame, series: Series, word: str, filler: Value) -> Series:
    found = dict(series)
    known = sorted(series)
    for at in _times(frame):
        if at in found:
            continue
        place = bisect_left(known, at)
        before = known[place - 1] if place else None
        after = known[place] if place < len(known) else None
        if word == "REPEAT":
            if before is not None:
                found[at] = series[before]
        elif word == "LINEAR":
            if before is not None and after is not None:
                share = (at - before) / (after - before)
                found[at] = series[before] + (series[after] - series[before]) * share
        elif isinstance(filler, float):
            found[at] = filler
        elif isinstance(filler, dict):
            if at in filler:
                found[at] = filler[at]
        else:
            raise NotWorkedOut("FILL takes one series to fill in")
    return found


def _if(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    if len(given) not in (2, 3):
        raise NotWorkedOut("IF takes a condition and one or two values")
    condition, then = given[0], given[1]
    other = given[2] if len(given) == 3 else None
    if isinstance(condition, list) or isinstance(then, list) or isinstance(other, list):
        raise NotWorkedOut("IF takes numbers and single series")
    if isinstance(condition, float) and isinstance(then, float) and (other is None or isinstance(other, float)):
        if condition:
            return then
        if other is None:
            raise NotWorkedOut("the condition does not hold, and there is no other value")
        return other
    if isinstance(condition, float):
        times: Iterable[int] = {at for each in (then, other) if isinstance(each, dict) for at in each}
    else:
        times = condition
    chosen = {}
    for at in times:
        holds = condition if isinstance(condition, float) else condition[at]
        value = then if holds else other
        if isinstance(value, float):
            chosen[at] = value
        elif value is not None and at in value:
            chosen[at] = value[at]
    return chosen


def _of_neighbours(change: Callable[[float, float, int], float]) -> Function:
    """Of each value and the one before it, with the seconds between them."""

    def of(series: Series) -> Series:
        times = sorted(series)
        return {at: change(series[before], series[at], at - before) for before, at in pairwise(times)}

    def work_out(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
        value = _one(given)
        return [of(each) for each in value] if isinstance(value, list) else of(as_series(value)[0])

    return work_out


def _running_sum(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    value = _one(given)

    def of(series: Series) -> Series:
        total, found = 0.0, {}
        for at in sorted(series):
            total += series[at]
            found[at] = total
        return found

    return [of(each) for each in value] if isinstance(value, list) else of(as_series(value)[0])


def _chosen(which: int) -> Function:
    def work_out(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
        found = as_series(_one(given))
        if not found:
            raise NotWorkedOut("there are no series to choose from")
        return found[which]

    return work_out


def _time_series(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    value = _one(given)
    if not isinstance(value, float):
        raise NotWorkedOut("TIME_SERIES takes a number")
    return dict.fromkeys(_times(frame), value)


def _period(frame: Frame, parts: tuple[Node, ...], given: list[Value]) -> Value:
    if len(parts) != 1 or parts[0].word not in frame.periods:
        raise NotWorkedOut("PERIOD takes a metric")
    return float(frame.periods[parts[0].word])


def _deviation(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _times(frame: Frame) -> range:
    times = range(frame.start, frame.end, frame.period)
    if len(times) > _MOST_PERIODS:
        raise NotWorkedOut(f"more than {_MOST_PERIODS} periods cannot be filled")
    return times


FUNCTIONS: dict[str, Function] = {
    "ABS": _of_each(abs),
    "AVG": _folded(lambda values: math.fsum(values) / len(values)),
    "CEIL": _of_each(math.ceil),
    "DIFF": _of_neighbours(lambda before, now, seconds: now - before),
    "DIFF_TIME": _of_neighbours(lambda before, now, seconds: float(seconds)),
    "FILL": _fill,
    "FIRST": _chosen(0),
    "FLOOR": _of_each(math.floor),
    "IF": _if,
    "LAST": _chosen(-1),
    "LOG": _of_each(math.log),
    "LOG10": _of_each(math.log10),
    "MAX": _folded(max),
    "METRICS": _metrics,
    "METRIC_COUNT": _metric_count,
    "MIN": _folded(min),
    "PERIOD": _period,
    "RATE": _of_neighbours(lambda before, now, seconds: (now - before) / seconds),
    "RUNNING_SUM": _running_sum,
    "STDDEV": _folded(_deviation),
    "SUM": _folded(math.fsum),
    "TIME_SERIES": _time_series,
}
