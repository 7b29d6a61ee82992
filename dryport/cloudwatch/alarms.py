"""What happens to alarms: changes of state, with their history and actions, and what an alarm looks at."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from dryport.cloudwatch import actions, evaluation, queries, reasons, shapes
from dryport.cloudwatch.evaluation import Point, Terms, Verdict
from dryport.cloudwatch.model import ALARMS, HISTORY, Alarm, HistoryItem, scope
from dryport.cloudwatch.queries import Query, Result
from dryport.cloudwatch.statistics import fewest_samples, is_percentile, statistic
from dryport.cloudwatch.storage import metric
from dryport.store import Transaction

CONFIGURED, CHANGED, ACTED = "ConfigurationUpdate", "StateUpdate", "Action"
_VERBS = {"Create": "created", "Update": "updated", "Delete": "deleted"}


def terms(alarm: Alarm) -> Terms:
    """What a metric alarm compares."""
    ignored = alarm.low_samples == "ignore" and is_percentile(alarm.extended_statistic)
    return Terms(
        comparison=alarm.comparison,
        threshold=alarm.threshold,
        evaluation_periods=alarm.evaluation_periods,
        datapoints_to_alarm=alarm.datapoints_to_alarm or alarm.evaluation_periods,
        missing=alarm.missing or evaluation.MISSING,
        fewest_samples=fewest_samples(alarm.extended_statistic) if ignored else 0.0,
    )


def watched(alarm: Alarm) -> list[Query]:
    """The queries of a metric alarm, of which one is returned."""
    if alarm.queries:
        return queries.check(alarm.queries, "Metrics")
    name = alarm.statistic or alarm.extended_statistic
    return [
        Query(
            "m1",
            alarm.metric_name,
            True,
            alarm.period,
            metric=metric(alarm.namespace, alarm.metric_name, alarm.dimensions),
            statistic=statistic(name),
            stat=name,
            unit=alarm.unit or None,
        )
    ]


def period(alarm: Alarm) -> int:
    """Seconds of a period of a metric alarm."""
    if not alarm.queries:
        return alarm.period
    known = watched(alarm)
    return queries.period_of(known, next(each for each in known if each.returned))


def step(alarm: Alarm) -> int:
    """Seconds after which a metric alarm is evaluated again, and which its periods begin and end at."""
    return 10 if period(alarm) < 60 else 60


def points(result: Result, end: int, length: int, count: int) -> list[Point]:
    """The last ``count`` periods before ``end``, the newest last."""
    found = []
    for at in range(end - count * length, end, length):
        value = result.values.get(at)
        found.append(Point(at, value, result.samples.get(at) if value is not None else None))
    return found


def apply(tx: Transaction, alarm: Alarm, verdict: Verdict, seen: list[Point], now: float) -> None:
    """Put a metric alarm in the state that was found, unless it is in it."""
    if verdict.state == alarm.state:
        return
    found = terms(alarm)
    data = reasons.data(
        found,
        verdict,
        seen,
        now,
        statistic=alarm.statistic or alarm.extended_statistic,
        period=period(alarm),
        unit=alarm.unit,
    )
    change(tx, alarm, verdict.state, reasons.reason(found, verdict, alarm.state), data, now)


def change(tx: Transaction, alarm: Alarm, state: str, reason: str, data: str, now: float) -> Alarm:
    """Put an alarm in a state, with history and actions; as a new state, only where it is one."""
    transitioned = state != alarm.state
    changed = replace(
        alarm,
        state=state,
        reason=reason,
        reason_data=data,
        updated_at=now,
        transitioned_at=now if transitioned else alarm.transitioned_at,
    )
    tx.put(ALARMS, changed)
    if not transitioned:
        return changed
    document = {"version": "1.0", "oldState": _state(alarm), "newState": _state(changed)}
    note(tx, changed, CHANGED, f"Alarm updated from {alarm.state} to {state}", document, now)
    for action in actions.take(tx, changed, now):
        note(tx, changed, ACTED, f"Successfully executed action {action}", {"actionState": "Succeeded"}, now)
    return changed


def configured(tx: Transaction, alarm: Alarm, kind: str, now: float) -> None:
    """Note that an alarm was made, changed or deleted (``Create``, ``Update``, ``Delete``)."""
    verb = _VERBS[kind]
    document = {"version": "1.0", "type": kind, f"{verb}Alarm": shapes.configuration(alarm)}
    note(tx, alarm, CONFIGURED, f'Alarm "{alarm.name}" {verb}', document, now)


def note(tx: Transaction, alarm: Alarm, kind: str, summary: str, document: Any, now: float) -> None:
    """Add to an alarm's history."""
    item = HistoryItem(
        number=tx.next("cloudwatch.history"),
        scope=scope(alarm.account, alarm.region),
        alarm=alarm.name,
        type=alarm.type,
        at=now,
        kind=kind,
        summary=summary[:255],
        data=msgspec.json.encode(document).decode()[:4095],
    )
    tx.put(HISTORY, item)


def _state(alarm: Alarm) -> dict[str, Any]:
    shown: dict[str, Any] = {"stateValue": alarm.state, "stateReason": alarm.reason}
    if alarm.reason_data:
        try:
            shown["stateReasonData"] = msgspec.json.decode(alarm.reason_data)
        except msgspec.DecodeError:  # SetAlarmState was given what is no JSON
            shown["stateReasonData"] = alarm.reason_data
    return shown
