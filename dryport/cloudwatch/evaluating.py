"""Evaluates metric alarms on what is in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dryport.cloudwatch import alarms, evaluation
from dryport.cloudwatch.evaluation import Point, Verdict
from dryport.cloudwatch.model import ALARMS, Alarm, scope
from dryport.cloudwatch.queries import Answers
from dryport.cloudwatch.storage import MetricStorage
from dryport.store import Store, Transaction


def end(alarm: Alarm, until: int) -> int:
    """The end of the latest period that was over at a time."""
    return until - until % alarms.step(alarm)


async def evaluate(store: Store, file: MetricStorage, due: Sequence[tuple[Alarm, int]], now: float) -> None:
    """Look at what alarms watch, each up to its end, and change those in another state. Raises StoreUnavailable."""
    found = await file.read(lambda connection: [_look(connection, alarm, until) for alarm, until in due])
    changed = [
        (alarm, verdict, points)
        for (alarm, _), (verdict, points) in zip(due, found, strict=True)
        if verdict is not None and verdict.state != alarm.state
    ]
    if changed:
        await store.transact(lambda tx: _apply(tx, changed, now))


def _look(connection: sqlite3.Connection, alarm: Alarm, until: int) -> tuple[Verdict | None, list[Point]]:
    queries, terms, length = alarms.watched(alarm), alarms.terms(alarm), alarms.period(alarm)
    count = terms.evaluation_periods + evaluation.MORE_PERIODS
    begin = until - count * length
    begins = {each.period: begin for each in queries} | {length: begin}
    returned = next(each for each in queries if each.returned)
    results = Answers(connection, scope(alarm.account, alarm.region), queries, begins, until).of(returned.id)
    if len(results) != 1:
        return None, []
    points = alarms.points(results[0], until, length, count)
    return evaluation.evaluate(terms, points), points


def _apply(tx: Transaction, changed: Sequence[tuple[Alarm, Verdict, list[Point]]], now: float) -> None:
    for alarm, verdict, points in changed:
        if tx.get(ALARMS, alarm.arn) == alarm:  # else it was changed meanwhile: the next tick looks again
            alarms.apply(tx, alarm, verdict, points, now)
