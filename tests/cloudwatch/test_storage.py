"""The file of metrics: intervals grow longer with age, sums stay, and what was handed in counts once."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.cloudwatch import series, storage, summaries
from dryport.cloudwatch.storage import DAY, HOUR, Datum, Metric, MetricStorage
from dryport.cloudwatch.summaries import Summary

NOW = 1_795_741_200 - 1_795_741_200 % HOUR
METRIC = Metric("Test", "m", (("a", "1"),))
R = object


def datum(at: float, value: float, resolution: int = 60) -> Datum:
    start = int(at) - int(at) % resolution
    return Datum(METRIC, resolution, start, "Count", summaries.of_values([(value, 1.0)]))


async def age(file: MetricStorage, now: int) -> None:
    while await file.write(lambda connection: storage.age(connection, now)):
        pass


async def rows(file: MetricStorage) -> list[storage.Row]:
    return await file.read(lambda connection: list(storage.rows(connection, "s", METRIC, 0, 2**40, None)))


async def test_the_file_is_made_when_it_is_needed(tmp_path: Path) -> None:
    file = MetricStorage(tmp_path / "metrics.db")
    assert not file.there
    assert not (tmp_path / "metrics.db").exists()
    await file.write(lambda connection: storage.put(connection, "s", [datum(NOW, 1.0)], NOW))
    assert (tmp_path / "metrics.db").stat().st_mode & 0o777 == 0o600


async def test_points_grow_longer_as_cloudwatchs_do(tmp_path: Path) -> None:
    file = MetricStorage(tmp_path / "metrics.db")
    seconds = [datum(NOW + each, 1.0, 1) for each in range(600)]
    await file.write(lambda connection: storage.put(connection, "s", seconds, NOW))
    for after, resolution, count in (
        (HOUR, 1, 600),
        (4 * HOUR, 60, 10),
        (14 * DAY, 60, 10),
        (16 * DAY, 300, 2),
        (64 * DAY, 3600, 1),
        (450 * DAY, 3600, 1),
    ):
        await age(file, NOW + after)
        found = await rows(file)
        assert {each.resolution for each in found} == {resolution}, after
        assert len(found) == count
        assert sum(each.summary.total for each in found) == 600
    await age(file, NOW + 456 * DAY)
    assert await rows(file) == []
    listed = await file.read(lambda connection: storage.listed(connection, "s", (None, None), (), 0, 0, 10))
    assert listed == []


async def test_shorter_periods_than_are_kept_find_nothing(tmp_path: Path) -> None:
    file = MetricStorage(tmp_path / "metrics.db")
    await file.write(lambda connection: storage.put(connection, "s", [datum(NOW, 1.0)], NOW))
    await age(file, NOW + 20 * DAY)
    found = await rows(file)
    assert series.in_periods(found, NOW, 60) == {}
    assert series.in_periods(found, NOW, 300)[NOW].total == 1.0


async def test_what_comes_late_is_as_long_as_what_was_there(tmp_path: Path) -> None:
    file = MetricStorage(tmp_path / "metrics.db")
    late = [datum(NOW - 5 * HOUR + each, 1.0, 1) for each in range(60)]
    await file.write(lambda connection: storage.put(connection, "s", late, NOW))
    [row] = await rows(file)
    assert (row.resolution, row.summary.count) == (60, 60.0)


async def test_what_is_handed_in_twice_counts_once(tmp_path: Path) -> None:
    file = MetricStorage(tmp_path / "metrics.db")
    for number in (1, 2, 2, 1, 3):
        await file.write(
            lambda connection, number=number: storage.put_once(connection, number, "s", [datum(NOW, 1.0)], NOW)  # type: ignore[misc]
        )
    [row] = await rows(file)
    assert row.summary.count == 3.0


async def test_many_metrics_stay_on_the_disk(tmp_path: Path) -> None:
    """A thousand metrics a minute for an hour are some bytes each, and no memory."""
    file = MetricStorage(tmp_path / "metrics.db")

    def put(minute: int) -> Callable[..., None]:
        data = [
            Datum(Metric("Test", f"m{each}"), 60, NOW + 60 * minute, "None", summaries.of_values([(1.0, 1.0)]))
            for each in range(1000)
        ]
        return lambda connection: storage.put(connection, "s", data, NOW)

    for minute in range(60):
        await file.write(put(minute))
    assert (tmp_path / "metrics.db").stat().st_size < 60_000 * 120


values = st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=1, max_size=50)


@given(st.lists(values, min_size=1, max_size=8))
def test_together_or_apart_it_is_the_same(groups: list[list[float]]) -> None:
    def of(group: list[float]) -> Summary:
        return summaries.of_values([(value, 1.0) for value in group])

    stored = []
    for group in groups:
        summary = of(group)
        stored.append(
            summaries.unpacked(summary.count, summary.total, summary.low, summary.high, summaries.packed(summary))
        )
    found, whole = summaries.merged(stored), of([value for group in groups for value in group])
    assert found is not None
    assert (found.count, found.low, found.high) == (whole.count, whole.low, whole.high)
    assert found.total == pytest.approx(whole.total, abs=1e-3)
    assert found.values == whole.values


def test_very_many_values_are_rounded_and_stay_near() -> None:
    source = random.Random(1)
    given_values = [source.lognormvariate(3, 1.5) for _ in range(20_000)]
    summary = summaries.of_values([(value, 1.0) for value in given_values])
    packed = summaries.packed(summary)
    assert packed is not None
    assert len(packed) <= 500 * 16
    found = summaries.unpacked(summary.count, summary.total, summary.low, summary.high, packed)
    assert found.values is not None
    assert sum(found.values.values()) == 20_000
    for value in given_values:
        assert min(abs(value - each) for each in found.values) <= value * 0.05
